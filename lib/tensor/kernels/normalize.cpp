// Normalisation of [outer, n, inner] over outer and inner, for each index along n. Sums are in T within a
// block and in double precision across blocks, in an order that depends on the extents alone.
#include <algorithm>
#include <cmath>

#include "lib/tensor/kernels/simd.hpp"

namespace xgrad::kernels {
namespace {

/// Calls body(offset, count) for the contiguous elements of one index along n, in blocks.
template <class Body>
void for_each_run(const Extents& e, std::int64_t which, Body&& body) {
  constexpr std::int64_t kBlock = 4096;
  for (std::int64_t o = 0; o < e.outer; ++o) {
    const std::int64_t start = (o * e.n + which) * e.inner;
    for (std::int64_t i = 0; i < e.inner; i += kBlock) body(start + i, std::min(kBlock, e.inner - i));
  }
}

/// The mean of term(i, count), a batch for the elements from i on: the first `count` lanes, 0 in the others.
template <class T, class Term>
double mean_of(const Extents& e, std::int64_t which, Term&& term) {
  double total = 0;
  for_each_run(e, which, [&](std::int64_t start, std::int64_t n) {
    constexpr std::int64_t w = kLanes<T>;
    Batch<T> a(T(0)), b(T(0));
    std::int64_t i = 0;
    for (; i + 2 * w <= n; i += 2 * w) a += term(start + i, w), b += term(start + i + w, w);
    for (; i < n; i += w) a += term(start + i, std::min(w, n - i));
    total += static_cast<double>(add_lanes<T>(a + b));
  });
  return total / static_cast<double>(e.outer * e.inner);
}

template <class T>
double mean_of(const T* x, const Extents& e, std::int64_t which) {
  return mean_of<T>(e, which, [&](auto i, auto count) { return load_up_to(x + i, count, T(0)); });
}

/// The mean of (x - centre)^2.
template <class T>
double mean_square(const T* x, const Extents& e, std::int64_t which, T centre) {
  return mean_of<T>(e, which, [&](auto i, auto count) {
    const Batch<T> d = load_up_to(x + i, count, centre) - Batch<T>(centre);
    return d * d;
  });
}

}  // namespace

template <class T>
void XGRAD_KERNEL_ISA::normalize(const T* x, Extents e, Range range, double eps, bool centred, T* y,
                                 Write write) {
  for (std::int64_t which = range.begin; which < range.begin + range.count; ++which) {
    const T mean = centred ? static_cast<T>(mean_of(x, e, which)) : T(0);
    const T scale = static_cast<T>(1 / std::sqrt(mean_square(x, e, which, mean) + eps));
    for_each_run(e, which, [&](std::int64_t start, std::int64_t n) {
      for_batches<T>(n, y + start, write, [&](auto i, auto count) {
        return (load_up_to(x + start + i, count, T(0)) - Batch<T>(mean)) * Batch<T>(scale);
      });
    });
  }
}
XGRAD_INSTANTIATE(normalize)

// With y = (x - mean) scale: dx = scale (u - mean(u) - y mean(u y)).
template <class T>
void XGRAD_KERNEL_ISA::normalize_grad(const T* u, const T* x, Extents e, Range range, double eps,
                                      bool centred, T* dx, Write write) {
  for (std::int64_t which = range.begin; which < range.begin + range.count; ++which) {
    const T mean = centred ? static_cast<T>(mean_of(x, e, which)) : T(0);
    const double scale = 1 / std::sqrt(mean_square(x, e, which, mean) + eps);
    const double along = mean_of<T>(e, which, [&](auto i, auto count) {
      return load_up_to(u + i, count, T(0)) * (load_up_to(x + i, count, mean) - Batch<T>(mean));
    });
    const T mean_u = centred ? static_cast<T>(mean_of(u, e, which)) : T(0);
    const T slope = static_cast<T>(along * scale * scale), factor = static_cast<T>(scale);
    for_each_run(e, which, [&](std::int64_t start, std::int64_t n) {
      for_batches<T>(n, dx + start, write, [&](auto i, auto count) {
        const Batch<T> d = load_up_to(x + start + i, count, T(0)) - Batch<T>(mean);
        const Batch<T> v = load_up_to(u + start + i, count, T(0)) - Batch<T>(mean_u);
        return (v - d * Batch<T>(slope)) * Batch<T>(factor);
      });
    });
  }
}
XGRAD_INSTANTIATE(normalize_grad)

template <class T>
void XGRAD_KERNEL_ISA::moments(const T* x, Extents e, Range range, T* mean, T* variance, Write write) {
  for (std::int64_t which = range.begin; which < range.begin + range.count; ++which) {
    const T m = static_cast<T>(mean_of(x, e, which));
    put_one(mean + which, m, write);
    put_one(variance + which, static_cast<T>(mean_square(x, e, which, m)), write);
  }
}
XGRAD_INSTANTIATE(moments)

}  // namespace xgrad::kernels
