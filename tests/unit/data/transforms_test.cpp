// Scaling pixels, gathering labels, one_hot.
#include "xgrad/data/transforms.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "xgrad/support/error.hpp"

using namespace xgrad;
using namespace xgrad::data;

namespace {

// A tensor of its own, filled with a value that no result has.
template <class T>
struct Tensor {
  explicit Tensor(const Shape& s) : shape(s), values(static_cast<std::size_t>(s.size()), T{77}) {}
  View view() { return {values.data(), dtype_of<T>, &shape}; }
  Shape shape;
  std::vector<T> values;
};

using Rows = std::vector<std::int32_t>;
using Labels = std::vector<std::uint8_t>;
const std::vector<std::uint8_t> kPixels{10, 20, 30, 40, 50, 60};  // three rows of two

}  // namespace

TEST_CASE("min_max: the range of the values") {
  const MinMax range = MinMax::fit(kPixels);
  CHECK(range.min == 10);
  CHECK(range.max == 60);
  CHECK_THROWS_WITH_AS(MinMax::fit({}), "min_max: no values to take a range from", Error);
  CHECK_THROWS_WITH_AS(MinMax::fit(Labels{7, 7, 7}), "min_max: all 3 values are 7", Error);
}

TEST_CASE_TEMPLATE("gather_scaled: the rows asked for, scaled", T, float, double) {
  Tensor<T> out({4, 2});
  gather_scaled(kPixels, 2, Rows{2, 0, 1, 2}, {10, 60}, out.view());
  const std::vector<T> expected{T(40) / 50, 1, 0, T(10) / 50, T(20) / 50, T(30) / 50, T(40) / 50, 1};
  CHECK(out.values == expected);
}

TEST_CASE_TEMPLATE("gather_scaled: exact for every byte, beyond the range too", T, float, double) {
  std::vector<std::uint8_t> pixels(256);
  for (std::size_t i = 0; i < 256; ++i) pixels[i] = static_cast<std::uint8_t>(i);
  for (const MinMax range : {MinMax{0, 255}, MinMax{3, 52}}) {
    Tensor<T> out({1, 256});
    gather_scaled(pixels, 256, Rows{0}, range, out.view());
    for (int i = 0; i < 256; ++i) {
      CHECK(out.values[static_cast<std::size_t>(i)] ==
            static_cast<T>((i - range.min) / (range.max - range.min)));
    }
  }
}

TEST_CASE("gather_scaled: no rows") {
  Tensor<float> out({0, 2});
  CHECK_NOTHROW(gather_scaled(kPixels, 2, Rows{}, {}, out.view()));
}

TEST_CASE("gather_scaled: errors, and nothing is written") {
  Tensor<float> out({2, 2});
  const auto gather = [&](std::int64_t features, const Rows& rows, MinMax range) {
    gather_scaled(kPixels, features, rows, range, out.view());
  };
  CHECK_THROWS_WITH_AS(gather(2, {0, 3}, {}), "gather_scaled: row 3 is out of range for 3 rows", ShapeError);
  CHECK_THROWS_WITH_AS(gather(2, {0, -1}, {}), "gather_scaled: row -1 is out of range for 3 rows",
                       ShapeError);
  CHECK_THROWS_WITH_AS(gather(2, {0}, {}), "gather_scaled: the result is [1, 2], but out is [2, 2]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(gather(4, {0, 0}, {}), "gather_scaled: 6 pixels are not rows of 4", ShapeError);
  CHECK_THROWS_WITH_AS(gather(0, {0, 0}, {}), "gather_scaled: 6 pixels are not rows of 0", ShapeError);
  CHECK_THROWS_WITH_AS(gather(2, {0, 1}, {5, 5}), "gather_scaled: the range 5 to 5 is empty", Error);
  CHECK_THROWS_WITH_AS(gather(2, {0, 1}, {0, std::numeric_limits<double>::quiet_NaN()}),
                       "gather_scaled: the range 0 to nan is empty", Error);
  CHECK(out.values == std::vector<float>(4, 77));

  Tensor<std::int64_t> integers({2, 2});
  CHECK_THROWS_WITH_AS(gather_scaled(kPixels, 2, Rows{0, 1}, {}, integers.view()),
                       "gather_scaled: out must be float32 or float64, but is int64", DTypeError);
}

TEST_CASE("gather_labels: the labels of the rows") {
  const Labels labels{9, 0, 255};
  Tensor<std::int64_t> out({4});
  gather_labels(labels, Rows{2, 1, 0, 0}, out.view());
  CHECK(out.values == std::vector<std::int64_t>{255, 0, 9, 9});

  CHECK_THROWS_WITH_AS(gather_labels(labels, Rows{0, 0, 0, 3}, out.view()),
                       "gather_labels: row 3 is out of range for 3 rows", ShapeError);
  CHECK_THROWS_WITH_AS(gather_labels(labels, Rows{0}, out.view()),
                       "gather_labels: the result is [1], but out is [4]", ShapeError);
  Tensor<float> floats({1});
  CHECK_THROWS_WITH_AS(gather_labels(labels, Rows{0}, floats.view()),
                       "gather_labels: out must be int64, but is float32", DTypeError);
  CHECK(out.values == std::vector<std::int64_t>{255, 0, 9, 9});
}

TEST_CASE_TEMPLATE("one_hot: a one in the column of each label", T, float, double) {
  const std::vector<T> expected{0, 0, 1, 1, 0, 0};
  Tensor<T> bytes({2, 3}), integers({2, 3});
  one_hot(Labels{2, 0}, 3, bytes.view());
  one_hot(std::vector<std::int64_t>{2, 0}, 3, integers.view());
  CHECK(bytes.values == expected);
  CHECK(integers.values == expected);
}

TEST_CASE("one_hot: as an array") {
  const xt::xarray<float> rows = one_hot(Labels{1, 0}, 2);
  CHECK(rows.dimension() == 2);
  CHECK(rows == xt::xarray<float>{{0, 1}, {1, 0}});
  CHECK(one_hot(Labels{}, 10).size() == 0);
  CHECK_THROWS_WITH_AS(one_hot(Labels{3}, 3), "one_hot: label 3 is out of range for 3 classes", Error);
  CHECK_THROWS_WITH_AS(one_hot(Labels{3}, -3), "shape: extent -3 is negative", ShapeError);
}

TEST_CASE("one_hot: errors, and nothing is written") {
  Tensor<float> out({2, 3});
  CHECK_THROWS_WITH_AS(one_hot(std::vector<std::int64_t>{0, -1}, 3, out.view()),
                       "one_hot: label -1 is out of range for 3 classes", Error);
  CHECK_THROWS_WITH_AS(one_hot(Labels{0}, 3, out.view()), "one_hot: the result is [1, 3], but out is [2, 3]",
                       ShapeError);
  CHECK(out.values == std::vector<float>(6, 77));
  Tensor<std::int32_t> integers({2, 3});
  CHECK_THROWS_WITH_AS(one_hot(Labels{0, 1}, 3, integers.view()),
                       "one_hot: out must be float32 or float64, but is int32", DTypeError);
}
