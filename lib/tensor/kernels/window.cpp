// Windows that slide over images: plain loops, of which the compiler vectorises the inner ones.
#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "lib/tensor/kernels/simd.hpp"

namespace xgrad::kernels {
namespace {

/// The positions begin to end of a row at which the window's column j is inside the image.
struct Inside {
  std::int64_t begin, end;
};
Inside inside(const Window& s, std::int64_t j, std::int64_t width, const Positions& positions) {
  const std::int64_t left = j * s.dilation[1] - s.padding[1], step = s.stride[1], room = width - left;
  const std::int64_t last = positions.first + positions.count;
  const std::int64_t begin = left < 0 ? (-left + step - 1) / step : 0;
  const std::int64_t end = room > 0 ? (room + step - 1) / step : 0;
  const std::int64_t from = std::clamp(begin, positions.first, last);
  return {from, std::clamp(end, from, last)};
}

/// Calls body(offset, inside) for each element of the window and each row of its positions, in the order of
/// im2col's matrix: the positions inside the image, and the element's offset in the channels at the first of
/// them; at the next one it is stride[1] further.
template <class Body>
void for_each_row(const Planes& channels, const Window& s, Positions rows, std::int64_t positions,
                  Body&& body) {
  for (std::int64_t c = 0; c < channels.count; ++c) {
    for (std::int64_t i = 0; i < s.extent[0]; ++i) {
      for (std::int64_t j = 0; j < s.extent[1]; ++j) {
        const Inside range = inside(s, j, channels.width, {0, positions});
        const std::int64_t left = j * s.dilation[1] - s.padding[1] + range.begin * s.stride[1];
        std::int64_t y = rows.first * s.stride[0] + i * s.dilation[0] - s.padding[0];
        for (std::int64_t r = 0; r < rows.count; ++r, y += s.stride[0]) {
          if (y >= 0 && y < channels.height && range.begin < range.end) {
            body((c * channels.height + y) * channels.width + left, range);
          } else {
            body(0, Inside{positions, positions});
          }
        }
      }
    }
  }
}

/// Calls body(k, size) for blocks of n elements, with sizes that the compiler knows: n is small.
template <class T, class Body>
void for_blocks(std::int64_t n, Body&& body) {
  std::int64_t k = 0;
  for (; k + kLanes<T> <= n; k += kLanes<T>) body(k, std::integral_constant<std::int64_t, kLanes<T>>());
  for (; k + 4 <= n; k += 4) body(k, std::integral_constant<std::int64_t, 4>());
  for (; k < n; ++k) body(k, std::integral_constant<std::int64_t, 1>());
}

}  // namespace

template <class T>
void XGRAD_KERNEL_ISA::im2col(const T* image, const Planes& channels, const Window& s, Positions rows,
                              T* columns) {
  const std::int64_t positions = s.positions(1, channels.width), step = s.stride[1];
  for_each_row(channels, s, rows, positions, [&](std::int64_t offset, const Inside& range) {
    for (std::int64_t k = 0; k < range.begin; ++k) columns[k] = T(0);
    const T* from = image + offset;
    T* to = columns + range.begin;
    const std::int64_t n = range.end - range.begin;
    if (step == 1) {
      for_blocks<T>(n, [&](std::int64_t k, auto size) { std::memcpy(to + k, from + k, size() * sizeof(T)); });
    } else {
      for (std::int64_t k = 0; k < n; ++k) to[k] = from[k * step];
    }
    for (std::int64_t k = range.end; k < positions; ++k) columns[k] = T(0);
    columns += positions;
  });
}
XGRAD_INSTANTIATE(im2col)

template <class T>
void XGRAD_KERNEL_ISA::col2im(const T* columns, const Planes& channels, const Window& s, Positions rows,
                              T* image) {
  const std::int64_t positions = s.positions(1, channels.width), step = s.stride[1];
  for_each_row(channels, s, rows, positions, [&](std::int64_t offset, const Inside& range) {
    const T* from = columns + range.begin;
    T* to = image + offset;
    const std::int64_t n = range.end - range.begin;
    if (step == 1) {
      for_blocks<T>(n, [&](std::int64_t k, auto size) {
        T sum[size()];
        for (std::int64_t e = 0; e < size(); ++e) sum[e] = to[k + e] + from[k + e];
        std::memcpy(to + k, sum, sizeof sum);
      });
    } else {
      for (std::int64_t k = 0; k < n; ++k) to[k * step] += from[k];
    }
    columns += positions;
  });
}
XGRAD_INSTANTIATE(col2im)

template <class T>
void XGRAD_KERNEL_ISA::largest(const T* image, const Planes& channel, const Window& s, std::int64_t row,
                               Positions positions, std::int32_t* offsets) {
  T best[kLargestPositions];
  std::fill_n(best, positions.count, -std::numeric_limits<T>::infinity());
  std::fill_n(offsets, positions.count, -1);
  const std::int64_t y = row * s.stride[0] - s.padding[0], step = s.stride[1];
  for (std::int64_t i = std::max<std::int64_t>(0, -y); i < std::min(s.extent[0], channel.height - y); ++i) {
    for (std::int64_t j = 0; j < s.extent[1]; ++j) {
      const Inside range = inside(s, j, channel.width, positions);
      const T* from = image + (y + i) * channel.width + range.begin * step + j - s.padding[1];
      T* value = best + (range.begin - positions.first);
      std::int32_t* offset = offsets + (range.begin - positions.first);
      const auto here = static_cast<std::int32_t>(i * channel.width + j);
      for (std::int64_t k = 0; k < range.end - range.begin; ++k) {
        // Bitwise operators: no branch depends on the data.
        const T x = from[k * step], v = value[k];
        const bool better = (x > v) | (offset[k] < 0) | ((x != x) & (v == v));
        value[k] = better ? x : v;
        offset[k] = better ? here : offset[k];
      }
    }
  }
}
XGRAD_INSTANTIATE(largest)

}  // namespace xgrad::kernels
