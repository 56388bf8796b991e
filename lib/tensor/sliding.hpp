// How a window slides over images: the geometry of convolution and pooling.
#pragma once

#include <cstdint>

namespace xgrad {

/// How a window slides, for height and width: its extent, its step, the margin around the image and the
/// distance between neighbouring elements of the window.
struct Sliding {
  std::int64_t window[2], stride[2], padding[2], dilation[2];

  /// The image's extent that one window spans.
  std::int64_t span(int axis) const { return dilation[axis] * (window[axis] - 1) + 1; }
  /// How many places the window has along an axis of some extent; 0 when it does not fit.
  std::int64_t places(int axis, std::int64_t extent) const {
    const std::int64_t room = extent + 2 * padding[axis] - span(axis);
    return room < 0 ? 0 : room / stride[axis] + 1;
  }
};

/// A number of images, one after the other, of one extent.
struct Images {
  std::int64_t count, height, width;
};

/// Places first to first + count, of the rows of places or of one row's.
struct Places {
  std::int64_t first, count;
};

}  // namespace xgrad
