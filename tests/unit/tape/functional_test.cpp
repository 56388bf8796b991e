// Derivatives of functions, against formulas and against each other.
#include "xgrad/tape/functional.hpp"

#include "tests/unit/tape/helpers.hpp"
#include "xgrad/ops/linalg.hpp"
#include "xgrad/ops/shape.hpp"
#include "xgrad/tape/gradcheck.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

/// sum of x_i^3 x_{i+1}, whose Hessian is known.
Var cubic(const Var& x) { return sum(slice(x, 0, 0, -1) * square(slice(x, 0, 0, -1)) * slice(x, 0, 1)); }

Var two(std::span<const Var> x) { return tanh(matmul(x[0], x[1])) * x[2]; }

const Array kA{{0.1, -0.4, 0.3}, {0.7, 0.2, -0.6}}, kB{{0.5, -0.2}, {0.1, 0.9}, {-0.3, 0.4}}, kC{1.5, -0.5};

}  // namespace

TEST_CASE("functional: gradient, Hessian and its products of a function of one tensor") {
  Tape tape;
  const Var x = tape.constant(Array{1, 2, 3});  // constants are entered for the call
  {
    const auto [value, g] = value_and_grad(cubic, x);
    CHECK(value.item<double>() == 1 * 2 + 8 * 3);
    CHECK(values(g[0]) == Values{6, 37, 8});
  }
  CHECK(values(hessian(cubic, x)) == Values{12, 3, 0, 3, 36, 12, 0, 12, 0});
  CHECK(values(hvp(cubic, x, tape.constant(Array{1, -1, 2}))) == Values{9, -9, -12});
  CHECK_FALSE(x.requires_grad());
  CHECK(tape.statistics().instructions == 0);  // nothing is left behind
}

TEST_CASE("functional: Jacobian and its products from either side agree") {
  Tape tape;
  const std::vector<Var> x{tape.input(kA), tape.input(kB), tape.input(kC)};
  const auto jacobians = jacobian(two, x);
  REQUIRE(jacobians.size() == 3);
  CHECK(jacobians[0].shape() == Shape{2, 2, 2, 3});
  CHECK(jacobians[2].shape() == Shape{2, 2, 2});

  const Var u = tape.constant(Array{{1, -2}, {0.5, 3}});
  const std::vector<Var> tangents{tape.constant(0.5 * kA), tape.constant(kB * kB), tape.constant(kC - 1.0)};
  const auto left = vjp(two, x, u);
  const auto right = jvp(two, x, tangents);
  CHECK(same_bits(values(left.value), values(two(x))));
  Var along = tape.constant(0.0, DType::float64);
  for (std::size_t k = 0; k < 3; ++k) {
    const Var flat = reshape(jacobians[k], {4, -1});
    const Var product = matmul(reshape(u, {1, 4}), flat);
    CHECK(difference(values(left.cotangents[k]), values(product)) < 1e-14);
    along = along + matmul(flat, reshape(tangents[k], {-1}));
  }
  CHECK(difference(values(right.tangent), values(along)) < 1e-14);
}

TEST_CASE("functional: a jvp agrees with the difference quotient") {
  Tape tape;
  const double eps = 1e-6;
  const std::vector<Var> x{tape.constant(kA), tape.constant(kB), tape.constant(kC)};
  const std::vector<Var> t{tape.constant(kA * kA), tape.constant(-kB), tape.constant(kC + 0.3)};
  const auto at = [&](double step) {
    std::vector<Var> moved;
    for (std::size_t k = 0; k < 3; ++k) moved.push_back(x[k] + step * t[k]);
    return two(moved);
  };
  const Var quotient = (at(eps) - at(-eps)) / (2 * eps);
  CHECK(difference(values(jvp(two, x, t).tangent), values(quotient)) < 1e-9);
}

TEST_CASE("functional: Hessian blocks of several tensors") {
  Tape tape;
  const TensorFunction f = [](std::span<const Var> x) { return sum(square(x[0]) * x[1]); };
  const auto blocks = hessian(f, std::vector<Var>{tape.constant(Array{1, 2}), tape.constant(Array{3, 4})});
  CHECK(values(blocks[0][0]) == Values{6, 0, 0, 8});
  CHECK(values(blocks[0][1]) == Values{2, 0, 0, 4});
  CHECK(values(blocks[1][0]) == Values{2, 0, 0, 4});
  CHECK(values(blocks[1][1]) == Values{0, 0, 0, 0});
}

