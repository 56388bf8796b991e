// Every way to take a derivative, inside everything that calls the user's functions, inside every way to
// take a derivative. All inner ones give 3 v^2, so what lies around them has a closed form.
#include <map>

#include "tests/unit/tape/faults.hpp"
#include "xgrad/ops/reduce.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

/// 3 v^2, by some derivative.
struct Inner {
  std::string name;
  bool in_struct_vjp;  ///< needs no derivative by a value from before the pass
  bool under_no_grad;  ///< records its function itself
  std::function<Var(const Var&)> f;
  bool consumes = false;  ///< what it may only where its own recording can be told apart: in a callback
};

Var by_parameter(const Var& v, bool keep_recording) {
  Parameter w(Array{1.0}, "w");
  backward(cube_sum(v.tape().leaf(w)), {.keep_recording = keep_recording});
  return v * v * grad_of(w)[0];  // 3 w^2 = 3
}

Var by_unrelated_input(const Var& v) {
  const Var z = v.tape().input(1.0);
  return v * v * grad(z * z * z, {z})[0].item<double>();
}

Var after_a_failure(const Var& v) {
  const Var z = v.tape().input(1.0);
  try {
    (void)grad(apply(NoDerivative{}, z * 2.0) * z, {z});
  } catch (const NotDifferentiable&) {
  }
  return 3 * v * v;
}

Var after_a_function_that_throws(const Var& v) {
  const UnaryFunction f = [](const Var& x) {
    const Var kept = x * x;
    throw Error("from the function");
    return kept;
  };
  CHECK_ERROR(value_and_grad(f, v), Error, "from the function");
  CHECK_ERROR(hvp(f, v, filled_like(v, 1)), Error, "from the function");
  return 3 * v * v;
}

Var by_gradcheck(const Var& v) {
  const TensorFunction f = [](std::span<const Var> x) { return cube(x[0]); };
  return v * v * (gradcheck(f, {Array{1, 2}}) ? 3.0 : 0.0);
}

Var on_another_tape(const Var& v) {
  Tape other;
  const Var z = other.input(1.0);
  return v * v * grad(z * z * z, {z})[0].item<double>();
}

Var by_checkpoint(const Var& v) {
  const TensorFunction f = [](std::span<const Var> x) { return cube_sum(x[0]); };
  return value_and_grad([&](const Var& x) { return checkpoint(f, {x}); }, v, true).grads[0];
}

Var by_hook(const Var& v) {
  const auto same = [](const Var& dy) { return dy * 1.0; };
  const auto f = [&](const Var& x) { return cube_sum(with_hook(x, same)); };
  return value_and_grad(f, v, true).grads[0];
}

Var by_custom_vjp(const Var& v) {
  const auto cubed = custom_vjp<"cubed">([](std::span<const Var> x) { return cube(x[0]); },
                                         [](std::span<const Var> x, const Var&, const Var& dy) {
                                           return std::vector<Var>{dy * 3 * x[0] * x[0]};
                                         });
  return value_and_grad([&](const Var& x) { return sum(cubed(x)); }, v, true).grads[0];
}

Var by_two_levels(const Var& v) {
  const auto slope = [](const Var& x) { return value_and_grad(quartic, x, true).grads[0]; };  // v^3
  return value_and_grad([&](const Var& x) { return sum(slope(x)); }, v, true).grads[0];
}

Var by_value_and_grad(const Var& v) { return value_and_grad(cube_sum, v, true).grads[0]; }

