// cumsum and cumprod, where the case table's rows cannot go.
#include "xgrad/ops/cumulative.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/tape/grad.hpp"

using namespace xgrad;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
using Array = xt::xarray<double>;

}  // namespace

TEST_SUITE_BEGIN("ops");

TEST_CASE("cumulative: running sums and products") {
  Tape tape;
  const Var x = tape.input(Array{{1, 2, 3}, {4, 5, 6}});
  CHECK(cumsum(x, 1).array<double>() == Array{{1, 3, 6}, {4, 9, 15}});
  CHECK(cumsum(x, 0).array<double>() == Array{{1, 2, 3}, {5, 7, 9}});
  CHECK(cumprod(x, -1).array<double>() == Array{{1, 2, 6}, {4, 20, 120}});
  CHECK(grad(sum(cumsum(x, 1)), {x})[0].array<double>() == Array{{3, 2, 1}, {3, 2, 1}});
}

TEST_CASE("cumprod: the derivative with zeros") {
  Tape tape;
  const Var x = tape.input(Array{2, 0, 3, 0});
  // y = a, ab, abc, abcd
  CHECK(grad(sum(cumprod(x, 0)), {x})[0].array<double>() == Array{1, 8, 0, 0});
  const Var slope = grad(sum(cumprod(x, 0)), {x}, {.create_graph = true})[0];
  CHECK(grad(sum(slope * tape.constant(Array{0, 1, 0, 0})), {x})[0].array<double>() == Array{4, 0, 2, 6});
}

TEST_CASE("cumprod: what is infinite behind an element that does not matter") {
  Tape tape;
  const Var x = tape.input(Array{2, 3, kInf});
  const Var mask = less(x, tape.constant(kInf, DType::float64));
  const Var y = where(mask, cumprod(x, 0), tape.constant(0, DType::float64));
  CHECK(grad(sum(y), {x})[0].array<double>() == Array{4, 2, 0});
}

TEST_CASE("cumsum: single precision does not drift") {
  Tape tape;
  const std::size_t n = 1 << 20;
  const auto pause = tape.no_grad();
  const Var y = cumsum(tape.constant(xt::xarray<float>(0.1f * xt::ones<float>({n}))), 0);
  const double exact = static_cast<double>(n) * static_cast<double>(0.1f);
  CHECK(static_cast<double>(y.value<float>()(n - 1)) == doctest::Approx(exact).epsilon(1e-7));
}

TEST_SUITE_END();
