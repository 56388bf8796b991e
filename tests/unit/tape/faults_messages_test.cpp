// Functions that are empty, kernels that throw, the gradient checker, and derivatives of what has none (kinds
// C20, C21 and C23).
#include <algorithm>
#include <stdexcept>

#include "tests/unit/tape/faults.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/ops/shape.hpp"
#include "xgrad/tape/profile.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

/// The sum of two, with a kernel that throws when it is told to.
struct Failing {
  static constexpr const char* name = "failing";
  static constexpr Reads reads[] = {kReadsNothing};
  const bool* fails;
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View y, Write write) const {
    if (*fails) throw std::runtime_error("from the kernel");
    SumOfOperands{}.eval(x, y, write);
  }
  void vjp(Backward& b) const {
    b.dx(0) += apply(Failing{fails}, b.dy());
    b.dx(0) += b.dy() * 0.0;
  }
};

bool begins_with(const std::string& text, const std::string& word) { return text.rfind(word, 0) == 0; }

/// An elementwise function of x with a vjp that is written in dy.
template <class Vjp>
TensorFunction with_vjp(Vjp vjp) {
  return [vjp](std::span<const Var> x) {
    return custom_vjp<"checked">([](std::span<const Var> v) { return sin(v[0]); },
                                 [vjp](std::span<const Var> v, const Var&, const Var& dy) {
                                   return std::vector<Var>{vjp(dy) * cos(v[0])};
                                 })(x);
  };
}

const char* const kNotLinear = "the derivative is not linear in the cotangent";

template <class Vjp>
void check_not_linear(Vjp vjp) {
  for (const Array& x : {Array{0.5}, Array{0.3, -0.7}, Array{0.1, 0.2, 0.3, 0.4, 0.5}}) {
    for (const std::uint64_t seed : {0, 1, 2}) {
      const GradcheckReport report = gradcheck(with_vjp(vjp), {x}, {.seed = seed});
      CAPTURE(report.text());
      CHECK_FALSE(report.failures.empty());
      CHECK(names(report.text(), kNotLinear));
    }
  }
}

}  // namespace

// C20: a kernel that throws, a function that is empty, no operands -------------------------------------

TEST_CASE("faults: C20: an empty function is named by the one that was called") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  const TensorFunction none;
  const UnaryFunction nothing;
  const std::span<const Var> xs(&x, 1);
  CHECK_ERROR(checkpoint(none, {x}), Error, "checkpoint: the function is empty");
  CHECK(begins_with(error_of([&] { return value_and_grad(none, xs); }), "value_and_grad: "));
  CHECK(begins_with(error_of([&] { return vjp(none, xs, x); }), "vjp: "));
  CHECK(begins_with(error_of([&] { return jvp(none, xs, xs); }), "jvp: "));
  CHECK(begins_with(error_of([&] { return hvp(none, xs, xs); }), "hvp: "));
  CHECK(begins_with(error_of([&] { return jacobian(none, xs); }), "jacobian: "));
  CHECK(begins_with(error_of([&] { return hessian(none, xs); }), "hessian: "));
  CHECK(begins_with(error_of([&] { return value_and_grad(nothing, x); }), "value_and_grad: "));
  CHECK(begins_with(error_of([&] { return vjp(nothing, x, x); }), "vjp: "));
  CHECK(begins_with(error_of([&] { return jvp(nothing, x, x); }), "jvp: "));
  CHECK(begins_with(error_of([&] { return hvp(nothing, x, x); }), "hvp: "));
  CHECK(begins_with(error_of([&] { return jacobian(nothing, x); }), "jacobian: "));
  CHECK(begins_with(error_of([&] { return hessian(nothing, x); }), "hessian: "));
  CHECK(tape.statistics().slots == 1);
}

TEST_CASE("faults: C20: an empty function for gradcheck, a hook, and under no_grad") {
  CHECK(begins_with(error_of([] { return gradcheck({}, {Array{1.0}}); }), "gradcheck: "));
  CHECK(begins_with(error_of([] { return gradgradcheck({}, {Array{1.0}}); }), "gradgradcheck: "));
  Tape tape;
  const Var x = tape.input(Array{2.0}), c = tape.constant(Array{2.0});
  CHECK_ERROR(with_hook(x, {}), Error, "hook: the function is empty");
  CHECK_ERROR(checkpoint({}, {c}), Error, "checkpoint: the function is empty");
  const auto off = tape.no_grad();
  CHECK_ERROR(checkpoint({}, {x}), Error, "checkpoint: the function is empty");
  CHECK(begins_with(error_of([&] { return value_and_grad(UnaryFunction(), x); }), "value_and_grad: "));
}

