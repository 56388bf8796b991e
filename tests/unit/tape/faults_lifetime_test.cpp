// How long values, guards, marks and references last, by kind of fault.
#include <chrono>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "tests/unit/tape/faults.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/ops/shape.hpp"
#include "xgrad/tape/profile.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

/// The sum of two operands, with a vjp that is a function. Only operand 1's cotangent reads a value, x(0).
struct SavingOp {
  static constexpr const char* name = "saving";
  static constexpr Reads reads[] = {kReadsNothing, reads_x(0)};
  std::function<void(Backward&)> f;
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View y, Write write) const { SumOfOperands{}.eval(x, y, write); }
  void vjp(Backward& b) const { f(b); }
};

struct FailingKernel {
  static constexpr const char* name = "failing_kernel";
  static constexpr bool constant = true;
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands, View, Write) const { throw std::runtime_error("from the kernel"); }
};

/// What is saved by a vjp from a value that was not kept, when the pass is over.
struct Missing {
  Tape tape;
  Var saved;
  Missing() {
    const SavingOp op{[this](Backward& b) {
      saved = b.dy() * b.x(0);  // nobody needs dx(1), which is why x(0) was not kept
      b.dx(1) += saved;
      b.dx(0) += b.dy();
    }};
    const Var x = tape.input(Array{2.0}), y = apply(op, x * 3.0, tape.constant(Array{1.0}));
    CHECK(values(grad(sum(y), {x})[0]) == Values{3});
  }
};

int scopes_in(const Tape& tape, const std::string& path) {
  std::ostringstream out;
  tape.print(out);
  int count = 0;
  const std::string text = out.str(), line = "# " + path + "\n";
  for (std::size_t at = text.find(line); at != std::string::npos; at = text.find(line, at + 1)) ++count;
  return count;
}

std::int64_t calls_in(const Profile& profile) {
  std::int64_t calls = 0;
  for (const ProfileEntry& entry : profile.entries()) calls += entry.calls;
  return calls;
}

}  // namespace

// C10: a Var that is not computed, used later ----------------------------------------------------------

TEST_CASE("faults: C10: a hook saves an op and throws") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  for (const bool create_graph : {false, true}) {
    Var saved, twice;
    const auto saves = [&](const Var& dy) -> Var {
      saved = dy * 2.0;
      twice = saved * saved;
      throw std::runtime_error("late");
    };
    CHECK_THROWS_WITH(grad(sum(with_hook(x * x, saves)), {x}, recorded(create_graph)), "late");
    CHECK(values(saved + 1.0) == Values{3});
    CHECK(values(twice + saved) == Values{6});
  }
  CHECK(values(grad(sum(x * x), {x})[0]) == Values{4});
}

TEST_CASE("faults: C10: a backward that a hook ends with an error, and what it saved") {
  Tape tape;
  Parameter p(Array{2.0}, "p");
  Var saved, square;
  const auto saves = [&](const Var& dy) -> Var {
    saved = dy * 2.0;
    square = tape.leaf(p) * tape.leaf(p);
    throw std::runtime_error("late");
  };
  CHECK_THROWS_WITH(backward(sum(with_hook(tape.leaf(p) * 3.0, saves))), "late");
  CHECK(values(saved + 1.0) == Values{3});  // a constant is never stale
  CHECK(values(square) == Values{4});
  CHECK_FALSE(p.has_grad());
}

TEST_CASE("faults: C10: a vjp saves what was computed from a value that was not kept") {
  Missing m;
  CHECK_THROWS_AS(values(m.saved), Error);
  CHECK_THROWS_AS(m.saved.item<double>(), Error);
  CHECK_THROWS_AS(values(m.saved + 1.0), Error);
  CHECK_THROWS_AS(values(exp(m.saved) * m.saved), Error);
  CHECK_THROWS_AS(values(sum(m.saved)), Error);
  CHECK_THROWS_AS(values(reshape(m.saved, {1, 1})), Error);
  CHECK_THROWS_AS(values(stop_gradient(m.saved)), Error);
  CHECK_THROWS_AS(values(with_hook(m.saved, [](const Var& dy) { return dy; })), Error);
  std::ostringstream out;
  CHECK_THROWS_AS(out << m.saved, Error);
  CHECK(m.saved.shape() == Shape{1});
}

