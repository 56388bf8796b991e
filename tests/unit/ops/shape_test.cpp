// Ops that move and pick elements: where the case table's few rows cannot go.
#include "xgrad/ops/shape.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/index.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/tape/grad.hpp"

using namespace xgrad;

namespace {

using Array = xt::xarray<double>;
using Labels = xt::xarray<std::int64_t>;
using Bound = std::optional<std::int64_t>;

Array count_to(std::size_t n) { return xt::arange<double>(static_cast<double>(n)); }

/// What Python's range(n)[start:stop:step] picks.
std::vector<double> python_slice(std::int64_t n, Bound start, Bound stop, std::int64_t step) {
  const bool forward = step > 0;
  std::vector<double> picked;
  std::int64_t first = start ? (*start < 0 ? *start + n : *start) : (forward ? 0 : n - 1);
  if (forward && first < 0) first = 0;
  if (!forward && first > n - 1) first = n - 1;
  for (std::int64_t i = first; i >= 0 && i < n; i += step) {
    const std::int64_t end = stop ? (*stop < 0 ? *stop + n : *stop) : (forward ? n : -1);
    if (forward ? i >= end : i <= end) break;
    picked.push_back(static_cast<double>(i));
  }
  return picked;
}

std::vector<double> list(const Var& v) { return {v.view().as<double>(), v.view().as<double>() + v.size()}; }

}  // namespace

TEST_SUITE_BEGIN("ops");

TEST_CASE("slice: as Python's, for all bounds and steps") {
  for (std::int64_t n = 0; n <= 6; ++n) {
    Tape tape;
    const Var x = tape.input(count_to(static_cast<std::size_t>(n)));
    std::vector<Bound> bounds = {std::nullopt};
    for (std::int64_t b = -n - 2; b <= n + 2; ++b) bounds.push_back(b);
    for (const Bound start : bounds) {
      for (const Bound stop : bounds) {
        for (std::int64_t step : {-7, -3, -2, -1, 1, 2, 3, 7}) {
          INFO("range(" << n << ")[" << start.value_or(-99) << ":" << stop.value_or(-99) << ":" << step
                        << "]");
          const Var y = slice(x, 0, start, stop, step);
          const std::vector<double> wanted = python_slice(n, start, stop, step);
          CHECK(list(y) == wanted);
          std::vector<double> taken(static_cast<std::size_t>(n));
          for (double k : wanted) taken[static_cast<std::size_t>(k)] = 1;
          CHECK(list(grad(sum(y), {x})[0]) == taken);
        }
      }
    }
  }
}

TEST_CASE("slice: bounds and steps as large as they come") {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max(),
                         kLeast = std::numeric_limits<std::int64_t>::min();
  Tape tape;
  const Var x = tape.input(count_to(5));
  using List = std::vector<double>;
  CHECK(list(slice(x, 0, kLeast, kMost)) == List{0, 1, 2, 3, 4});
  CHECK(list(slice(x, 0, kMost, kLeast)).empty());
  CHECK(list(slice(x, 0, kMost, kLeast, -1)) == List{4, 3, 2, 1, 0});
  CHECK(list(slice(x, 0, {}, {}, kMost)) == List{0});
  CHECK(list(slice(x, 0, 2, {}, kMost)) == List{2});
  CHECK(list(slice(x, 0, {}, {}, -kMost)) == List{4});
  CHECK(list(slice(x, 0, {}, {}, kLeast)) == List{4});
  const Var y = slice(x, 0, {}, {}, kLeast);
  CHECK(list(grad(sum(y), {x})[0]) == List{0, 0, 0, 0, 1});
}

TEST_CASE("reshape: -1 stands for what is left") {
  Tape tape;
  const Var x = tape.input(count_to(12));
  CHECK(reshape(x, {-1}).shape() == Shape{12});
  CHECK(reshape(x, {3, -1}).shape() == Shape{3, 4});
  CHECK(reshape(x, {-1, 1, 6}).shape() == Shape{2, 1, 6});
  CHECK_THROWS_AS(reshape(x, {5, -1}), ShapeError);
  CHECK_THROWS_AS(reshape(x, {-1, -1}), ShapeError);
  CHECK_THROWS_AS(reshape(x, {-1, -1, -1}), ShapeError);
  CHECK_THROWS_AS(reshape(x, {-1, 0}), ShapeError);
  CHECK_THROWS_AS(reshape(x, {-3, -4}), ShapeError);
  CHECK_THROWS_AS(reshape(x, {13}), ShapeError);
  const Var none = tape.input(Array::from_shape({0, 3}));
  CHECK(reshape(none, {-1, 5}).shape() == Shape{0, 5});
  CHECK(reshape(none, {0}).shape() == Shape{0});
}