TEST_CASE("faults: C20: no operands are named by the function that was called") {
  const TensorFunction f = [](std::span<const Var> v) { return v[0]; };
  const std::span<const Var> none;
  Tape tape;
  const Var u = tape.input(1.0);
  CHECK(begins_with(error_of([&] { return checkpoint(f, none); }), "checkpoint: "));
  CHECK(begins_with(error_of([&] { return value_and_grad(f, none); }), "value_and_grad: "));
  CHECK(begins_with(error_of([&] { return vjp(f, none, u); }), "vjp: "));
  CHECK(begins_with(error_of([&] { return jvp(f, none, none); }), "jvp: "));
  CHECK(begins_with(error_of([&] { return hvp(f, none, none); }), "hvp: "));
  CHECK(begins_with(error_of([&] { return jacobian(f, none); }), "jacobian: "));
  CHECK(begins_with(error_of([&] { return hessian(f, none); }), "hessian: "));
}

TEST_CASE("faults: C20: a function that gives nothing, or something of another tape") {
  Tape tape, other;
  const Var x = tape.input(Array{2.0}), far = other.input(Array{3.0});
  const TensorFunction empty = [](std::span<const Var>) { return Var(); };
  const TensorFunction foreign = [&](std::span<const Var>) { return far * 2.0; };
  const std::span<const Var> xs(&x, 1);
  for (const TensorFunction& f : {empty, foreign}) {
    CHECK_THROWS_AS(checkpoint(f, {x}), Error);
    CHECK_THROWS_AS(value_and_grad(f, xs), Error);
    CHECK_THROWS_AS(jvp(f, xs, xs), Error);
    CHECK_THROWS_AS(jacobian(f, xs), Error);
    CHECK_THROWS_AS(hessian(f, xs), Error);
  }
  const Var y = sum(with_hook(x * x, [&](const Var&) { return far * 1.0; }));
  CHECK_THROWS_AS(grad(y, {x}), Error);
  int runs = 0;
  const TensorFunction later = [&](std::span<const Var> v) { return runs++ ? Var() : v[0] * 2.0; };
  const Var z = sum(checkpoint(later, {x}));
  CHECK_THROWS_AS(grad(z, {x}), Error);
  CHECK(values(grad(sum(x * x), {x})[0]) == Values{4});
}

TEST_CASE("faults: C20: what a kernel throws comes out, wherever it runs") {
  Tape tape;
  bool fails = true;
  const Var x = tape.input(Array{2.0});
  const TapeStatistics before = tape.statistics();
  CHECK_THROWS_WITH(apply(Failing{&fails}, x), "from the kernel");
  CHECK_THROWS_WITH(apply(Failing{&fails}, x * 2.0), "from the kernel");
  {
    const auto off = tape.no_grad();
    CHECK_THROWS_WITH(apply(Failing{&fails}, x), "from the kernel");
  }
  const TensorFunction f = [&](std::span<const Var> v) { return apply(Failing{&fails}, v[0] * 2.0); };
  CHECK_THROWS_WITH(checkpoint(f, {x}), "from the kernel");
  CHECK_THROWS_WITH(value_and_grad(f, std::span(&x, 1)), "from the kernel");
  CHECK(same_counts(tape.statistics(), before));
  fails = false;
  const Var y = sum(checkpoint(f, {x})), z = sum(apply(Failing{&fails}, x));
  fails = true;
  const TapeStatistics both = tape.statistics();
  for (const Var& v : {y, z}) {
    CHECK_THROWS_WITH(grad(v, {x}), "from the kernel");
    CHECK_THROWS_WITH(grad(v, {x}, recorded()), "from the kernel");
  }
  CHECK(same_counts(tape.statistics(), both));
  fails = false;
  CHECK(values(grad(y + z, {x})[0]) == Values{3});
}

TEST_CASE("faults: C20: a kernel that throws while it is measured, and while values are checked") {
  Tape tape;
  bool fails = true;
  Profile profile(10);
  const Var x = tape.input(Array{2.0});
  {
    const auto on = tape.profile(&profile);
    CHECK_THROWS_WITH(apply(Failing{&fails}, x), "from the kernel");
    tape.detect_nan();
    CHECK_THROWS_WITH(apply(Failing{&fails}, x), "from the kernel");
    fails = false;
    CHECK(values(apply(Failing{&fails}, x)) == Values{2});
    fails = true;
    const Var y = x * 1.0;
    const Var z = sum(with_hook(y, [&](const Var& dy) { return apply(Failing{&fails}, dy); }));
    CHECK_THROWS_WITH(grad(z, {x}), "from the kernel");
  }
  CHECK(tape.statistics().instructions == 0);
}

// C21: the gradient checker passes wrong derivatives ---------------------------------------------------

