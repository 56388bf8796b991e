// split, pad, roll and their kin, where the case table's rows cannot go.
#include "xgrad/ops/rearrange.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <vector>

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

TEST_CASE("rearrange: labels and masks too") {
  Tape tape;
  const Var x = tape.constant(Labels{1, 2, 3});
  CHECK(stack({x, x}, 1).array<std::int64_t>() == Labels{{1, 1}, {2, 2}, {3, 3}});
  CHECK(flip(x).array<std::int64_t>() == Labels{3, 2, 1});
  CHECK(roll(x, 1, 0).array<std::int64_t>() == Labels{3, 1, 2});
  CHECK(pad(x, {{1, 2}}, -1).array<std::int64_t>() == Labels{-1, 1, 2, 3, -1, -1});
  CHECK(pad(x, {{2, 4}}, PadMode::reflect).array<std::int64_t>() == Labels{3, 2, 1, 2, 3, 2, 1, 2, 3});
  CHECK(tile(x, {2}).array<std::int64_t>() == Labels{1, 2, 3, 1, 2, 3});
  CHECK(repeat(x, 2, 0).array<std::int64_t>() == Labels{1, 1, 2, 2, 3, 3});
  CHECK_THROWS_AS(stack({x, tape.constant(Array{1, 2, 3})}), DTypeError);
}

TEST_CASE("split: the parts share one cotangent") {
  Tape tape;
  const Var x = tape.input(Array{1, 2, 3, 4});
  const std::vector<Var> parts = split(x, {3, 1});
  CHECK(parts[0].array<double>() == Array{1, 2, 3});
  CHECK(grad(sum(parts[0] * parts[1]), {x})[0].array<double>() == Array{4, 4, 4, 6});
  CHECK(split(x, {4}).size() == 1);  // one part of size 4
  CHECK(split(x, 4).size() == 4);    // four parts
  CHECK(split(tape.input(Array::from_shape({0})), 2)[1].shape() == Shape{0});
  CHECK(split(tape.input(Array::from_shape({0})), std::vector<std::int64_t>{}).empty());
}

TEST_CASE("pad: far around a reflection, and values that are not finite") {
  Tape tape;
  const Var x = tape.input(Array{1, 2});
  CHECK(pad(x, {{3, 3}}, PadMode::reflect).array<double>() == Array{2, 1, 2, 1, 2, 1, 2, 1});
  CHECK(grad(sum(pad(x, {{3, 3}}, PadMode::edge)), {x})[0].array<double>() == Array{4, 4});
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const Var y = pad(x, {{0, 1}}, -kInf);
  CHECK(y.array<double>() == Array{1, 2, -kInf});
  CHECK(grad(sum(square(y)), {x})[0].array<double>() == Array{2, 4});
}

TEST_CASE("roll: as far as one likes") {
  Tape tape;
  const Var x = tape.input(Array{1, 2, 3});
  CHECK(roll(x, 7, 0).array<double>() == Array{3, 1, 2});
  CHECK(roll(x, std::numeric_limits<std::int64_t>::min(), 0).size() == 3);
  CHECK(roll(x, -3, 0).array<double>() == Array{1, 2, 3});
}

TEST_SUITE_END();
