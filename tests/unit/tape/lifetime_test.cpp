// How long values, handles, recordings and tapes live.
#include <memory>
#include <optional>

#include "tests/unit/tape/helpers.hpp"

using namespace xgrad;
using namespace xgrad::test;

TEST_CASE(
    "lifetime: values stay readable after backward consumed their recording, but cannot be used in it") {
  Tape tape;
  const Parameter w(Array{2, 3}, "w");
  const Var x = tape.input(Array{5, 7});
  const Var y = tape.leaf(w) * x;
  const Var loss = sum(y);
  backward(loss);
  CHECK(values(x) == Values{5, 7});
  CHECK(values(y) == Values{10, 21});
  CHECK(loss.item<double>() == 31);
  CHECK(y.shape() == Shape{2});
  CHECK(tape.statistics().instructions == 0);
  CHECK(tape.statistics().recording == 2);

  CHECK_ERROR(x + x, StaleVar,
              "add: variable %0 belongs to recording 1 of this tape, which backward has consumed; "
              "pass keep_recording, or enter its value again");
  CHECK_ERROR(tape.input(1.0) * y, StaleVar,
              "mul: variable %2 belongs to recording 1 of this tape, which backward has consumed; "
              "pass keep_recording, or enter its value again");
  CHECK_ERROR(backward(loss), StaleVar,
              "backward: variable %3 belongs to recording 1 of this tape, which backward has consumed; "
              "pass keep_recording, or enter its value again");
  CHECK_ERROR(grad(loss, {x}), StaleVar,
              "grad: variable %3 belongs to recording 1 of this tape, which backward has consumed; "
              "pass keep_recording, or enter its value again");
  const Var now = tape.input(1.0);
  CHECK_ERROR(grad(now, {now}, weighted(loss)), StaleVar,
              "grad: variable %3 belongs to recording 1 of this tape, which backward has consumed; "
              "pass keep_recording, or enter its value again");
  CHECK_ERROR(grad(now, {x}), StaleVar,
              "grad: variable %0 belongs to recording 1 of this tape, which backward has consumed; "
              "pass keep_recording, or enter its value again");
  // Entered again it is as good as new.
  CHECK(values(tape.input(x.array<double>()) + 1) == Values{6, 8});
}

TEST_CASE("lifetime: a stale handle does not hold the next recording's values") {
  Tape tape;
  const Parameter w(Array{1, 2});
  Var old = tape.leaf(w) + 1;
  backward(sum(old));
  for (int i = 0; i < 100; ++i) {
    Var y = tape.leaf(w) * 3;
    backward(sum(y));
  }
  CHECK(values(old) == Values{2, 3});
  CHECK(tape.statistics().slots == 1);
  old = Var();
  CHECK(tape.statistics().slots == 0);
  CHECK(tape.statistics().bytes_in_use == 0);
}

TEST_CASE("lifetime: keep_recording keeps it") {
  Tape tape;
  const Parameter w(Array{1, 2});
  const Var y = tape.leaf(w) * 2;
  backward(sum(y), {.keep_recording = true});
  CHECK(values(y + y) == Values{4, 8});
  CHECK(tape.statistics().recording == 1);
}

TEST_CASE("lifetime: a Var that outlives its tape is harmless and says so") {
  auto tape = std::make_unique<Tape>();
  const Parameter w(Array{1});
  Var x = tape->input(Array{1, 2}), y = x * 2, leaf = tape->leaf(w);
  const Var untouched = y;
  tape.reset();
  const char* ended = "variable: its tape has ended";
  CHECK_ERROR(x.shape(), StaleVar, ended);
  CHECK_ERROR(x.dtype(), StaleVar, ended);
  CHECK_ERROR(x.tape(), StaleVar, ended);
  CHECK_ERROR(x.requires_grad(), StaleVar, ended);
  CHECK_ERROR(y.array<double>(), StaleVar, ended);
  CHECK_ERROR(leaf.item<double>(), StaleVar, ended);
  CHECK_ERROR(exp(x), StaleVar, ended);
  CHECK_ERROR(x + 1, StaleVar, ended);
  CHECK_ERROR(backward(y), StaleVar, ended);
  CHECK_ERROR(grad(y, {x}), StaleVar, ended);
  CHECK(x.defined());

  Var copy = x, moved = std::move(y);
  copy = moved;
  x = copy;
  moved = Var();
  Tape other;
  const Var living = other.input(1.0);
  CHECK_ERROR(living + copy, StaleVar, ended);
  CHECK_ERROR(copy + living, StaleVar, ended);
  CHECK_ERROR(grad(living, {copy}), StaleVar, ended);
  copy = living;
  CHECK(copy.item<double>() == 1);
}

