// draw_digits: images that look like handwritten digits, for programs without a data set. Each digit is a few
// pen strokes whose control points tremble, distorted by a random affine map and a gentle wave, and drawn
// with a soft-edged pen of random width on noisy paper.
#pragma once

#include <cstdint>

#include "xgrad/data/image_set.hpp"

namespace xgrad::data {

/// `count` images of 28 x 28 with labels 0 to 9 in random order; the counts of any two labels differ by at
/// most one. Equal seeds draw equal digits. 10,000 take about 0.2 seconds.
/// @throws Error for a negative count.
ImageSet draw_digits(std::int64_t count, std::uint64_t seed);

}  // namespace xgrad::data