TEST_CASE("reshape: a parameter, and the same memory twice in one op") {
  Parameter p(Array{{1, 2}, {3, 4}}, "p");
  Tape tape;
  const Var w = tape.leaf(p), row = reshape(w, {4});
  CHECK(list(row) == std::vector<double>{1, 2, 3, 4});
  const Var doubled = row + 0.0, alias = reshape(doubled, {2, 2});
  backward(sum(alias * reshape(doubled, {2, 2}) + w));
  CHECK(Array(p.grad<double>()) == Array{{3, 5}, {7, 9}});
}

TEST_CASE("shape: tensors of labels and masks move too") {
  Tape tape;
  const Var x = tape.constant(Labels{{1, 2, 3}, {4, 5, 6}});
  CHECK(transpose(x).array<std::int64_t>() == Labels{{1, 4}, {2, 5}, {3, 6}});
  CHECK(slice(x, 1, {}, {}, -2).array<std::int64_t>() == Labels{{3, 1}, {6, 4}});
  CHECK(concat({x, x}, 1).shape() == Shape{2, 6});
  CHECK(broadcast_to(slice(x, 0, 0, 1), {2, 3}).array<std::int64_t>() == Labels{{1, 2, 3}, {1, 2, 3}});
  const Var mask = greater(x, tape.constant(3, DType::int64));
  CHECK(reshape(mask, {-1}).array<bool>() == xt::xarray<bool>{false, false, false, true, true, true});
}

TEST_CASE("concat: one tensor several times, and empty ones") {
  Tape tape;
  const Var x = tape.input(Array{1, 2}), none = tape.input(Array::from_shape({0}));
  const Var y = concat({none, x, none, x, x});
  CHECK(list(y) == std::vector<double>{1, 2, 1, 2, 1, 2});
  const Var weights = tape.constant(Array{1, 2, 10, 20, 100, 200});
  const auto g = grad(sum(y * weights), {x, none});
  CHECK(list(g[0]) == std::vector<double>{111, 222});
  CHECK(g[1].shape() == Shape{0});
}

TEST_CASE("gather: an index that occurs often collects all its cotangents") {
  Tape tape;
  const Var x = tape.input(Array{{1, 2}, {3, 4}});
  for (const Var& index : {tape.constant(Labels{{0, 1}, {0, 0}, {0, 1}}),
                           tape.constant(xt::xarray<std::int32_t>{{0, 1}, {0, 0}, {0, 1}})}) {
    const Var y = gather(x, 0, index);
    CHECK(y.array<double>() == Array{{1, 4}, {1, 2}, {1, 4}});
    const Var weights = tape.constant(Array{{1, 10}, {2, 20}, {4, 40}});
    CHECK(grad(sum(y * weights), {x})[0].array<double>() == Array{{7, 20}, {0, 50}});
  }
}

TEST_CASE("gather, scatter_add, one_hot: an index out of range") {
  Tape tape;
  const Var x = tape.input(Array{1, 2, 3});
  const auto at = [&](std::int64_t i) { return tape.constant(Labels{0, i, 1}); };
  CHECK_THROWS_WITH_AS(gather(x, 0, at(3)), "gather: index 3 at position 1 is outside 0 to 2", ShapeError);
  CHECK_THROWS_WITH_AS(gather(x, 0, at(-1)), "gather: index -1 at position 1 is outside 0 to 2", ShapeError);
  CHECK_THROWS_WITH_AS(scatter_add(x, 0, at(5), 5), "scatter_add: index 5 at position 1 is outside 0 to 4",
                       ShapeError);
  CHECK_THROWS_WITH_AS(one_hot(at(2), 2), "one_hot: index 2 at position 1 is outside 0 to 1", ShapeError);
  const Var none = tape.input(Array::from_shape({0}));
  CHECK_THROWS_AS(gather(none, 0, at(0)), ShapeError);
  CHECK(gather(none, 0, tape.constant(Labels::from_shape({0}))).shape() == Shape{0});
}

TEST_CASE("scatter_add: places that no index names are zero") {
  Tape tape;
  const Var x = tape.input(Array{1, 2, 4});
  const Var y = scatter_add(x, 0, tape.constant(Labels{3, 1, 3}), 5);
  CHECK(list(y) == std::vector<double>{0, 2, 0, 5, 0});
  CHECK(list(one_hot(tape.constant(Labels{2, 0}), 3, DType::float64)) ==
        std::vector<double>{0, 0, 1, 1, 0, 0});
}

TEST_SUITE_END();
