// Sliding windows over images, laid out as the columns of a matrix, so that a convolution is a matrix product.
#pragma once

#include <cstdint>

namespace xgrad {

/// How a window slides over an image, for height and width: its extent, its step, the margin around the image
/// and the distance between neighbouring elements of the window.
struct Sliding {
  std::int64_t window[2], stride[2], padding[2], dilation[2];

  /// The image's extent that one window spans.
  std::int64_t span(int axis) const { return dilation[axis] * (window[axis] - 1) + 1; }
  /// How many places the window has along an axis; 0 when it does not fit.
  std::int64_t places(int axis, std::int64_t extent) const {
    const std::int64_t room = extent + 2 * padding[axis] - span(axis);
    return room < 0 ? 0 : room / stride[axis] + 1;
  }
};

/// A number of images, one after the other, of one extent.
struct Images {
  std::int64_t count, height, width;
};

/// The rows `first` to first + rows of places of a window over several channels of an image, as a matrix
/// [channels window[0] window[1], rows places(1)]: a row holds one element of all windows, 0 in the margin.
template <class T>
void im2col(const T* image, const Images& channels, const Sliding& sliding, std::int64_t first,
            std::int64_t rows, T* columns);

/// The transpose: adds every element of the matrix to the image's element that it came from.
template <class T>
void col2im(const T* columns, const Images& channels, const Sliding& sliding, std::int64_t first,
            std::int64_t rows, T* image);

}  // namespace xgrad