TEST_CASE("faults: C21: the square of the cotangent") {
  check_not_linear([](const Var& dy) { return dy * dy; });
}
TEST_CASE("faults: C21: its absolute value") {
  check_not_linear([](const Var& dy) { return abs(dy); });
}
TEST_CASE("faults: C21: clipped at 1, as for a stable training") {
  check_not_linear([](const Var& dy) { return clamp(dy, -1, 1); });
}
TEST_CASE("faults: C21: its cube, its sign, its positive part") {
  check_not_linear([](const Var& dy) { return dy * dy * dy; });
  check_not_linear([](const Var& dy) { return sign(dy); });
  check_not_linear([](const Var& dy) { return maximum(dy, filled_like(dy, 0)); });
}
TEST_CASE("faults: C21: rounded, and normalised") {
  check_not_linear([](const Var& dy) { return round(dy); });
  check_not_linear([](const Var& dy) { return dy / (norm(dy) + 1e-300); });
  check_not_linear([](const Var& dy) { return dy / (max(abs(dy)) + 1e-300); });
}

TEST_CASE("faults: C21: a cotangent clipped by a hook") {
  const TensorFunction f = [](std::span<const Var> x) {
    return sin(with_hook(x[0], [](const Var& dy) { return clamp(dy, -1, 1); }));
  };
  const GradcheckReport report = gradcheck(f, {Array{0.1, -0.2}});
  CHECK(names(report.text(), kNotLinear));
}

TEST_CASE("faults: C21: in a struct op, and with two operands of which one is wrong") {
  const CallingOp op{[](Backward& b) { b.dx(0) += b.dy() * abs(b.dy()); }};
  const TensorFunction f = [&](std::span<const Var> x) { return x[0] * apply(op, x[1]); };
  const GradcheckReport report = gradcheck(f, {Array{1, 1}, Array{0.5, 0.25}});
  CHECK(names(report.text(), kNotLinear));
  CHECK(std::any_of(report.failures.begin(), report.failures.end(),
                    [](const GradcheckFailure& failure) { return failure.operand == 1; }));
}

TEST_CASE("faults: C21: linear ones pass, large, small and badly scaled ones too") {
  const std::pair<double, Array> all[] = {{1, Array{0.5, -0.25}},
                                          {1e6, Array{0.5, -0.25}},
                                          {1e-6, Array{0.5}},
                                          {1, Array{1e4, 1e-4}},
                                          {1e3, Array{}}};
  for (const auto& [scale, x] : all) {
    const double factor = scale;
    const TensorFunction f = [factor](std::span<const Var> v) {
      return (v[0] * v[0] + sum(v[0]) * 3) * factor;
    };
    CAPTURE(factor);
    for (const std::uint64_t seed : {0, 1, 2, 3, 4}) {
      const GradcheckReport report = gradcheck(f, {x}, {.seed = seed});
      CAPTURE(report.text());
      CHECK_FALSE(names(report.text(), kNotLinear));
    }
  }
  CHECK(gradcheck([](std::span<const Var> v) { return exp(v[0]) * v[1]; }, {Array{1, 2}, Array{3, 4}}));
  CHECK(gradgradcheck([](std::span<const Var> v) { return exp(v[0]) * v[1]; }, {Array{1, 2}, Array{3, 4}}));
}

TEST_CASE("faults: C21: gradgradcheck looks at the second derivative's cotangents") {
  // The first derivative is right; the derivative of the derivative is clipped by the hook on it.
  const auto clip = [](const Var& dy) { return clamp(dy, -1, 1); };
  const TensorFunction f = [&](std::span<const Var> x) {
    return custom_vjp<"second">([](std::span<const Var> v) { return sin(v[0]); },
                                [&](std::span<const Var> v, const Var&, const Var& dy) {
                                  return std::vector<Var>{dy * with_hook(cos(v[0]), clip)};
                                })(x);
  };
  CHECK(gradcheck(f, {Array{0.5, -0.25}}));
  CHECK_FALSE(gradgradcheck(f, {Array{0.5, -0.25}}).failures.empty());
}

// C23: a derivative of what has none -------------------------------------------------------------------

TEST_CASE("faults: C23: results of derivatives without create_graph") {
  Tape tape;
  const Var x = tape.input(Array{2.0}), v = tape.constant(Array{1.0});
  const Var all[] = {
      grad(cube_sum(x), {x})[0],
      value_and_grad(cube_sum, x).grads[0],
      vjp(cube, x, v).cotangents[0],
      jvp(cube, x, v).tangent,
      hvp(quartic, x, v),
      jacobian(cube, x),
      hessian(quartic, x),
      stop_gradient(x * x),
      tape.constant(Array{1.0}) * 2.0,
  };
  for (const Var& g : all) {
    CAPTURE(g.shape().rank());
    CHECK_THROWS_AS(grad(sum(g), {x}), NotDifferentiable);
    CHECK_THROWS_AS(grad(sum(g), {x}, recorded()), NotDifferentiable);
    CHECK_THROWS_AS(grad(g, {x}, weighted(g)), NotDifferentiable);
    CHECK_THROWS_AS(backward(sum(g)), NotDifferentiable);
  }
  // A derivative that is zero everywhere is one.
  CHECK(values(grad(sum(floor(x * 0.75)), {x})[0]) == Values{0});
}