TEST_CASE("lifetime: an empty Var names nothing") {
  const char* empty = "variable: empty, it names no value";
  Tape tape;
  const Var none, x = tape.input(1.0);
  CHECK_FALSE(none.defined());
  CHECK(x.defined());
  CHECK_ERROR(none.shape(), StaleVar, empty);
  CHECK_ERROR(none.item<float>(), StaleVar, empty);
  CHECK_ERROR(none.tape(), StaleVar, empty);
  CHECK_ERROR(exp(none), StaleVar, empty);
  CHECK_ERROR(x + none, StaleVar, empty);
  CHECK_ERROR(none + x, StaleVar, empty);
  CHECK_ERROR(none * 2, StaleVar, empty);
  CHECK_ERROR(backward(none), StaleVar, empty);
  CHECK_ERROR(grad(none, {x}), StaleVar, empty);
  CHECK_ERROR(grad(x, {none}), StaleVar, empty);
  const Var copy = none;
  Var moved = std::move(copy);
  moved = none;
  CHECK_FALSE(moved.defined());
  CHECK(tape.statistics().slots == 1);
}

TEST_CASE("lifetime: tapes do not mix") {
  Tape a, b;
  const Var x = a.input(1.0), y = b.input(2.0);
  CHECK_ERROR(x + y, TapeMismatch, "add: operands 0 and 1 belong to different tapes");
  CHECK_ERROR(grad(x, {y}), TapeMismatch, "grad: y and x belong to different tapes");
  CHECK_ERROR(grad(x, {x}, weighted(y)), TapeMismatch, "grad: y and the cotangent belong to different tapes");
  CHECK_ERROR(b.rewind(a.mark()), TapeMismatch, "rewind: the mark belongs to another tape");
  CHECK(a.statistics().instructions == 0);
  CHECK(a.statistics().slots == 1);
  CHECK(b.statistics().slots == 1);
}

TEST_CASE("lifetime: reading a value as something else") {
  Tape tape;
  const Var x = tape.input(Array{1, 2});
  CHECK_ERROR(x.item<double>(), ShapeError, "item: shape [2] does not have one element");
  CHECK_ERROR(x.array<float>(), DTypeError, "value: a float64 tensor read as float32");
  const Var one = tape.input(Array(xt::ones<double>({1, 1})));
  CHECK(one.item<double>() == 1);
  CHECK_ERROR(
      tape.input(xt::xarray<int>{1}), DTypeError,
      "input: dtype must be float32 or float64 to be differentiated, not int32; enter it with constant");
}

TEST_CASE("lifetime: a value's memory goes with its last handle, unless a derivative reads it") {
  Tape tape;
  Var x = tape.input(xt::xarray<double>(xt::ones<double>({1000})));
  const std::size_t one = tape.statistics().bytes_in_use;
  REQUIRE(one >= 8000);
  {
    const Var y = x + x, copy = y;
    CHECK(tape.statistics().bytes_in_use == 2 * one);
  }
  CHECK(tape.statistics().bytes_in_use == one);
  CHECK(tape.statistics().instructions == 0);
  {
    Var y = -(x + x);  // no derivative reads the sum
    CHECK(tape.statistics().instructions == 2);
    CHECK(tape.statistics().bytes_in_use == 2 * one);
    y = exp(-y);  // reads its result
    CHECK(tape.statistics().instructions == 4);
    CHECK(tape.statistics().bytes_in_use == 2 * one);
    y = y + x;
    CHECK(tape.statistics().bytes_in_use == 3 * one);
  }
  CHECK(tape.statistics().bytes_in_use == one);
  {
    // What read a value and was dropped does not keep it.
    Var h = x + x;
    (void)(h * h);
    const Var y = -h;
    h = Var();
    CHECK(tape.statistics().bytes_in_use == 2 * one);
  }
  Var y = x * x;
  y = -y;
  x = Var();
  CHECK(tape.statistics().bytes_in_use == 2 * one);  // mul reads x
  y = Var();
  CHECK(tape.statistics().bytes_in_use == 0);
  CHECK(tape.statistics().slots == 0);
}

