// grad(): what it returns, what it refuses, and derivatives of derivatives.
#include "xgrad/tape/grad.hpp"

#include <numbers>

#include "tests/unit/tape/helpers.hpp"
#include "xgrad/ops/linalg.hpp"
#include "xgrad/ops/shape.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

/// The derivative of order 1, 2, ... of the sum of f at one point.
template <class F>
Values derivatives(F&& f, double at, int orders) {
  Tape tape;
  const Var x = tape.input(at);
  Var y = f(x);
  Values result;
  for (int k = 0; k < orders; ++k) {
    y = grad(y, {x}, recorded())[0];
    result.push_back(y.item<double>());
  }
  return result;
}

}  // namespace

TEST_CASE("grad: unused inputs get zeros of their shape") {
  Tape tape;
  const Var x = tape.input(Array{1, 2}), unused = tape.input(Array{{1, 2, 3}, {4, 5, 6}});
  const Var single = tape.input(3.0f), none = tape.input(Array(xt::zeros<double>({0, 3})));
  const auto g = grad(sum(x * x), {unused, x, single, none});
  REQUIRE(g.size() == 4);
  CHECK(g[0].shape() == Shape{2, 3});
  CHECK(values(g[0]) == Values(6, 0));
  CHECK(values(g[1]) == Values{2, 4});
  CHECK(g[2].dtype() == DType::float32);
  CHECK(g[2].item<float>() == 0);
  CHECK(g[3].shape() == Shape{0, 3});
  CHECK_ERROR(grad(tape.constant(1, DType::float64), {x, unused}), NotDifferentiable,
              doctest::Contains("depends on nothing differentiable"));
  CHECK(grad(sum(x), std::span<const Var>()).empty());
}

TEST_CASE("grad: with respect to values in the middle, the same one twice, y itself") {
  Tape tape;
  const Var x = tape.input(Array{1, 2}), h = x * x, y = sum(h * x);
  const auto g = grad(y, {h, x, h, x, y});
  CHECK(values(g[0]) == Values{1, 2});
  CHECK(values(g[1]) == Values{3, 12});  // the whole derivative, through h as well
  CHECK(values(g[2]) == Values{1, 2});
  CHECK(values(g[3]) == Values{3, 12});
  CHECK(values(g[4]) == Values{1});
  CHECK(values(grad(x, {x}, weighted(tape.constant(Array{5, 6})))[0]) == Values{5, 6});
  CHECK(values(grad(y, {x})[0]) == Values{3, 12});  // asking for the middle leaves no traces
  // y is not downstream of something made from y.
  const Var later = exp(y);
  CHECK(grad(y, {later})[0].item<double>() == 0);
  CHECK(grad(later, {y})[0].item<double>() == later.item<double>());
}

TEST_CASE("grad: cotangents") {
  Tape tape;
  const Var x = tape.input(Array{1, 2, 3}), y = x * x;
  CHECK_ERROR(grad(y, {x}), ShapeError, "grad: y [3] must have one element; give a cotangent");
  const auto with = [&](const Var& c) { return grad(y, {x}, weighted(c)); };
  CHECK(values(with(tape.constant(Array{1, 10, 100}))[0]) == Values{2, 40, 600});
  CHECK(values(with(x)[0]) == Values{2, 8, 18});
  CHECK(values(with(y)[0]) == Values{2, 16, 54});
  CHECK(values(x) == Values{1, 2, 3});
  CHECK(values(y) == Values{1, 4, 9});
  CHECK_ERROR(with(tape.constant(Array{1, 2})), ShapeError,
              "grad: the cotangent is float64 [2], y is float64 [3]");
  CHECK_ERROR(with(tape.constant(1, DType::float64)), ShapeError,
              "grad: the cotangent is float64 [], y is float64 [3]");
  CHECK_ERROR(with(tape.constant(xt::xarray<float>{1, 2, 3})), ShapeError,
              "grad: the cotangent is float32 [3], y is float64 [3]");
  // A y of one element takes one too.
  const Var total = sum(y);
  CHECK(values(grad(total, {x}, weighted(tape.constant(3, DType::float64)))[0]) == Values{6, 12, 18});
  CHECK(values(grad(reshape(total, Shape{1, 1}), {x})[0]) == Values{2, 4, 6});
}

