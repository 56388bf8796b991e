// ImageSet: labelled grey images, as bytes.
#pragma once

#include <cstdint>
#include <vector>

namespace xgrad::data {

/// Images of one size, each with a class. A set of 60,000 images of 28 x 28 takes 47 MB.
struct ImageSet {
  std::vector<std::uint8_t> pixels;  ///< [size, height, width], row-major, 0 is the background
  std::vector<std::uint8_t> labels;  ///< [size]
  std::int64_t height = 0;
  std::int64_t width = 0;

  /// How many images there are.
  std::int64_t size() const { return static_cast<std::int64_t>(labels.size()); }
  /// Pixels per image.
  std::int64_t features() const { return height * width; }
};

}  // namespace xgrad::data
