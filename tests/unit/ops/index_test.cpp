// take, embedding, masked_fill and the diagonals, where the case table's rows cannot go.
#include "xgrad/ops/index.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>

#include "xgrad/ops/diagonal.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/ops/shape.hpp"
#include "xgrad/tape/grad.hpp"

using namespace xgrad;

namespace {

using Array = xt::xarray<double>;
using Labels = xt::xarray<std::int64_t>;

}  // namespace

TEST_SUITE_BEGIN("ops");

TEST_CASE("take: any dtype, any shape of index") {
  Tape tape;
  const Var x = tape.constant(Labels{{1, 2, 3}, {4, 5, 6}}), index = tape.constant(Labels{{2, 0}, {2, 2}});
  CHECK(take(x, index, 1).array<std::int64_t>() == Labels{{{3, 1}, {3, 3}}, {{6, 4}, {6, 6}}});
  CHECK(take(x, tape.constant(1, DType::int32), 0).array<std::int64_t>() == Labels{4, 5, 6});
  CHECK(take(x, tape.constant(Labels::from_shape({0})), 0).shape() == Shape{0, 3});
  CHECK_THROWS_WITH_AS(take(x, tape.constant(Labels{0, -1}), 0),
                       "take: index -1 at position 1 is outside 0 to 1", ShapeError);
}

TEST_CASE("embedding: rows that were used collect their cotangents, the others none") {
  Tape tape;
  Parameter table(Array{{1, 2}, {3, 4}, {5, 6}}, "table");
  const Var index = tape.constant(Labels{2, 0, 2});
  for (double times : {1, 2}) {
    const Var rows = embedding(tape.leaf(table), index);
    CHECK(rows.array<double>() == Array{{5, 6}, {1, 2}, {5, 6}});
    backward(sum(rows * tape.constant(Array{{1, 2}, {10, 20}, {100, 200}})), {.keep_recording = true});
    CHECK(Array(table.grad<double>()) == times * Array{{10, 20}, {0, 0}, {101, 202}});
  }
}

TEST_CASE("masked_fill: nothing comes back from what was filled") {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  Tape tape;
  const Var x = tape.input(Array{4, -1, 0}), root = sqrt(x);
  const Var y = masked_fill(root, less_equal(x, 0.0 * x), -kInf);
  CHECK(y.array<double>() == Array{2, -kInf, -kInf});
  CHECK(grad(sum(y), {x})[0].array<double>() == Array{0.25, 0, 0});
}

TEST_CASE("tril, triu: what they leave out may be anything") {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  Tape tape;
  const Var x = tape.input(Array{{1, kNaN}, {2, 3}});
  CHECK(tril(x).array<double>() == Array{{1, 0}, {2, 3}});
  CHECK(triu(transpose(x)).array<double>() == Array{{1, 2}, {0, 3}});
  CHECK(grad(sum(square(tril(x))), {x})[0].array<double>() == Array{{2, 0}, {4, 6}});
}

TEST_CASE("diag: there and back") {
  Tape tape;
  for (int k : {-3, -1, 0, 1, 4}) {
    const Var v = tape.input(Array{1, 2, 3});
    CHECK(diag(diag(v, k), k).array<double>() == Array{1, 2, 3});
    CHECK(diag(diag(v, k), k + 1).size() > 0);
    CHECK(sum(diag(v, k)).item<double>() == 6);
  }
  const Var x = tape.input(Array{{1, 2}, {3, 4}});
  CHECK(diag(x, 1).array<double>() == Array{2});
  CHECK(diag(x, 2).shape() == Shape{0});
  CHECK(diag(x, -7).shape() == Shape{0});
  CHECK(diag(tape.input(Array::from_shape({0})), 1).item<double>() == 0);
}

TEST_SUITE_END();