TEST_CASE("lifetime: copies, moves and self-assignment of handles are counted") {
  Tape tape;
  Var x = tape.input(2.0);
  {
    Var a = x, b = a, c = std::move(a);
    b = c;
    Var& same = b;
    b = same;
    c = std::move(same);
    a = c;
    CHECK(a.item<double>() == 2);
    CHECK_FALSE(b.defined());
  }
  CHECK(x.item<double>() == 2);
  const Var& same = x;
  x = same;
  x = x + 1;
  CHECK(x.item<double>() == 3);
  x = Var();
  CHECK(tape.statistics().slots == 0);
}

TEST_CASE("lifetime: evaluating without backward does not pile up") {
  Tape tape;
  const Parameter w(Array{1, 2, 3}, "w");
  std::optional<TapeStatistics> first;
  double total = 0;
  for (int i = 0; i < 1000; ++i) {
    const Var x = tape.input(Array{1, 2, static_cast<double>(i)});
    const Var h = tanh(x * tape.leaf(w)), loss = sum(h * h) / 3;
    total += loss.item<double>();
    const TapeStatistics now = tape.statistics();
    if (!first) first = now;
    REQUIRE(same_counts(now, *first));
    REQUIRE(now.bytes_held == first->bytes_held);
  }
  CHECK(total > 0);
  CHECK(tape.statistics().instructions == 0);
  CHECK(tape.statistics().slots == 0);
}

TEST_CASE("lifetime: 10,000 training steps need the memory of the first ones") {
  Tape tape;
  Parameter w(Array{1, 2, 3}, "w"), b(Array{0.5}, "b");
  TapeStatistics third, last;
  for (int i = 0; i < 10000; ++i) {
    const Var x = tape.constant(Array{1, 2, 3});
    const Var y = tanh(x * tape.leaf(w) + tape.leaf(b));
    backward(sum(y * y));
    w.mutable_value<double>()(0) += 1e-6;
    w.zero_grad();
    last = tape.statistics();
    if (i == 2) third = last;
  }
  CHECK(last.bytes_held == third.bytes_held);
  CHECK(last.peak_bytes == third.peak_bytes);
  CHECK(last.slots == third.slots);
  CHECK(last.bytes_in_use == third.bytes_in_use);
  CHECK(last.recording == 10001);
}

TEST_CASE("lifetime: steps with grad() and parameters written by hand do not pile up either") {
  Tape tape;
  Parameter p(Array{1, 2}, "p");
  Var held;  // a handle that lives into the next step
  TapeStatistics third, last;
  for (int i = 0; i < 3000; ++i) {
    Var w = tape.leaf(p);
    const std::vector<Var> g = grad(sum(w * w), {w});
    REQUIRE(values(g[0]) == Values{2 * p.value<double>()(0), 2 * p.value<double>()(1)});
    p.mutable_value<double>()(0) += 1;
    held = w;
    last = tape.statistics();
    if (i == 2) third = last;
  }
  CHECK(last.slots == third.slots);
  CHECK(last.bytes_held == third.bytes_held);
}

TEST_CASE("lifetime: no_grad records nothing and frees as it goes") {
  Tape tape;
  const Parameter w(xt::xarray<double>(xt::ones<double>({1000})), "w");
  const Var x = tape.input(xt::xarray<double>(xt::ones<double>({1000})));
  const std::size_t one = tape.statistics().bytes_in_use;
  {
    const Tape::Pause pause = tape.no_grad();
    Var y = x * tape.leaf(w);
    for (int i = 0; i < 10; ++i) y = exp(-y) * x;
    CHECK_FALSE(y.requires_grad());
    CHECK(tape.statistics().instructions == 0);
    CHECK(tape.statistics().bytes_in_use == 2 * one);
    CHECK(tape.statistics().peak_bytes <= 5 * one);
    CHECK_ERROR(backward(sum(y)), NotDifferentiable,
                "backward: the loss depends on no parameter; use grad for inputs");
    {
      Tape::Pause inner = tape.no_grad();
      const Tape::Pause moved = std::move(inner);
    }
    CHECK_FALSE((x + x).requires_grad());
  }
  CHECK((x * tape.leaf(w)).requires_grad());
}

TEST_CASE("lifetime: what is entered under no_grad can be differentiated afterwards") {
  Tape tape;
  Var x;
  {
    const Tape::Pause pause = tape.no_grad();
    x = tape.input(3.0);
  }
  CHECK(grad(x * x, {x})[0].item<double>() == 6);
}