TEST_CASE("faults: C10: a derivative, a cotangent or a checkpoint of what is missing") {
  Missing m;
  const TensorFunction f = [](std::span<const Var> v) { return cube_sum(v[0]); };
  CHECK_THROWS_AS(values(value_and_grad(cube_sum, m.saved).grads[0]), Error);
  CHECK_THROWS_AS(values(hvp(cube_sum, m.saved, m.saved)), Error);
  CHECK_THROWS_AS(values(checkpoint(f, {m.saved})), Error);
  const Var x = m.tape.input(Array{2.0});
  CHECK_THROWS_AS(values(grad(x * x, {x}, weighted(m.saved))[0]), Error);
  CHECK(values(grad(x * x, {x}, weighted(m.tape.constant(Array{1.0})))[0]) == Values{4});
}

TEST_CASE("faults: C10: within the vjp, what is missing may be dropped but not read") {
  Tape tape;
  for (const int what : {0, 1, 2, 3}) {
    const SavingOp op{[what](Backward& b) {
      const Var missing = exp(b.dy() * b.x(0)) * 2.0;
      if (what == 0) b.dx(1) += missing;  // nobody needs it
      if (what == 1) CHECK_THROWS_AS(values(missing), Error);
      if (what == 2) CHECK_THROWS_AS(b.dx(0) += missing + b.dy(), Error);
      if (what == 3) CHECK_THROWS_AS(values(value_and_grad(cube_sum, missing).grads[0]), Error);
      b.dx(0) += b.dy();
    }};
    const Var x = tape.input(Array{2.0}), y = apply(op, x * 3.0, tape.constant(Array{1.0}));
    CHECK(values(grad(sum(y), {x})[0]) == Values{3});
  }
}

TEST_CASE("faults: C10: a vjp saves an op that waits, and throws or goes on") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  for (const bool throws : {false, true}) {
    Var saved, cotangent, copy;
    const CallingOp op{[&](Backward& b) {
      saved = b.dy() * 2.0;
      if (throws) throw std::runtime_error("late");
      cotangent = b.dy();
      Var moved = saved * 5.0;
      copy = moved;
      b.dx(0) += std::move(moved);
      b.dx(0) += b.donate_dy() * 3.0;
    }};
    const auto run = [&] { return grad(sum(apply(op, x)), {x})[0]; };
    if (throws) {
      CHECK_THROWS_WITH(run(), "late");
      Values read{3};
      (void)error_of([&] {
        read = values(saved + 1.0);
        return 0;
      });
      CHECK(read == Values{3});  // or it says that it was not computed
    } else {
      CHECK(values(run()) == Values{13});
      CHECK(values(saved + 1.0) == Values{3});
      CHECK(values(cotangent) == Values{1});
      CHECK(values(copy) == Values{10});
    }
  }
}

TEST_CASE("faults: C10: an op whose kernel throws in a vjp") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  Var saved;
  const CallingOp op{[&](Backward& b) {
    try {
      saved = apply(FailingKernel{}, b.dy());
      (void)values(saved);
    } catch (const std::runtime_error&) {
    }
    b.dx(0) += b.dy();
  }};
  Values g{1};
  try {
    g = values(grad(sum(apply(op, x)), {x})[0]);
  } catch (const std::runtime_error&) {  // when it waits, and is computed at the end once more
  }
  CHECK(g == Values{1});
  if (saved.defined()) CHECK_THROWS_AS(values(saved + 1.0), std::exception);
  CHECK(values(grad(sum(x * x), {x})[0]) == Values{4});
}

// C11: guards that outlive their tape, or end in another order -----------------------------------------

TEST_CASE("faults: C11: every guard may outlive its tape") {
  Profile profile;
  std::optional<Tape::Pause> off, moved_off;
  std::optional<Tape::Profiling> on;
  std::optional<Tape::Scope> scope;
  std::optional<Tape> tape(std::in_place);
  off.emplace(tape->no_grad());
  moved_off.emplace(tape->no_grad());
  on.emplace(tape->profile(&profile));
  scope.emplace(tape->scope("model"));
  const Var x = tape->input(Array{2.0});
  tape.reset();
  tape.emplace();  // at the same address
  SUBCASE("ended before the next is used") { off.reset(), moved_off.reset(), on.reset(), scope.reset(); }
  SUBCASE("ended afterwards") { CHECK((tape->input(1.0) * 2.0).requires_grad()); }
  const std::int64_t before = calls_in(profile);
  const Var z = tape->input(Array{2.0}), y = z * z;
  CHECK(y.requires_grad());
  CHECK(scopes_in(*tape, "model") == 0);
  off.reset(), moved_off.reset(), on.reset(), scope.reset();
  CHECK((z * y).requires_grad());
  CHECK(values(grad(y, {z})[0]) == Values{4});
  CHECK(calls_in(profile) == before);
}

