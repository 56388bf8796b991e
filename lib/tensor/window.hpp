// Window: the geometry of convolution and pooling.
#pragma once

#include <cstdint>

namespace xgrad {

/// A window that slides over an image. Element [0] is along the height, [1] along the width.
struct Window {
  std::int64_t extent[2];    ///< elements of the window
  std::int64_t stride[2];    ///< from one position of the window to the next
  std::int64_t padding[2];   ///< the margin on either side of the image
  std::int64_t dilation[2];  ///< from one element of the window to the next

  /// The extent of the image that the window spans.
  std::int64_t span(int axis) const { return dilation[axis] * (extent[axis] - 1) + 1; }
  /// How many positions the window has along an axis of an image; 0 when it does not fit.
  std::int64_t positions(int axis, std::int64_t length) const {
    const std::int64_t room = length + 2 * padding[axis] - span(axis);
    return room < 0 ? 0 : room / stride[axis] + 1;
  }
};

/// Images of one channel each, of one size, one behind the other.
struct Planes {
  std::int64_t count, height, width;
};

/// A range of the window's positions: of rows of them, or within a row.
struct Positions {
  std::int64_t first, count;
};

}  // namespace xgrad