TEST_CASE("lifetime: no_grad leaves what was recorded differentiable") {
  Tape tape;
  const Parameter w(Array{3.0}, "w");
  const Var y = sum(square(tape.leaf(w)));
  {
    const Tape::Pause pause = tape.no_grad();
    const Var detached = y * 5;
    CHECK(detached.item<double>() == 45);
    backward(y);
  }
  CHECK(grad_of(w) == Values{6});
}

TEST_CASE("rewind: drops the tail of a recording") {
  Tape tape;
  const Var x = tape.input(Array{1, 2});
  const Var y = exp(x);
  const TapeStatistics before = tape.statistics();
  const Tape::Mark mark = tape.mark();
  Var entered = tape.input(Array{3, 4}), z = y * entered, kept = sum(z);
  CHECK(tape.statistics().instructions == 3);
  z = Var();
  tape.rewind(mark);
  CHECK(tape.statistics().instructions == 1);
  CHECK(kept.item<double>() == doctest::Approx(3 * std::exp(1) + 4 * std::exp(2)));
  CHECK_ERROR(kept + 1, StaleVar,
              "add: variable %4 belongs to a part of the recording that was rewound or cleared"
              "; enter its value again");
  CHECK_ERROR(grad(kept, {x}), StaleVar,
              "grad: variable %4 belongs to a part of the recording that was rewound or cleared"
              "; enter its value again");
  CHECK(values(y + entered).size() == 2);  // what was entered since is still a value
  entered = kept = Var();
  CHECK(same_counts(tape.statistics(), before));
  CHECK(values(grad(sum(y), {x})[0]) == values(y));
  tape.rewind(mark);  // twice is once
  CHECK(same_counts(tape.statistics(), before));
}

TEST_CASE("rewind: marks nest, and a whole search can go on behind one") {
  Tape tape;
  const Parameter w(Array{2.0}, "w");
  const Var base = tape.leaf(w) * 3;
  const Tape::Mark outer = tape.mark();
  const Var once = base * 2;
  const Tape::Mark inner = tape.mark();
  const Var twice = once * 2;
  tape.rewind(inner);
  CHECK_THROWS_AS((void)exp(twice), StaleVar);
  CHECK(exp(once).requires_grad());
  std::vector<Var> all;
  for (int i = 0; i < 1000; ++i) all.push_back(exp(i ? all.back() * 1e-3 : once));
  tape.rewind(outer);
  CHECK_THROWS_AS((void)exp(once), StaleVar);
  CHECK(tape.statistics().instructions == 1);
  CHECK_THROWS_AS(tape.rewind(Tape::Mark{}), Error);
  backward(sum(base));
  CHECK(grad_of(w) == Values{3});
  CHECK_ERROR(tape.rewind(outer), StaleVar, "rewind: the mark belongs to recording 1, the current one is 2");
}

TEST_CASE("clear: drops the recording, not the values") {
  Tape tape;
  Parameter w(Array{2.0}, "w");
  const Var x = tape.input(Array{1.0}), y = tape.leaf(w) * x;
  tape.clear();
  CHECK(tape.statistics().instructions == 0);
  CHECK(tape.statistics().recording == 2);
  CHECK(values(y) == Values{2});
  CHECK_ERROR(y + 1, StaleVar,
              "add: variable %2 belongs to a part of the recording that was rewound or cleared"
              "; enter its value again");
  CHECK_THROWS_AS((void)(x + 1), StaleVar);
  backward(sum(tape.leaf(w)));
  CHECK(grad_of(w) == Values{1});
  tape.clear();
  tape.clear();
  CHECK(tape.statistics().recording == 5);
}

TEST_CASE("lifetime: a failing fill or a failing op leaves nothing behind") {
  Tape tape;
  const auto fails = [](View) { throw std::runtime_error("no data"); };
  CHECK_THROWS_AS((void)tape.constant({DType::float32, Shape{1000}}, fails), std::runtime_error);
  CHECK(tape.statistics().slots == 0);
  CHECK(tape.statistics().bytes_in_use == 0);
  const Var x = tape.input(Array{1, 2}), y = tape.input(Array{1, 2, 3});
  const TapeStatistics before = tape.statistics();
  CHECK_THROWS_AS((void)(x + y), ShapeError);
  CHECK_THROWS_AS((void)(x * tape.constant(1, DType::float32)), DTypeError);
  CHECK(same_counts(tape.statistics(), before));
  const Var z =
      tape.constant({DType::float32, Shape{3}}, [](View v) { std::fill_n(v.as<float>(), 3, 7.0f); });
  CHECK(values(z) == Values{7, 7, 7});
  CHECK_FALSE(z.requires_grad());
}
