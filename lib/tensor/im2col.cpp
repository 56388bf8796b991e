#include "lib/tensor/im2col.hpp"

#include <algorithm>

namespace xgrad {
namespace {

/// Calls body(image, begin, end) for every row of places of every element of the window, in the order of the
/// matrix. Places `begin` to `end` of the row are inside the image; the first of them is at offset `image`,
/// the next one stride[1] further. Where none is inside, both are the end of the row.
template <class Body>
void for_each_row(const Images& channels, const Sliding& s, std::int64_t first, std::int64_t rows,
                  Body&& body) {
  const std::int64_t places = s.places(1, channels.width);
  for (std::int64_t c = 0; c < channels.count; ++c) {
    for (std::int64_t i = 0; i < s.window[0]; ++i) {
      for (std::int64_t j = 0; j < s.window[1]; ++j) {
        const std::int64_t left = j * s.dilation[1] - s.padding[1], step = s.stride[1];
        const std::int64_t begin = left < 0 ? std::min(places, (-left + step - 1) / step) : 0;
        const std::int64_t room = channels.width - left;
        const std::int64_t end = room > 0 ? std::clamp((room + step - 1) / step, begin, places) : begin;
        std::int64_t y = first * s.stride[0] + i * s.dilation[0] - s.padding[0];
        for (std::int64_t r = 0; r < rows; ++r, y += s.stride[0]) {
          if (y >= 0 && y < channels.height && begin < end) {
            body((c * channels.height + y) * channels.width + left + begin * step, begin, end);
          } else {
            body(0, places, places);
          }
        }
      }
    }
  }
}

}  // namespace

template <class T>
void im2col(const T* image, const Images& channels, const Sliding& s, std::int64_t first, std::int64_t rows,
            T* columns) {
  const std::int64_t places = s.places(1, channels.width), step = s.stride[1];
  for_each_row(channels, s, first, rows, [&](std::int64_t offset, std::int64_t begin, std::int64_t end) {
    std::fill_n(columns, begin, T(0));
    const T* from = image + offset;
    T* to = columns + begin;
    if (step == 1) {
      for (std::int64_t k = 0; k < end - begin; ++k) to[k] = from[k];
    } else {
      for (std::int64_t k = 0; k < end - begin; ++k) to[k] = from[k * step];
    }
    std::fill_n(columns + end, places - end, T(0));
    columns += places;
  });
}

template <class T>
void col2im(const T* columns, const Images& channels, const Sliding& s, std::int64_t first, std::int64_t rows,
            T* image) {
  const std::int64_t places = s.places(1, channels.width), step = s.stride[1];
  for_each_row(channels, s, first, rows, [&](std::int64_t offset, std::int64_t begin, std::int64_t end) {
    const T* from = columns + begin;
    T* to = image + offset;
    if (step == 1) {
      for (std::int64_t k = 0; k < end - begin; ++k) to[k] += from[k];
    } else {
      for (std::int64_t k = 0; k < end - begin; ++k) to[k * step] += from[k];
    }
    columns += places;
  });
}

#define XGRAD_INSTANTIATE(T)                                                                               \
  template void im2col<T>(const T*, const Images&, const Sliding&, std::int64_t, std::int64_t, T*);        \
  template void col2im<T>(const T*, const Images&, const Sliding&, std::int64_t, std::int64_t, T*);
XGRAD_INSTANTIATE(float)
XGRAD_INSTANTIATE(double)
#undef XGRAD_INSTANTIATE

}  // namespace xgrad
