// Copies and sums of tensors of any dtype, contiguous or strided.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "xgrad/tensor/shape.hpp"
#include "xgrad/tensor/view.hpp"

namespace xgrad::detail {

/// out[i] (= or +=) in[i * step] for i below n.
template <class T>
void put_run(const T* in, std::int64_t step, T* out, std::int64_t n, Write write) {
  if (write == Write::accumulate) {
    for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<T>(out[i] + in[i * step]);
  } else if (step == 0) {
    std::fill_n(out, n, *in);
  } else if (step == 1) {
    std::copy_n(in, n, out);
  } else {
    for (std::int64_t i = 0; i < n; ++i) out[i] = in[i * step];
  }
}

/// y (= or +=) x, both contiguous and of one size.
void copy(const ConstView& x, const View& y, Write write);

/// y (contiguous) from x read with given strides from an offset on.
void copy_strided(const ConstView& x, std::int64_t offset, const std::array<std::int64_t, kMaxRank>& strides,
                  const View& y, Write write);

}  // namespace xgrad::detail
