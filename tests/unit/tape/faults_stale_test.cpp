// Handles after their recording is gone, a Var's truth and its views (kinds C24, C25 and C26): what is stale
// is refused only where a derivative could flow.
#include "tests/unit/tape/faults.hpp"
#include "xgrad/ops/index.hpp"
#include "xgrad/ops/order.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/ops/shape.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

/// The sum of its operands, an op without derivative.
struct ConstantOp : SumOfOperands {
  static constexpr const char* name = "constant_sum";
  static constexpr bool constant = true;
};

enum class Ends { backward, clear, rewind };
constexpr Ends kAllEnds[] = {Ends::backward, Ends::clear, Ends::rewind};

/// A parameter 2, an input 3 and their product, whose recording has ended.
struct Ended {
  Tape tape;
  Parameter p{Array{2.0}, "p"};
  Var x, y;
  explicit Ended(Ends how) {
    x = tape.input(Array{3.0});
    const Tape::Mark mark = tape.mark();
    y = x * tape.leaf(p);
    if (how == Ends::backward) backward(sum(y));
    if (how == Ends::clear) tape.clear();
    if (how == Ends::rewind) tape.rewind(mark);
  }
};

template <class T>
constexpr bool has_truth = requires(T& v) { v ? 1 : 0; } || requires(T& v) { !v; } || requires(T& a, T& b) {
  a&& b;
} || requires(T& a, T& b) { a || b; } || std::is_constructible_v<bool, T> || std::is_convertible_v<T, bool>;
template <class T>
constexpr bool lends_views = requires { std::declval<T>().view(); } || requires {
  std::declval<T>().template value<double>();
} || requires { std::declval<T>().template value<float>(); };
template <class T>
constexpr bool joins_bools = requires(const T& a) { a && true; } || requires(const T& a) { false || a; } ||
                             requires(const T& a) { static_cast<bool>(a); };
template <class T>
constexpr bool lends_results = requires(const T& x) { (x * 2.0).view(); } || requires(const T& x) {
  sum(x).template value<double>();
} || requires(T& x) { std::move(x).view(); };
template <class T>
constexpr bool lends_bools = requires { std::declval<T>().template value<bool>(); };

}  // namespace

// C24: staleness where no derivative could flow --------------------------------------------------------

TEST_CASE("faults: C24: constants from before the loop, and what is computed from them") {
  Tape tape;
  Parameter p(Array{2.0}, "p");
  const Var c = tape.constant(Array{3.0}), twice = c * 2.0, shaped = reshape(twice, {1});
  const Var mask = greater(c, twice), one = tape.constant(1, DType::float64);
  for (int i = 0; i < 5; ++i) {
    p.zero_grad();
    backward(sum(tape.leaf(p) * c + where(mask, c, tape.leaf(p) * shaped)) * one);
    CHECK(grad_of(p) == Values{9});
    if (i == 2) tape.clear();
    if (i == 3) tape.rewind(tape.mark());
  }
  CHECK_FALSE(c.requires_grad());
}

TEST_CASE("faults: C24: what no_grad, stop_gradient and grad gave is a constant") {
  Tape tape;
  Parameter p(Array{2.0}, "p");
  const Var x = tape.input(Array{3.0});
  Var paused;
  {
    const auto off = tape.no_grad();
    paused = x * x;
  }
  const Var stopped = stop_gradient(x * 2.0), slope = grad(cube_sum(x), {x})[0];
  backward(sum(tape.leaf(p) * x));
  CHECK(values(paused + stopped + slope) == Values{42});
  backward(sum(tape.leaf(p) * paused));
  CHECK(grad_of(p) == Values{12});
  const Var z = tape.input(Array{1.0});
  CHECK(values(grad(z * stopped, {z}, weighted(slope))[0]) == Values{162});
  CHECK(values(jvp(cube, z, slope).tangent) == Values{81});
}