const std::vector<Inner>& inner_derivatives() {
  static const std::vector<Inner> all{
      {"none", true, true, [](const Var& v) { return 3 * v * v; }},
      {"grad", false, false, [](const Var& v) { return grad(cube_sum(v), {v}, recorded())[0]; }},
      {"grad of several", false, false,
       [](const Var& v) {
         const Var ys[] = {cube(v), cube_sum(v)}, cotangents[] = {filled_like(v, 0.5), Var()};
         return grad(ys, cotangents, std::span(&v, 1), true)[0] * (2.0 / 3);
       }},
      {"grad of grad", false, false,
       [](const Var& v) { return grad(sum(grad(quartic(v), {v}, recorded())[0]), {v}, recorded())[0]; }},
      {"value_and_grad", true, true, by_value_and_grad},
      {"vjp", true, true, [](const Var& v) { return vjp(cube, v, filled_like(v, 1), true).cotangents[0]; }},
      {"jvp", true, true, [](const Var& v) { return jvp(cube, v, filled_like(v, 1), true).tangent; }},
      {"hvp", true, true, [](const Var& v) { return hvp(quartic, v, filled_like(v, 1), true); }},
      {"jacobian", true, true, [](const Var& v) { return sum(jacobian(cube, v, true), 1); }},
      {"hessian", true, true, [](const Var& v) { return sum(hessian(quartic, v, true), 1); }},
      {"two levels", true, true, by_two_levels},
      {"checkpoint", true, true, by_checkpoint},
      {"hook", true, true, by_hook},
      {"custom_vjp", true, true, by_custom_vjp},
      {"backward", true, false, [](const Var& v) { return by_parameter(v, false); }, true},
      {"backward, kept", true, false, [](const Var& v) { return by_parameter(v, true); }},
      {"unrelated input", true, false, by_unrelated_input},
      {"failure", true, true, after_a_failure},
      {"function that throws", true, true, after_a_function_that_throws},
      {"gradcheck", true, true, by_gradcheck},
      {"another tape", true, true, on_another_tape},
  };
  return all;
}

/// One that works everywhere.
const Inner& recorded_inner() {
  static const Inner inner{"value_and_grad", true, true, by_value_and_grad};
  return inner;
}

// Where it is taken. Each site gives one number; its first three derivatives are in `Site`.
struct Site {
  const char* name;
  double coefficient;  ///< of the value, the sum of coefficient x^power
  int power;
  Var (*f)(const Inner&, const Var&);

  Values derivative(int order, const Array& x) const {
    Values result;
    for (double v : x) {
      double d = coefficient;
      for (int k = 0; k < power; ++k) d *= k < order ? power - k : v;
      result.push_back(d);
    }
    return result;
  }
};

Var squared(const Inner& inner, const Var& x) {
  const Var g = inner.f(x);
  return sum(g * g);  // 9 x^4
}

Var plain(const Inner& inner, const Var& x) { return squared(inner, x); }

Var in_checkpoint(const Inner& inner, const Var& x) {
  return checkpoint([inner](std::span<const Var> v) { return squared(inner, v[0]); }, {x});
}

Var in_two_checkpoints(const Inner& inner, const Var& x) {
  return checkpoint([inner](std::span<const Var> v) { return in_checkpoint(inner, v[0]); }, {x});
}

/// The value of the cube, with the derivative of `through`, which is x itself.
Var cube_through(const Var& through, const Var& x) { return sum(through + stop_gradient(cube(x) - x)); }

Var in_hook(const Inner& inner, const Var& x) {
  return cube_through(with_hook(x, [inner, x](const Var& dy) { return dy * inner.f(x); }), x);
}

Var in_custom_function(const Inner& inner, const Var& x) {
  const auto f = custom_vjp<"custom">(
      [inner](std::span<const Var> v) {
        return squared(inner.under_no_grad ? inner : recorded_inner(), v[0]);
      },
      [](std::span<const Var> v, const Var&, const Var& dy) {
        return std::vector<Var>{dy * 36 * cube(v[0])};
      });
  return f(x);
}

Var in_custom_vjp(const Inner& inner, const Var& x) {
  const auto f = custom_vjp<"custom">([](std::span<const Var> v) { return cube(v[0]); },
                                      [inner](std::span<const Var> v, const Var&, const Var& dy) {
                                        return std::vector<Var>{dy * inner.f(v[0])};
                                      });
  return sum(f(x));
}