TEST_CASE("faults: C11: no_grad guards end in the order they began") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  std::optional<Tape::Pause> first(tape.no_grad()), second(tape.no_grad());
  first.reset();
  CHECK_FALSE((x * x).requires_grad());
  first.emplace(tape.no_grad());
  second.reset();
  CHECK_FALSE((x * x).requires_grad());
  first.reset();
  CHECK((x * x).requires_grad());
}

TEST_CASE("faults: C11: profiles end in the order they began") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  Profile a, b, c;
  std::optional<Tape::Profiling> on_a(tape.profile(&a)), on_b(tape.profile(&b)), on_c(tape.profile(&c));
  (void)exp(x);
  CHECK(calls_in(c) == 1);
  on_a.reset();
  (void)exp(x);
  CHECK(calls_in(c) == 2);
  on_c.reset();
  (void)exp(x);
  CHECK(calls_in(b) == 1);
  on_b.reset();
  (void)exp(x);
  CHECK(calls_in(a) == 0);
  CHECK(calls_in(b) == 1);
  CHECK(calls_in(c) == 2);
  const double seconds[] = {a.seconds(), b.seconds(), c.seconds()};
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  CHECK(a.seconds() == seconds[0]);
  CHECK(b.seconds() == seconds[1]);
  CHECK(c.seconds() == seconds[2]);
}

TEST_CASE("faults: C11: a profile ends before its guard, and a null one in between") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  Profile outer;
  const auto on = tape.profile(&outer);
  {
    auto profile = std::make_unique<Profile>(100);
    const auto inner = tape.profile(profile.get());
    (void)exp(x);
    CHECK(calls_in(*profile) == 1);
    profile.reset();
    (void)exp(x);
  }
  const std::int64_t before = calls_in(outer);
  (void)exp(x);
  CHECK(calls_in(outer) == before + 1);
  {
    const auto none = tape.profile(nullptr);
    (void)exp(x);
  }
  CHECK(calls_in(outer) == before + 1);
}

TEST_CASE("faults: C11: one profile on two tapes, one of which ends") {
  Profile profile;
  auto one = std::make_unique<Tape>();
  Tape two;
  auto on_one = std::make_unique<Tape::Profiling>(one->profile(&profile));
  const auto on_two = two.profile(&profile);
  (void)exp(one->input(1.0));
  one.reset();
  (void)exp(two.input(1.0));
  on_one.reset();
  (void)exp(two.input(1.0));
  CHECK(calls_in(profile) == 3);
}

TEST_CASE("faults: C11: scopes end in the order they began") {
  Tape tape;
  std::optional<Tape::Scope> a(tape.scope("a")), b(tape.scope("b")), c(tape.scope("c"));
  const Var x = tape.input(Array{2.0}), inside = x * x;
  CHECK(scopes_in(tape, "a/b/c") == 1);
  a.reset(), b.reset(), c.reset();
  const Var outside = x * inside;
  std::ostringstream out;
  tape.print(out);
  CHECK(scopes_in(tape, "a/b/c") == 1);
  CHECK(names(out.str(), "= mul(%0, %1) : float64 [1]\n"));
  a.emplace(tape.scope("d"));
  const Var again = x * outside;
  CHECK(scopes_in(tape, "d") == 1);
}

TEST_CASE("faults: C11: guards across clear, backward and rewind") {
  Tape tape;
  Parameter p(Array{2.0}, "p");
  Profile profile;
  std::optional<Tape::Scope> scope(tape.scope("model"));
  std::optional<Tape::Profiling> on(tape.profile(&profile));
  const Tape::Mark mark = tape.mark();
  Var y = tape.leaf(p) * 2.0;
  tape.rewind(mark);
  y = tape.leaf(p) * 2.0;
  backward(sum(y));
  y = tape.leaf(p) * 3.0;
  CHECK(scopes_in(tape, "model") == 1);
  std::optional<Tape::Pause> off(tape.no_grad());
  tape.clear();
  CHECK_FALSE((tape.leaf(p) * 2.0).requires_grad());
  off.reset(), scope.reset(), on.reset();
  y = tape.leaf(p) * 3.0;
  CHECK(y.requires_grad());
  CHECK(scopes_in(tape, "model") == 0);
}

TEST_CASE("faults: C11: guards that begin in a callback and end after it") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  Profile profile;
  std::optional<Tape::Pause> off;
  std::optional<Tape::Profiling> on;
  std::optional<Tape::Scope> scope;
  const auto begins = [&](const Var&) {
    off.emplace(tape.no_grad());
    on.emplace(tape.profile(&profile));
    scope.emplace(tape.scope("late"));
    return Var();
  };
  CHECK(values(grad(sum(with_hook(x * x, begins)), {x})[0]) == Values{4});
  CHECK_FALSE((x * x).requires_grad());
  const std::int64_t before = calls_in(profile);
  (void)exp(x);
  CHECK(calls_in(profile) == before + 1);
  off.reset(), on.reset(), scope.reset();
  const Var y = x * x;
  CHECK(y.requires_grad());
  CHECK(scopes_in(tape, "late") == 0);
  CHECK(calls_in(profile) == before + 1);
}