TEST_CASE("faults: C24: a moving average of gradients, and a state that is carried over") {
  Tape tape;
  Parameter p(Array{2.0}, "p");
  Var average, state = tape.constant(Array{1.0});
  for (int i = 0; i < 4; ++i) {
    const Var w = tape.leaf(p), h = state * w;
    const Var g = grad(sum(w * w), {w})[0];
    average = average.defined() ? average * 0.5 + g * 0.5 : g;
    backward(sum(h * h));
    state = stop_gradient(h);
  }
  CHECK(values(average) == Values{4});
  CHECK(values(state) == Values{16});
  CHECK(grad_of(p) == Values{340});  // 2 h h / p, summed up: 4 + 16 + 64 + 256
}

TEST_CASE("faults: C24: a stale one may enter ops without derivative") {
  for (const Ends how : kAllEnds) {
    Ended e(how);
    const Var c = e.tape.constant(Array{6.0}), logits = e.y;
    CHECK(values(logits) == Values{6});
    CHECK(argmax(logits).item<std::int64_t>() == 0);
    CHECK(argsort(logits).size() == 1);
    CHECK(equal(logits, c).array<bool>()(0));
    CHECK_FALSE(greater(c, logits).array<bool>()(0));
    CHECK(less_equal(logits, logits).array<bool>()(0));
    CHECK(values(sign(logits)) == Values{1});
    CHECK(values(floor(logits) + 1.0) == Values{7});
    CHECK(values(stop_gradient(logits) * 2.0) == Values{12});
    CHECK(values(apply(ConstantOp{}, c, logits)) == Values{12});
    const Var z = e.tape.input(Array{5.0});
    CHECK(values(grad(sum(where(equal(logits, c), z * z, z)), {z})[0]) == Values{10});
    CHECK(values(one_hot(argmax(logits), 2, DType::float64)) == Values{1, 0});
  }
}

TEST_CASE("faults: C24: a stale one may enter anything under no_grad") {
  for (const Ends how : kAllEnds) {
    Ended e(how);
    Var twice, total, exponential;
    {
      const auto off = e.tape.no_grad();
      twice = e.y * 2.0;
      total = sum(e.y * e.tape.leaf(e.p));
      exponential = exp(e.y - 6.0);
      CHECK(values(identity(e.y)) == Values{6});
    }
    CHECK_FALSE(twice.requires_grad());
    CHECK(values(twice + exponential) == Values{13});
    CHECK(values(total) == Values{12});
    const Var z = e.tape.input(Array{5.0});
    CHECK(values(grad(sum(z * twice), {z})[0]) == Values{12});
  }
}

TEST_CASE("faults: C24: where a derivative could flow it is still refused") {
  for (const Ends how : kAllEnds) {
    Ended e(how);
    const Var z = e.tape.input(Array{5.0});
    CHECK_THROWS_AS(e.y + 1.0, StaleVar);
    CHECK_THROWS_AS(z * e.y, StaleVar);
    CHECK_THROWS_AS(e.tape.constant(Array{1.0}) + e.y, StaleVar);
    CHECK_THROWS_AS(with_hook(e.y, [](const Var& dy) { return dy; }), StaleVar);
    CHECK_THROWS_AS(backward(sum(z) + e.y), StaleVar);
    CHECK_THROWS_AS(grad(e.y, {z}), StaleVar);
    CHECK_THROWS_AS(grad(z, {e.y}), StaleVar);
    CHECK_THROWS_AS(where(greater(z, z), z, e.y), StaleVar);
    const TensorFunction f = [&](std::span<const Var> v) { return v[0] * e.y; };
    CHECK_THROWS_AS(checkpoint(f, {z}), StaleVar);
    CHECK_THROWS_AS(value_and_grad([&](const Var& v) { return sum(v * e.y); }, z), StaleVar);
  }
}

