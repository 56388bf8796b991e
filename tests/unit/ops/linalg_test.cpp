// Products: large ones, empty ones, a tensor with itself.
#include "xgrad/ops/linalg.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "xgrad/ops/reduce.hpp"
#include "xgrad/tape/grad.hpp"

using namespace xgrad;

namespace {

using Array = xt::xarray<double>;

Array pattern(std::size_t rows, std::size_t columns, double step) {
  Array x = Array::from_shape({rows, columns});
  for (std::size_t i = 0; i < x.size(); ++i) x.data()[i] = std::sin(step * static_cast<double>(i));
  return x;
}

}  // namespace

TEST_SUITE_BEGIN("ops");

TEST_CASE("matmul: large enough to be cut into blocks of rows") {
  const std::size_t m = 530, k = 90, n = 200;
  const Array a = pattern(m, k, 0.7), b = pattern(k, n, 1.3);
  Array product = xt::zeros<double>({m, n});
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t p = 0; p < k; ++p) {
      for (std::size_t j = 0; j < n; ++j) product(i, j) += a(i, p) * b(p, j);
    }
  }
  Tape tape;
  const Array at = xt::transpose(a), bt = xt::transpose(b);
  const Var x = tape.input(a), y = tape.input(b), xt = tape.input(at), yt = tape.input(bt);
  for (const Var& z :
       {matmul(x, y), matmul(xt, y, true, false), matmul(x, yt, false, true), matmul(xt, yt, true, true)}) {
    const Array got = z.array<double>();
    double worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i)
      worst = std::max(worst, std::abs(got.data()[i] - product.data()[i]));
    CHECK(worst < 1e-12);
  }
}

TEST_CASE("matmul: what a recycled buffer held does not matter") {
  Tape tape;
  const auto pause = tape.no_grad();
  const Array garbage = std::numeric_limits<double>::quiet_NaN() * xt::ones<double>({4, 4});
  const Var a = tape.constant(pattern(4, 3, 0.3)), b = tape.constant(pattern(3, 4, 0.9));
  const Var none = tape.constant(Array::from_shape({4, 0})), bias = tape.constant(Array{1, 2, 3, 4});
  const Array wanted = matmul(a, b).array<double>();
  for (int i = 0; i < 3; ++i) {
    {
      const Var dropped = tape.constant(garbage), another = tape.constant(garbage);
    }
    CHECK(matmul(a, b).array<double>() == wanted);
    { const Var dropped = tape.constant(garbage), another = tape.constant(garbage); }
    CHECK(matmul(none, none, false, true).array<double>() == Array(xt::zeros<double>({4, 4})));
    { const Var dropped = tape.constant(garbage), another = tape.constant(garbage); }
    CHECK(linear(a, b, bias).array<double>()(0, 0) == doctest::Approx(wanted(0, 0) + 1));
  }
}

TEST_CASE("matmul: a tensor with itself") {
  Tape tape;
  const Var x = tape.input(Array{{1, 2}, {3, 4}});
  CHECK(grad(sum(matmul(x, x)), {x})[0].array<double>() == Array{{7, 11}, {9, 13}});
  CHECK(grad(sum(matmul(x, x, true, false)), {x})[0].array<double>() == Array{{6, 6}, {14, 14}});
}

TEST_CASE("matmul: of nothing, gradients are zeros of the operands' shapes") {
  Tape tape;
  const Var x = tape.input(Array::from_shape({2, 0})), y = tape.input(Array::from_shape({0, 3}));
  const Var z = matmul(x, y);
  CHECK(z.array<double>() == Array(xt::zeros<double>({2, 3})));
  const auto g = grad(sum(z), {x, y});
  CHECK(g[0].shape() == Shape{2, 0});
  CHECK(g[1].shape() == Shape{0, 3});
  const Var rows = tape.input(Array::from_shape({0, 4})), w = tape.input(pattern(4, 3, 1)),
            b = tape.input(Array{1, 2, 3});
  const auto h = grad(sum(linear(rows, w, b)), {w, b});
  CHECK(h[0].array<double>() == Array(xt::zeros<double>({4, 3})));
  CHECK(h[1].array<double>() == Array{0, 0, 0});
}

TEST_SUITE_END();
