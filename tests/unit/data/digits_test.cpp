// The drawn digits that stand in for MNIST.
#include "xgrad/data/digits.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "xgrad/support/error.hpp"

using namespace xgrad;
using namespace xgrad::data;

TEST_CASE("digits: sizes, balanced labels, a seed names the images") {
  const ImageSet set = draw_digits(205, 1);
  CHECK(set.size() == 205);
  CHECK(set.height == 28);
  CHECK(set.width == 28);
  CHECK(set.pixels.size() == 205 * 784);
  for (int digit = 0; digit < 10; ++digit) {
    CHECK(std::count(set.labels.begin(), set.labels.end(), digit) == (digit < 5 ? 21 : 20));
  }
  CHECK(std::is_sorted(set.labels.begin(), set.labels.end()) == false);

  const ImageSet same = draw_digits(205, 1), other = draw_digits(205, 2);
  CHECK(same.pixels == set.pixels);
  CHECK(same.labels == set.labels);
  CHECK(other.pixels != set.pixels);
  CHECK(other.labels != set.labels);
}

TEST_CASE("digits: ink on every image, paper in every corner") {
  const ImageSet set = draw_digits(200, 3);
  for (std::int64_t i = 0; i < set.size(); ++i) {
    const auto image = std::span(set.pixels).subspan(static_cast<std::size_t>(i * 784), 784);
    CHECK(std::count_if(image.begin(), image.end(), [](int grey) { return grey > 128; }) > 20);
    for (const std::size_t corner : {0, 27, 756, 783}) CHECK(image[corner] < 64);
  }
}

TEST_CASE("digits: learnable, but not by the mean of each class alone") {
  const ImageSet train = draw_digits(2000, 4), test = draw_digits(500, 5);
  std::array<std::vector<double>, 10> mean;
  mean.fill(std::vector<double>(784));
  for (std::size_t i = 0; i < 2000; ++i) {
    for (std::size_t j = 0; j < 784; ++j) mean[train.labels[i]][j] += train.pixels[784 * i + j] / 200.0;
  }
  int right = 0;
  for (std::size_t i = 0; i < 500; ++i) {
    std::array<double, 10> distance{};
    for (std::size_t digit = 0; digit < 10; ++digit) {
      for (std::size_t j = 0; j < 784; ++j) {
        const double difference = test.pixels[784 * i + j] - mean[digit][j];
        distance[digit] += difference * difference;
      }
    }
    right += std::min_element(distance.begin(), distance.end()) - distance.begin() == test.labels[i];
  }
  CHECK(right > 300);
  CHECK(right < 450);
}

TEST_CASE("digits: none, and fewer than none") {
  CHECK(draw_digits(0, 1).size() == 0);
  CHECK(draw_digits(0, 1).features() == 784);
  CHECK_THROWS_WITH_AS(draw_digits(-1, 1), "draw_digits: count -1 is negative", Error);
}