TEST_CASE("grad: with respect to what needs none, of what has none") {
  Tape tape;
  const Var x = tape.input(1.0), c = tape.constant(Array{{1, 2}});
  CHECK_ERROR(grad(x, {x, c}), NotDifferentiable,
              "grad: x %1 [1, 2] needs no gradient; enter it with tape.input or tape.leaf");
  CHECK_ERROR(grad(less(x, x), {x}), DTypeError, "grad: y is bool, not floating");
  const Var once = grad(x * x, {x})[0];
  CHECK_FALSE(once.requires_grad());
  CHECK_THROWS_AS((void)grad(x, {once}), NotDifferentiable);
}

TEST_CASE("grad: the recording is kept, and the same again gives the same bits") {
  Tape tape;
  const Parameter w(Array{0.3, 0.7}, "w");
  const Var x = tape.input(Array{1, 2}), y = sum(tanh(tape.leaf(w) * x) * x);
  const TapeStatistics before = tape.statistics();
  const Values first = values(grad(y, {x})[0]);
  for (int i = 0; i < 100; ++i) {
    REQUIRE(same_bits(values(grad(y, {x})[0]), first));
    const auto again = grad(y, {x}, recorded());
    REQUIRE(difference(values(again[0]), first) < 1e-15);
  }
  CHECK(same_counts(tape.statistics(), before));
  CHECK_FALSE(w.has_grad());
  const Var of_leaf = grad(y, {tape.leaf(w)})[0];
  backward(y);
  CHECK(same_bits(grad_of(w), values(of_leaf)));
  CHECK(values(of_leaf).size() == 2);
}

TEST_CASE("grad: create_graph to any order") {
  const double e = std::exp(0.5);
  CHECK(difference(derivatives([](const Var& x) { return exp(x); }, 0.5, 6), {e, e, e, e, e, e}) < 1e-15);
  CHECK(difference(derivatives([](const Var& x) { return x * x * x * x * x; }, 2, 6),
                   {80, 160, 240, 240, 120, 0}) < 1e-13);
  CHECK(difference(derivatives([](const Var& x) { return pow(x, 5); }, 2, 5), {80, 160, 240, 240, 120}) <
        1e-13);
  CHECK(difference(derivatives([](const Var& x) { return 1 / x; }, 2, 4), {-0.25, 0.25, -0.375, 0.75}) <
        1e-14);
  // sin as a polynomial: its derivatives at 1 are cos, -sin, -cos, sin.
  const auto sine = [](const Var& x) {
    Var term = x, total = x;
    for (int k = 2; k < 24; k += 2) {
      term = term * x * x * (-1.0 / (k * (k + 1)));
      total = total + term;
    }
    return total;
  };
  CHECK(difference(derivatives(sine, 1, 4), {std::cos(1.0), -std::sin(1.0), -std::cos(1.0), std::sin(1.0)}) <
        1e-14);
  const double t = std::tanh(0.3), s = 1 - t * t;
  CHECK(difference(derivatives([](const Var& x) { return tanh(x); }, 0.3, 3),
                   {s, -2 * t * s, s * (6 * t * t - 2)}) < 1e-14);
}

TEST_CASE("grad: an order too many is zero, and not an error") {
  Tape tape;
  const Var x = tape.input(Array{1, 2});
  const Var g = grad(sum(x * 3), {x}, recorded())[0];
  CHECK(values(g) == Values{3, 3});
  CHECK(values(grad(sum(g), {x})[0]) == Values{0, 0});
}