TEST_CASE("faults: C24: labels, masks and weights of a training loop in float32") {
  Tape tape;
  Parameter p(xt::xarray<float>{1, 2, 3}, "p");
  const Var labels = tape.constant(xt::xarray<std::int64_t>{2, 0}),
            weights = tape.constant(xt::xarray<float>{1, 4});
  Var predicted;
  for (int i = 0; i < 3; ++i) {
    p.zero_grad();
    const Var logits = tape.leaf(p) * tape.constant(xt::xarray<float>{{1, 1, 1}, {2, 2, 2}});
    backward(sum(sum(one_hot(labels, 3) * logits, 1) * weights));
    CHECK(grad_of(p) == Values{8, 0, 1});
    predicted = argmax(logits, 1);  // after backward
    CHECK(equal(predicted, labels).array<bool>()(0));
    CHECK_FALSE(equal(predicted, labels).array<bool>()(1));
  }
}

TEST_CASE(
    "faults: C24: constants in checkpoints, custom_vjps and functional derivatives of later recordings") {
  Tape tape;
  Parameter p(Array{2.0}, "p");
  const Var c = tape.constant(Array{3.0});
  const TensorFunction f = [&](std::span<const Var> v) { return v[0] * c; };
  const auto custom = custom_vjp<"scaled">(
      [&](std::span<const Var> v) { return v[0] * c; },
      [&](std::span<const Var>, const Var&, const Var& dy) { return std::vector<Var>{dy * c}; });
  for (int i = 0; i < 3; ++i) {
    p.zero_grad();
    backward(sum(checkpoint(f, {tape.leaf(p)}) + custom(tape.leaf(p))));
    CHECK(grad_of(p) == Values{6});
    CHECK(values(value_and_grad(cube_sum, c).grads[0]) == Values{27});
    CHECK(values(hvp([&](const Var& v) { return sum(v * v * c); }, c, c)) == Values{18});
    tape.clear();
  }
}

// C25: a Var's truth -----------------------------------------------------------------------------------

TEST_CASE("faults: C25: a Var has no truth") {
  static_assert(!has_truth<Var>);
  static_assert(!has_truth<const Var>);
  static_assert(!std::is_constructible_v<bool, const Var&>);
  static_assert(!std::is_constructible_v<int, Var> && !std::is_convertible_v<Var, double>);
  static_assert(!joins_bools<Var>);
  Tape tape;
  const Var none, x = tape.input(Array{2.0});
  CHECK_FALSE(none.defined());
  CHECK(x.defined());
  CHECK(greater(x, x).defined());
  CHECK_FALSE(greater(x, x).item<bool>());
}

TEST_CASE("faults: C25: an Arg has none either") {
  static_assert(!std::is_constructible_v<bool, Arg> && !std::is_convertible_v<Arg, bool>);
  static_assert(!has_truth<Arg> && !joins_bools<Arg>);
  Tape tape;
  const Var x = tape.input(Array{2.0});
  CHECK(Arg(x).take().defined());
}

// C26: views of temporaries ----------------------------------------------------------------------------

TEST_CASE("faults: C26: only a named Var lends its values") {
  static_assert(!lends_views<Var> && !lends_views<const Var> && !lends_bools<Var>);
  static_assert(lends_views<Var&> && lends_views<const Var&> && lends_bools<Var&>);
  static_assert(!lends_results<Var>);
  Tape tape;
  const Var x = tape.input(Array{2.0});
  CHECK((x * 2.0).array<double>()(0) == 4);
  CHECK((x * 2.0).item<double>() == 4);
}

TEST_CASE("faults: C26: a view stays what it is while other values come and go") {
  Tape tape;
  const Var x = tape.input(Array{1, 2}), y = x * 2.0;
  const ConstView seen = y.view();
  const auto value = y.value<double>();
  for (int i = 0; i < 10; ++i) (void)(tape.input(Array{7, 7}) * 3.0);
  Var copy = y;
  copy = exp(std::move(copy));  // y still names it
  CHECK(values(seen) == Values{2, 4});
  CHECK(value(1) == 4);
}
