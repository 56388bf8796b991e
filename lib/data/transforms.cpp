// Scaled pixels, labels and one-hot rows of a batch, with their checks.
#include "xgrad/data/transforms.hpp"

#include <algorithm>

#include "lib/tensor/kernels.hpp"
#include "xgrad/support/error.hpp"
#include "xgrad/support/text.hpp"
#include "xgrad/tensor/dispatch.hpp"

namespace xgrad::data {

using detail::text;

namespace {

void check_shape(const char* op, const View& out, const Shape& expected) {
  if (out.shape() != expected) {
    throw ShapeError(text(op, ": the result is ", expected, ", but out is ", out.shape()));
  }
}

void check_floating(const char* op, const View& out) {
  if (!is_floating(out.dtype)) {
    throw DTypeError(text(op, ": out must be float32 or float64, but is ", out.dtype));
  }
}

void check_rows(const char* op, std::span<const std::int32_t> rows, std::int64_t count) {
  for (const std::int32_t row : rows) {
    if (row < 0 || row >= count) {
      throw ShapeError(text(op, ": row ", row, " is out of range for ", count, " rows"));
    }
  }
}

// The rows lie all over the set, and fetching them takes most of the time: a row is prefetched two rows
// ahead. Measured, 50 rows of 784 out of 60,000 to float with SSE2 code: 8.9 us, without prefetch 13.2.
// Division is exact at both ends of the range; multiplication by the inverse takes 7.0 us, a table of the 256
// values 18 without prefetch.
template <class T>
void scale_rows(const std::uint8_t* pixels, std::int64_t features, std::span<const std::int32_t> rows,
                const MinMax& range, T* out) {
  constexpr std::int64_t kCacheLine = 64;
  constexpr std::size_t kAhead = 2;
  const auto scale = kernels::table<T>().scale_bytes;
  for (std::size_t i = 0; i < rows.size(); ++i, out += features) {
    if (i + kAhead < rows.size()) {
      const std::uint8_t* ahead = pixels + rows[i + kAhead] * features;
      for (std::int64_t j = 0; j < features; j += kCacheLine) __builtin_prefetch(ahead + j);
    }
    scale(pixels + rows[i] * features, out, features, static_cast<T>(range.min),
          static_cast<T>(range.max - range.min));
  }
}

template <class T, class Label>
void set_ones(std::span<const Label> labels, std::int64_t classes, T* out) {
  std::fill_n(out, std::ssize(labels) * classes, T{0});
  for (const Label label : labels) {
    out[label] = T{1};
    out += classes;
  }
}

template <class Label>
void checked_one_hot(std::span<const Label> labels, std::int64_t classes, const View& out) {
  check_floating("one_hot", out);
  check_shape("one_hot", out, {std::ssize(labels), classes});
  for (const std::int64_t label : labels) {
    if (label < 0 || label >= classes) {
      throw Error(text("one_hot: label ", label, " is out of range for ", classes, " classes"));
    }
  }
  detail::dispatch_floating(out.dtype, [&]<class T>() { set_ones(labels, classes, out.as<T>()); });
}

}  // namespace

MinMax MinMax::fit(std::span<const std::uint8_t> values) {
  if (values.empty()) throw Error("min_max: no values to take a range from");
  std::uint8_t min = 255, max = 0;
  for (const std::uint8_t value : values) min = std::min(min, value), max = std::max(max, value);
  if (min == max) throw Error(text("min_max: all ", values.size(), " values are ", int{min}));
  return {static_cast<double>(min), static_cast<double>(max)};
}

void gather_scaled(std::span<const std::uint8_t> pixels, std::int64_t features,
                   std::span<const std::int32_t> rows, const MinMax& range, View out) {
  constexpr const char* kOp = "gather_scaled";
  if (features < 1 || std::ssize(pixels) % features != 0) {
    throw ShapeError(text(kOp, ": ", pixels.size(), " pixels are not rows of ", features));
  }
  check_floating(kOp, out);
  check_shape(kOp, out, {std::ssize(rows), features});
  check_rows(kOp, rows, std::ssize(pixels) / features);
  if (!(range.min < range.max)) {
    throw Error(text(kOp, ": the range ", range.min, " to ", range.max, " is empty"));
  }
  detail::dispatch_floating(
      out.dtype, [&]<class T>() { scale_rows(pixels.data(), features, rows, range, out.as<T>()); });
}

void gather_labels(std::span<const std::uint8_t> labels, std::span<const std::int32_t> rows, View out) {
  constexpr const char* kOp = "gather_labels";
  if (out.dtype != DType::int64) throw DTypeError(text(kOp, ": out must be int64, but is ", out.dtype));
  check_shape(kOp, out, {std::ssize(rows)});
  check_rows(kOp, rows, std::ssize(labels));
  auto* y = out.as<std::int64_t>();
  for (const std::int32_t row : rows) *y++ = labels[static_cast<std::size_t>(row)];
}

void one_hot(std::span<const std::uint8_t> labels, std::int64_t classes, View out) {
  checked_one_hot(labels, classes, out);
}

void one_hot(std::span<const std::int64_t> labels, std::int64_t classes, View out) {
  checked_one_hot(labels, classes, out);
}

}  // namespace xgrad::data