Var in_struct_vjp(const Inner& inner, const Var& x) {
  const CallingOp op{[inner](Backward& b) {
    const bool works = inner.in_struct_vjp || b.create_graph();
    b.dx(0) += b.dy() * (works ? inner : recorded_inner()).f(b.x(0));
  }};
  return cube_through(apply(op, x), x);
}

/// A hook in a checkpoint in a hook.
Var in_hook_of_checkpoint(const Inner& inner, const Var& x) {
  const TensorFunction f = [inner](std::span<const Var> v) { return in_hook(inner, v[0]); };
  const auto look = [x](const Var&) {
    CHECK(values(value_and_grad(cube_sum, x).grads[0])[0] == doctest::Approx(12).epsilon(1e-4));
    return Var();
  };
  return with_hook(checkpoint(f, {x}), look);
}

constexpr Site kPlain{"plain", 9, 4, plain};
constexpr Site kCheckpoint{"checkpoint", 9, 4, in_checkpoint};
constexpr Site kTwoCheckpoints{"two checkpoints", 9, 4, in_two_checkpoints};
constexpr Site kHook{"hook", 1, 3, in_hook};
constexpr Site kCustomFunction{"custom function", 9, 4, in_custom_function};
constexpr Site kCustomVjp{"custom vjp", 1, 3, in_custom_vjp};
constexpr Site kStructVjp{"struct vjp", 1, 3, in_struct_vjp};
constexpr Site kHookOfCheckpoint{"hook of checkpoint", 1, 3, in_hook_of_checkpoint};

// The outer derivatives. Each checks one site with one inner derivative at 2 and 3.
const Array kAt{2, 3};

UnaryFunction function(const Site& site, const Inner& inner) {
  return [&site, &inner](const Var& x) { return site.f(inner, x); };
}

bool close(const Values& got, const Values& right) { return difference(got, right) < 1e-12; }

void outer_grad(const Site& site, const Inner& inner) {
  Tape tape;
  const Var x = tape.input(kAt);
  const Var y = site.f(inner, x);
  CHECK(close(values(y), {site.derivative(0, kAt)[0] + site.derivative(0, kAt)[1]}));
  CHECK(close(values(grad(y, {x})[0]), site.derivative(1, kAt)));
  CHECK(close(values(grad(y * 2.0, {x})[0] * 0.5), site.derivative(1, kAt)));  // and again
}

void outer_float32(const Site& site, const Inner& inner) {
  Tape tape;
  const Var x = tape.input(xt::xarray<float>{2, 3});
  CHECK(difference(values(grad(site.f(inner, x), {x})[0]), site.derivative(1, kAt)) < 1e-6);
}

void outer_grads_of_grads(const Site& site, const Inner& inner) {
  Tape tape;
  const Var x = tape.input(kAt);
  const Var first = grad(site.f(inner, x), {x}, recorded())[0];
  CHECK(close(values(first), site.derivative(1, kAt)));
  const Var second = grad(sum(first), {x}, recorded())[0];
  CHECK(close(values(second), site.derivative(2, kAt)));
  CHECK(close(values(grad(sum(second), {x})[0]), site.derivative(3, kAt)));
}

void outer_beside_others(const Site& site, const Inner& inner) {
  Tape tape;
  const Var x = tape.input(kAt), before = sum(x * x), y = site.f(inner, x), after = sum(x * y);
  // x^2 has 2 x; x y, summed, has y + (the sum of x) y'.
  const double value = y.item<double>();
  Values right = site.derivative(1, kAt);
  for (std::size_t i = 0; i < 2; ++i) right[i] = 2 * kAt(i) + right[i] + value + 5 * right[i];
  CHECK(close(values(grad(before + y + after, {x})[0]), right));
}

