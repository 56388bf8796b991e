// Makes the tensors of a batch from the bytes of a data set: scaled pixels, labels, one-hot rows. The results
// go into views, so that a training loop can use the same memory for every batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "xgrad/tensor/view.hpp"
#include "xgrad/tensor/xtensor.hpp"

namespace xgrad::data {

/// The range of pixel values that scaling maps to [0, 1]. Fit it to the training set, and use it for the test
/// set too.
struct MinMax {
  double min = 0;
  double max = 255;

  /// The smallest and the largest value. @throws Error when there are no values or all are equal.
  static MinMax fit(std::span<const std::uint8_t> values);
};

/// Scales the rows of a batch: out[i, j] = (pixels[rows[i], j] - min) / (max - min), each operation rounded
/// in the dtype of `out`. Values outside the range are mapped outside [0, 1].
/// @param pixels [any, features]
/// @param out [rows, features], float32 or float64
/// @throws ShapeError when `pixels` is not whole rows, `out` has another shape or a row does not exist;
///   DTypeError when `out` is not floating; Error unless min < max. Nothing is written then.
void gather_scaled(std::span<const std::uint8_t> pixels, std::int64_t features,
                   std::span<const std::int32_t> rows, const MinMax& range, View out);

/// The labels of a batch: out[i] = labels[rows[i]].
/// @param out [rows], int64
/// @throws ShapeError when `out` has another shape or a row does not exist; DTypeError when it is not int64.
void gather_labels(std::span<const std::uint8_t> labels, std::span<const std::int32_t> rows, View out);

/// One row per label, 1 in the label's column and 0 elsewhere.
/// @param out [labels, classes], float32 or float64
/// @throws ShapeError when `out` has another shape; DTypeError when it is not floating; Error when a label
///   is not 0 to classes - 1. Nothing is written then.
void one_hot(std::span<const std::uint8_t> labels, std::int64_t classes, View out);
/// The same for the labels that `gather_labels` writes.
void one_hot(std::span<const std::int64_t> labels, std::int64_t classes, View out);

/// The one-hot rows as a new array, [labels, classes].
inline xt::xarray<float> one_hot(std::span<const std::uint8_t> labels, std::int64_t classes) {
  const Shape shape{static_cast<std::int64_t>(labels.size()), classes};
  auto rows = xt::xarray<float>::from_shape({labels.size(), static_cast<std::size_t>(classes)});
  one_hot(labels, classes, View{rows.data(), DType::float32, &shape});
  return rows;
}

}  // namespace xgrad::data
