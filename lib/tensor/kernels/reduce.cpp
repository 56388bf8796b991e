// Sums, maxima and minima of [outer, n, inner] over n. Sums are blocked and pairwise, so that their error
// grows with log n; the order of the additions depends on the extents alone.
#include <limits>

#include "lib/tensor/kernels/simd.hpp"

namespace xgrad::kernels {
namespace {

constexpr std::int64_t kBlock = 2048;

/// The sum of up to kBlock numbers, in four batches side by side.
template <class T>
T sum_block(const T* x, std::int64_t n) {
  constexpr std::int64_t w = kLanes<T>;
  Batch<T> a(T(0)), b(T(0)), c(T(0)), d(T(0));
  std::int64_t i = 0;
  for (; i + 4 * w <= n; i += 4 * w) {
    a += load(x + i);
    b += load(x + i + w);
    c += load(x + i + 2 * w);
    d += load(x + i + 3 * w);
  }
  for (; i + w <= n; i += w) a += load(x + i);
  if (i < n) b += load_some(x + i, n - i, T(0));
  return add_lanes<T>((a + b) + (c + d));
}

template <class T>
T sum_row(const T* x, std::int64_t n) {
  if (n <= kBlock) return sum_block(x, n);
  const std::int64_t half = (n / 2 + kBlock - 1) / kBlock * kBlock;
  return sum_row(x, half) + sum_row(x + half, n - half);
}

/// The sum over the rows of one batch of columns, pairwise in blocks of rows.
template <class T>
Batch<T> sum_column(const T* x, std::int64_t rows, std::int64_t stride, std::int64_t count) {
  constexpr std::int64_t kRows = 128;
  if (rows > kRows) {
    const std::int64_t half = (rows / 2 + kRows - 1) / kRows * kRows;
    return sum_column(x, half, stride, count) + sum_column(x + half * stride, rows - half, stride, count);
  }
  Batch<T> a(T(0)), b(T(0));
  std::int64_t r = 0;
  for (; r + 2 <= rows; r += 2) {
    a += load_up_to(x + r * stride, count, T(0));
    b += load_up_to(x + (r + 1) * stride, count, T(0));
  }
  if (r < rows) a += load_up_to(x + r * stride, count, T(0));
  return a + b;
}

/// The order of an extremum: the better of two numbers, and the start, which is worse than every number.
struct Larger {
  static constexpr double kNone = -std::numeric_limits<double>::infinity();
  static auto better(const auto& a, const auto& b) { return a > b; }
};
struct Smaller {
  static constexpr double kNone = std::numeric_limits<double>::infinity();
  static auto better(const auto& a, const auto& b) { return a < b; }
};

/// The better of two; NaN when either is NaN. (On AVX xsimd's != is false for NaN.)
template <class Order, class T>
Batch<T> best_of(const Batch<T>& a, const Batch<T>& b) {
  return xsimd::select(Order::better(a, b), a, xsimd::select(a == a, b, a));
}

template <class Order, class T>
void extremum(const T* x, Extents e, T* y, Write write) {
  constexpr T kNone = static_cast<T>(Order::kNone);
  for (std::int64_t o = 0; o < e.outer; ++o, x += e.n * e.step(), y += e.inner) {
    if (e.step() == 1) {
      Batch<T> top(kNone);
      std::int64_t i = 0;
      for (; i + kLanes<T> <= e.n; i += kLanes<T>) top = best_of<Order, T>(top, load(x + i));
      if (i < e.n) top = best_of<Order, T>(top, load_some(x + i, e.n - i, kNone));
      alignas(64) T lanes[kLanes<T>];
      top.store_aligned(lanes);
      T best = lanes[0];
      for (T v : lanes) best = Order::better(best, v) || best != best ? best : v;
      put_one(y, best, write);
    } else {
      for_batches<T>(e.inner, y, write, [&](auto i, auto count) {
        Batch<T> top(kNone);
        for (std::int64_t r = 0; r < e.n; ++r)
          top = best_of<Order, T>(top, load_up_to(x + r * e.step() + i, count, kNone));
        return top;
      });
    }
  }
}

}  // namespace

template <class T>
void XGRAD_KERNEL_ISA::sum(const T* x, Extents e, T* y, Write write) {
  for (std::int64_t o = 0; o < e.outer; ++o, x += e.n * e.step(), y += e.inner) {
    if (e.step() == 1) {
      put_one(y, sum_row(x, e.n), write);
    } else {
      for_batches<T>(e.inner, y, write,
                     [&](auto i, auto count) { return sum_column(x + i, e.n, e.step(), count); });
    }
  }
}
XGRAD_INSTANTIATE(sum)

template <class T>
void XGRAD_KERNEL_ISA::max(const T* x, Extents e, T* y, Write write) {
  extremum<Larger>(x, e, y, write);
}
XGRAD_INSTANTIATE(max)

template <class T>
void XGRAD_KERNEL_ISA::min(const T* x, Extents e, T* y, Write write) {
  extremum<Smaller>(x, e, y, write);
}
XGRAD_INSTANTIATE(min)

}  // namespace xgrad::kernels