void outer_functional(const Site& site, const Inner& inner) {
  Tape tape;
  const Var x = tape.input(kAt), v = tape.constant(Array{1, -2});
  const UnaryFunction f = function(site, inner);
  const Values first = site.derivative(1, kAt), second = site.derivative(2, kAt);
  CHECK(close(values(value_and_grad(f, x).grads[0]), first));
  CHECK(close(values(vjp(f, x, tape.constant(2, DType::float64)).cotangents[0] * 0.5), first));
  CHECK(close(values(jvp(f, x, v).tangent), {first[0] - 2 * first[1]}));
  CHECK(close(values(hvp(f, x, v)), {second[0], -2 * second[1]}));
  CHECK(close(values(jacobian(f, x)), first));
  CHECK(close(values(hessian(f, x)), {second[0], 0, 0, second[1]}));
}

void outer_backward(const Site& site, const Inner& inner) {
  Parameter p(kAt, "p");
  Tape tape;
  backward(site.f(inner, tape.leaf(p)));
  CHECK(close(grad_of(p), site.derivative(1, kAt)));
  CHECK(tape.statistics().instructions == 0);
  p.zero_grad();
  const Var y = site.f(inner, tape.leaf(p));
  backward(y, {.keep_recording = true});
  backward(y);
  Values twice = site.derivative(1, kAt);
  for (double& d : twice) d *= 2;
  CHECK(close(grad_of(p), twice));
}

void outer_gradcheck(const Site& site, const Inner& inner) {
  const TensorFunction f = [&](std::span<const Var> x) { return site.f(inner, x[0]); };
  CHECK(gradcheck(f, {kAt}).failures.empty());
  CHECK(gradgradcheck(f, {kAt}).failures.empty());
}

void outer_no_grad(const Site& site, const Inner& inner) {
  if (!inner.under_no_grad) return;
  Tape tape;
  const Var x = tape.input(kAt);
  const Var y = site.f(inner, x);
  const auto off = tape.no_grad();
  CHECK(close(values(grad(y, {x})[0]), site.derivative(1, kAt)));
  const UnaryFunction f = function(site, inner);
  CHECK(close(values(value_and_grad(f, x).grads[0]), site.derivative(1, kAt)));
  CHECK(close(values(hvp(f, x, tape.constant(Array{1, 1}))), site.derivative(2, kAt)));
}

void for_each(void (*outer)(const Site&, const Inner&), const Site& site) {
  for (const Inner& inner : inner_derivatives()) {
    CAPTURE(inner.name);
    if (inner.consumes && site.f == plain) continue;
    CHECK_NOTHROW(outer(site, inner));
  }
}

}  // namespace

#define NESTING_ROW(site, name)                                                                           \
  TEST_CASE("faults: C1: matrix: " name ", grad") { for_each(outer_grad, site); }                         \
  TEST_CASE("faults: C1: matrix: " name ", float32") { for_each(outer_float32, site); }                   \
  TEST_CASE("faults: C1: matrix: " name ", to the third order") { for_each(outer_grads_of_grads, site); } \
  TEST_CASE("faults: C1: matrix: " name ", beside others") { for_each(outer_beside_others, site); }       \
  TEST_CASE("faults: C1: matrix: " name ", functional") { for_each(outer_functional, site); }             \
  TEST_CASE("faults: C1: matrix: " name ", backward") { for_each(outer_backward, site); }                 \
  TEST_CASE("faults: C1: matrix: " name ", gradcheck") { for_each(outer_gradcheck, site); }               \
  TEST_CASE("faults: C1: matrix: " name ", under no_grad") { for_each(outer_no_grad, site); }

NESTING_ROW(kPlain, "plain")
NESTING_ROW(kCheckpoint, "checkpoint")
NESTING_ROW(kTwoCheckpoints, "two checkpoints")
NESTING_ROW(kHook, "hook")
NESTING_ROW(kCustomFunction, "custom function")
NESTING_ROW(kCustomVjp, "custom vjp")
NESTING_ROW(kStructVjp, "struct vjp")
NESTING_ROW(kHookOfCheckpoint, "hook of a checkpoint")