TEST_CASE("faults: C23: one of several has none") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  const Var with = sum(x * x), without = sum(stop_gradient(x) * 3.0);
  const Var cotangents[] = {Var(), Var()};
  const Var first[] = {with, without}, second[] = {without, with}, both[] = {with, with};
  CHECK_THROWS_AS(grad(first, cotangents, std::span(&x, 1)), NotDifferentiable);
  CHECK_THROWS_AS(grad(second, cotangents, std::span(&x, 1), true), NotDifferentiable);
  CHECK(values(grad(both, cotangents, std::span(&x, 1))[0]) == Values{8});
}

TEST_CASE("faults: C23: what needs a gradient, but not from x, gives zeros") {
  Tape tape;
  Parameter p(Array{2.0});
  const Var x = tape.input(Array{2, 3}), z = tape.input(Array{4.0});
  CHECK(values(grad(sum(z * z), {x})[0]) == Values{0, 0});
  CHECK(values(grad(sum(tape.leaf(p) * 2.0), {x, z})[1]) == Values{0});
  const Var ys[] = {sum(z * z), sum(x)}, cotangents[] = {Var(), Var()}, xs[] = {x, z};
  const std::vector<Var> g = grad(ys, cotangents, xs);
  CHECK(values(g[0]) == Values{1, 1});
  CHECK(values(g[1]) == Values{8});
  CHECK(values(grad(z, {z})[0]) == Values{1});
}

TEST_CASE("faults: C23: functions whose result is constant or linear still give zeros") {
  Tape tape;
  const Var x = tape.input(Array{2, 3}), v = tape.constant(Array{1, 1});
  const UnaryFunction constant = [](const Var& z) { return z.tape().constant(7, DType::float64); };
  const UnaryFunction stopped = [](const Var& z) { return sum(stop_gradient(z)); };
  const UnaryFunction captured = [&](const Var&) { return sum(x * x); };
  for (const UnaryFunction& f : {constant, stopped}) {
    CHECK(values(value_and_grad(f, x).grads[0]) == Values{0, 0});
    CHECK(values(value_and_grad(f, x, true).grads[0]) == Values{0, 0});
    CHECK(values(vjp(f, x, tape.constant(1, DType::float64)).cotangents[0]) == Values{0, 0});
    CHECK(values(jvp(f, x, v).tangent) == Values{0});
    CHECK(values(hvp(f, x, v)) == Values{0, 0});
    CHECK(values(jacobian(f, x)) == Values{0, 0});
    CHECK(values(hessian(f, x)) == Values{0, 0, 0, 0});
  }
  CHECK(values(value_and_grad(captured, tape.input(Array{5.0})).grads[0]) == Values{0});
  const UnaryFunction linear = [](const Var& z) { return sum(z * 3.0); };
  CHECK(values(hvp(linear, x, v)) == Values{0, 0});
  CHECK(values(hvp(linear, x, v, true)) == Values{0, 0});
  CHECK(values(hessian(linear, x)) == Values{0, 0, 0, 0});
  CHECK(values(jvp(linear, x, v).tangent) == Values{6});
  const TensorFunction rounds = [](std::span<const Var> z) { return floor(z[0]); };
  CHECK(gradcheck(rounds, {Array{0.5, 1.25}}).failures.empty());
}

TEST_CASE("faults: C23: in callbacks, where the cotangent is a constant") {
  Tape tape;
  Parameter p(Array{2.0});
  const Var x = tape.input(Array{2.0});
  int calls = 0;
  const auto look = [&](const Var& dy) {
    CHECK_THROWS_AS(grad(sum(dy * dy), {x}), NotDifferentiable);
    CHECK_THROWS_AS(grad(sum(x * x), {dy}), NotDifferentiable);
    CHECK_THROWS_AS(backward(sum(dy * dy)), NotDifferentiable);
    ++calls;
    return Var();
  };
  CHECK(values(grad(sum(with_hook(x * x, look)), {x})[0]) == Values{4});
  backward(sum(with_hook(tape.leaf(p) * 3.0, look)));
  CHECK(grad_of(p) == Values{3});
  CHECK(calls == 2);
}