TEST_CASE("faults: C11: guards of a tape that a callback ends") {
  auto tape = std::make_unique<Tape>();
  Profile profile;
  {
    const auto off = tape->no_grad();
    const auto on = tape->profile(&profile);
    const auto scope = tape->scope("model");
    const CallingKernel kernel{[&] { tape.reset(); }};
    CHECK(names(error_of([&] { return apply(kernel, tape->input(1.0)); }), "calling_kernel"));
  }
  const double seconds = profile.seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  CHECK(profile.seconds() == seconds);
}

// C12: marks of another tape at the same address -------------------------------------------------------

TEST_CASE("faults: C12: a mark of the tape that was there before") {
  std::optional<Tape> tape(std::in_place);
  const Tape::Mark empty = tape->mark();
  const Var old = tape->input(Array{2.0}), square = old * old;
  const Tape::Mark full = tape->mark();
  tape.emplace();
  const Var x = tape->input(Array{2.0}), y = x * x, z = y * x;
  CHECK_ERROR(tape->rewind(empty), TapeMismatch, "rewind: the mark belongs to another tape");
  CHECK_ERROR(tape->rewind(full), TapeMismatch, "rewind: the mark belongs to another tape");
  CHECK_ERROR(tape->rewind(Tape::Mark{}), TapeMismatch, "rewind: the mark belongs to another tape");
  CHECK(tape->statistics().instructions == 2);
  CHECK(values(grad(z, {x})[0]) == Values{12});
  tape->rewind(tape->mark());
  CHECK(values(grad(z, {x})[0]) == Values{12});
}

TEST_CASE("faults: C12: a hundred tapes on the heap, each with the marks of those before") {
  std::vector<Tape::Mark> marks;
  for (int i = 0; i < 100; ++i) {
    const auto tape = std::make_unique<Tape>();
    const Var x = tape->input(Array{2.0}), y = x * x;
    for (const Tape::Mark& mark : marks) REQUIRE_THROWS_AS(tape->rewind(mark), TapeMismatch);
    REQUIRE(tape->statistics().instructions == 1);
    marks.push_back(tape->mark());
    tape->rewind(marks.back());
    REQUIRE(values(grad(y, {x})[0]) == Values{4});
  }
}

TEST_CASE("faults: C12: handles of the tape that was there before") {
  std::optional<Tape> tape(std::in_place);
  const Var old = tape->input(Array{2.0});
  tape.emplace();
  const Var x = tape->input(Array{3.0});
  CHECK_THROWS_AS(x + old, StaleVar);
  CHECK_THROWS_AS(old + x, StaleVar);
  CHECK_THROWS_AS(grad(x * x, {old}), StaleVar);
  CHECK_THROWS_AS(grad(x * x, {x}, weighted(old)), StaleVar);
}

// C14: references into what is used again --------------------------------------------------------------

TEST_CASE("faults: C14: the shape of a temporary outlives it") {
  Tape tape;
  const Var x = tape.input(Array{1, 2});
  const Shape& s = (x + 1.0).shape();
  const Shape& t = Var(x * 2.0).shape();
  for (int i = 0; i < 10; ++i) (void)(tape.input(Array{{1, 2, 3}}) * 2.0);
  const Var y = tape.input(Array{{1, 2, 3}});
  CHECK(s == Shape{2});
  CHECK(t == Shape{2});
  std::int64_t product = 1;
  for (const std::int64_t n : reshape(x, {1, 2}).shape()) {
    const Var other = tape.input(Array{{1, 2, 3}}) + 1.0;
    product *= n;
  }
  CHECK(product == 2);
}

TEST_CASE("faults: C14: only a named Var lends its shape") {
  static_assert(std::is_same_v<decltype(std::declval<Var>().shape()), Shape>);
  static_assert(std::is_same_v<decltype(std::declval<const Var>().shape()), Shape>);
  static_assert(std::is_same_v<decltype(std::declval<Var&>().shape()), const Shape&>);
  static_assert(std::is_same_v<decltype(std::declval<const Var&>().shape()), const Shape&>);
  Tape tape;
  std::optional<Var> x(tape.input(Array{1, 2}));
  const Shape& s = std::move(*x).shape();
  x.reset();
  (void)tape.input(Array{{1, 2, 3}});
  CHECK(s == Shape{2});
}