TEST_CASE("functional: results that are recorded can be differentiated again") {
  // Third derivatives by differentiating the Hessian: f = sum x^4 gives 24 x on the diagonal's diagonal.
  const TensorFunction trace_of_hessian = [](std::span<const Var> x) {
    const Var h = hessian([](const Var& v) { return sum(square(square(v))); }, x[0], true);
    return sum(h * h);
  };
  const std::vector<Array> inputs{Array{0.5, -1, 2}};
  CHECK(gradcheck(trace_of_hessian, inputs).text() == "all 5 entries agree");
  CHECK(gradgradcheck(trace_of_hessian, inputs, {.atol = 1e-4}));
  const TensorFunction directional = [](std::span<const Var> x) {
    return jvp([](const Var& v) { return v * tanh(v); }, x[0], x[1], true).tangent;
  };
  CHECK(gradcheck(directional, {Array{0.5, -1}, Array{1, 3}}));
  CHECK(gradgradcheck(directional, {Array{0.5, -1}, Array{1, 3}}));
  const TensorFunction product = [](std::span<const Var> x) { return hvp(cubic, x[0], x[1], true); };
  CHECK(gradcheck(product, {Array{1, 2, 3}, Array{-1, 0.5, 2}}));
}

TEST_CASE("functional: with respect to a model's parameters") {
  std::vector<Parameter> parameters;
  parameters.emplace_back(kB);
  parameters.emplace_back(kC);
  Tape tape;
  const Var images = tape.constant(kA);
  const TensorFunction loss = [&](std::span<const Var>) {
    return sum(square(linear(images, tape.leaf(parameters[0]), tape.leaf(parameters[1]))));
  };
  const auto p = leaves(tape, parameters);
  const std::vector<Var> v{tape.constant(kB + 1.0), tape.constant(kC * 2.0)};
  const auto products = hvp(loss, p, v);
  // The loss is a quadratic form: H v = 2 X'(X v_w + v_b), and 2 sum(X v_w + v_b) for the bias.
  const Var r = matmul(images, v[0]) + v[1];
  CHECK(difference(values(products[0]), values(2 * matmul(images, r, true))) < 1e-14);
  CHECK(difference(values(products[1]), values(2 * sum(r, 0))) < 1e-14);
  CHECK(value_and_grad(loss, p).grads.size() == 2);
}

TEST_CASE("functional: several ys at once") {
  Tape tape;
  const Var x = tape.input(Array{1, 2}), z = tape.input(Array{5, 6});
  const std::vector<Var> ys{sum(x * x), x * z, tape.input(1.0)};
  const std::vector<Var> cotangents{Var(), tape.constant(Array{1, -1}), Var()};
  const auto g = grad(ys, cotangents, std::vector<Var>{x, z});
  CHECK(values(g[0]) == Values{2 + 5, 4 - 6});
  CHECK(values(g[1]) == Values{1, -2});
  CHECK_ERROR(grad(ys, std::vector<Var>{}, std::vector<Var>{x}), ShapeError,
              "grad: 3 ys and 0 cotangents; give at least one y, and a cotangent for each");
  CHECK_ERROR(grad(ys, std::vector<Var>(3), std::vector<Var>{x}), ShapeError,
              "grad: y [2] must have one element; give a cotangent");
}

TEST_CASE("functional: empty and scalar tensors") {
  Tape tape;
  const auto double_it = [](const Var& x) { return x * 2.0; };
  CHECK(jacobian(double_it, tape.constant(Array(std::vector<std::size_t>{0}))).shape() == Shape{0, 0});
  CHECK(values(jacobian(double_it, tape.constant(Array(3.0)))) == Values{2});
  CHECK(values(hessian([](const Var& x) { return x * x * x; }, tape.input(2.0))) == Values{12});
}

TEST_CASE("functional: errors") {
  Tape tape;
  const Var x = tape.constant(Array{1, 2});
  CHECK_ERROR(hvp(cubic, x, tape.constant(Array{1.0})), ShapeError,
              "hvp: vector 0 is float64 [1], operand 0 is float64 [2]");
  CHECK_ERROR(jvp(two, std::vector<Var>{x}, std::vector<Var>{}), ShapeError, "jvp: 0 vectors for 1 operands");
  CHECK_ERROR(hessian([](const Var& v) { return v * v; }, x), ShapeError,
              "grad: y [2] must have one element; give a cotangent");
  CHECK_ERROR(jacobian([](const Var& v) { return v; }, tape.constant(xt::xarray<std::int64_t>{1})),
              DTypeError, "grad: an operand is int64, not floating; capture it instead");
}