TEST_CASE("grad: a Hessian by hand") {
  Tape tape;
  const Var v = tape.input(Array{0.7, -0.4});
  const Var x = slice(v, 0, 0, 1), y = slice(v, 0, 1, 2);
  const Var g = grad(sum(x * x * y + tanh(x * y)), {v}, recorded())[0];
  Values hessian;
  for (int i = 0; i < 2; ++i) {
    for (double h : values(grad(sum(slice(g, 0, i, i + 1)), {v})[0])) hessian.push_back(h);
  }
  const double a = 0.7, b = -0.4, t = std::tanh(a * b), s = 1 - t * t;
  const double mixed = 2 * a + s - 2 * t * s * a * b;
  CHECK(difference(hessian, {2 * b - 2 * t * s * b * b, mixed, mixed, -2 * t * s * a * a}) < 1e-14);
}

TEST_CASE("grad: a gradient penalty, differentiated into the parameters") {
  // loss = |d/dx sum(tanh(x w))|^2, by backward after grad(create_graph), against finite differences.
  const Array x0{{0.3, -0.2, 0.5}, {0.1, 0.9, -0.7}};
  const auto loss_of = [&](Tape& tape, const Parameter& w) {
    const Var x = tape.input(x0);
    const Var g = grad(sum(tanh(matmul(x, tape.leaf(w)))), {x}, recorded())[0];
    return sum(g * g);
  };
  Parameter w(Array{{0.5, -1}, {0.25, 0.75}, {-0.6, 0.4}}, "w");
  {
    Tape tape;
    const Var loss = loss_of(tape, w);
    backward(loss);
    CHECK(tape.statistics().instructions == 0);
  }
  const Values analytic = grad_of(w);
  Values numeric;
  const double eps = 1e-5;
  const auto at = [&](std::size_t i, double step) {
    Parameter moved = w.clone();
    moved.mutable_value<double>().data()[i] += step;
    Tape tape;
    return loss_of(tape, moved).item<double>();
  };
  for (std::size_t i = 0; i < 6; ++i) numeric.push_back((at(i, eps) - at(i, -eps)) / (2 * eps));
  CHECK(difference(analytic, numeric) < 1e-8);
}

TEST_CASE("grad: a cotangent that depends on x is differentiated too") {
  Tape tape;
  const Var x = tape.input(Array{2, 3}), y = x * x * x;
  // g = c 3 x^2 with c = x: 3 x^3, whose derivative is 9 x^2.
  const Var g = grad(y, {x}, weighted(x, true))[0];
  CHECK(values(g) == Values{24, 81});
  CHECK(values(grad(sum(g), {x})[0]) == Values{36, 81});
  // The derivative with respect to the cotangent alone.
  const Var c = tape.input(Array{1, 1}), h = grad(y, {x}, weighted(c, true))[0];
  CHECK(values(grad(sum(h), {c})[0]) == Values{12, 27});
}

TEST_CASE("grad: what it records is dropped with its handles") {
  Tape tape;
  const Var x = tape.input(Array{0.1, 0.2}), y = sum(exp(tanh(x) * x));
  const TapeStatistics before = tape.statistics();
  {
    const auto g = grad(y, {x}, recorded());
    CHECK(tape.statistics().instructions > before.instructions);
    const auto h = grad(sum(g[0]), {x}, recorded());
    CHECK(h[0].requires_grad());
  }
  CHECK(same_counts(tape.statistics(), before));
  for (int i = 0; i < 50; ++i) (void)grad(sum(grad(y, {x}, recorded())[0]), {x});
  CHECK(same_counts(tape.statistics(), before));
}

TEST_CASE("grad: with respect to the result of grad") {
  Tape tape;
  const Var x = tape.input(3.0), g = grad(x * x * x, {x}, recorded())[0];  // 27
  const Var z = g * g * x;
  const auto d = grad(z, {g, x});
  CHECK(d[0].item<double>() == doctest::Approx(2 * 27 * 3));
  CHECK(d[1].item<double>() == doctest::Approx(27 * 27 + 2 * 27 * 3 * 18));  // z = 9 x^5
}
