// argmax, sort and topk: ties, NaN, dtypes.
#include "xgrad/ops/order.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/ops/shape.hpp"
#include "xgrad/support/random.hpp"
#include "xgrad/tape/grad.hpp"

using namespace xgrad;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
using Array = xt::xarray<double>;
using Places = xt::xarray<std::int64_t>;

}  // namespace

TEST_SUITE_BEGIN("ops");

TEST_CASE("argmax, argmin: the first of ties, the first NaN") {
  Tape tape;
  const auto largest = [&](const Array& x) { return argmax(tape.constant(x)).item<std::int64_t>(); };
  const auto smallest = [&](const Array& x) { return argmin(tape.constant(x)).item<std::int64_t>(); };
  CHECK(largest({1, 3, 3, 2}) == 1);
  CHECK(smallest({3, 1, 1, 2}) == 1);
  CHECK(largest({1, kNaN, 3, kNaN}) == 1);
  CHECK(smallest({1, kNaN, -3, kNaN}) == 1);
  CHECK(largest({kNaN, 1}) == 0);
  CHECK(largest({-kInf, -kInf}) == 0);
  CHECK(largest({-0.0, 0.0}) == 0);
  CHECK(largest({{1, 2}, {7, 4}}) == 2);
}

TEST_CASE("argmax, argmin: axes, dtypes, nothing") {
  Tape tape;
  const Var x = tape.input(Array{{1, 5, 3}, {4, 2, 9}});
  CHECK(argmax(x, 0).array<std::int64_t>() == Places{1, 0, 1});
  CHECK(argmax(x, 1).array<std::int64_t>() == Places{1, 2});
  CHECK(reshape(argmin(x, -1, true), {2}).array<std::int64_t>() == Places{0, 1});
  CHECK(argmax(x, {}, true).shape() == Shape{1, 1});
  CHECK_FALSE(argmax(x).requires_grad());
  CHECK(argmax(tape.constant(Places{3, 8, 1})).item<std::int64_t>() == 1);
  CHECK(argmax(tape.constant(xt::xarray<bool>{false, true, true})).item<std::int64_t>() == 1);
  const Var none = tape.input(Array::from_shape({2, 0}));
  CHECK(argmax(none, 0).shape() == Shape{0});
  CHECK_THROWS_AS(argmax(none, 1), ShapeError);
}

TEST_CASE("sort: ties keep their order, NaN counts as the largest") {
  Tape tape;
  const Var x = tape.input(Array{2, kNaN, -kInf, 2, kInf, kNaN, -1});
  CHECK(argsort(x).array<std::int64_t>() == Places{2, 6, 0, 3, 4, 1, 5});
  CHECK(argsort(x, 0, true).array<std::int64_t>() == Places{1, 5, 4, 0, 3, 6, 2});
  const Array sorted = sort(x).array<double>();
  CHECK(sorted(0) == -kInf);
  CHECK(sorted(4) == kInf);
  CHECK(std::isnan(sorted(5)));
  CHECK(std::isnan(sorted(6)));
  CHECK(topk(x, 4, 0).indices.array<std::int64_t>() == Places{1, 5, 4, 0});
  CHECK(topk(x, 3, 0, false).indices.array<std::int64_t>() == Places{2, 6, 0});
}

TEST_CASE("sort: cotangents go back to where the values came from") {
  Tape tape;
  const Var x = tape.input(Array{{3, 1, 2}, {5, 5, 4}}),
            weights = tape.constant(Array{{1, 10, 100}, {1, 10, 100}});
  CHECK(grad(sum(sort(x) * weights), {x})[0].array<double>() == Array{{100, 1, 10}, {10, 100, 1}});
  const TopK top = topk(x, 2);
  CHECK(top.values.array<double>() == Array{{3, 2}, {5, 5}});
  CHECK(top.indices.array<std::int64_t>() == Places{{0, 2}, {0, 1}});
  CHECK(grad(sum(top.values), {x})[0].array<double>() == Array{{1, 0, 1}, {1, 1, 0}});
  CHECK(topk(x, 0).values.shape() == Shape{2, 0});
  CHECK(topk(x, 2, 0).values.array<double>() == Array{{5, 5, 4}, {3, 1, 2}});
}

TEST_CASE("sort: labels, and every k of topk") {
  Tape tape;
  CHECK(sort(tape.constant(Places{3, -1, 2})).array<std::int64_t>() == Places{-1, 2, 3});
  Generator random(1);
  Array x = Array::from_shape({50});
  for (double& v : x) v = std::floor(random.uniform(0, 20));
  const Var v = tape.constant(x), places = argsort(v, 0, true);
  for (std::int64_t k = 0; k <= 50; ++k) {
    const Var found = topk(v, k).indices;
    CHECK(std::equal(found.view().as<std::int64_t>(), found.view().as<std::int64_t>() + k,
                     places.view().as<std::int64_t>()));
  }
}

TEST_SUITE_END();
