// Softmax and its relatives over n of [outer, n, inner]. With inner = 1 a batch holds neighbours along n;
// otherwise it holds neighbours along inner, and n is walked in strides.
#include <cmath>
#include <limits>

#include "lib/tensor/kernels/simd.hpp"

namespace xgrad::kernels {
namespace {

template <class T>
constexpr T kLowest = -std::numeric_limits<T>::infinity();

/// A batch of neighbouring lines of n numbers, where step k is the batch at x + k * stride. Or a row: one
/// line in contiguous memory, whose steps are its batches one after the other and whose results are folded
/// over lanes.
template <class T>
struct Line {
  std::int64_t steps, stride, count, last_count;  // valid lanes: of a step, of the last step
  bool row;

  static Line along_row(std::int64_t n) {
    const std::int64_t steps = (n + kLanes<T> - 1) / kLanes<T>;
    return {steps, kLanes<T>, kLanes<T>, n - (steps - 1) * kLanes<T>, true};
  }
  static Line across(std::int64_t n, std::int64_t stride, std::int64_t count) {
    return {n, stride, count, count, false};
  }

  std::int64_t lanes(std::int64_t k) const { return k + 1 < steps ? count : last_count; }
  Batch<T> at(const T* x, std::int64_t k, T fill) const { return load_up_to(x + k * stride, lanes(k), fill); }

  template <class Combine>
  Batch<T> fold(Batch<T> b, Combine&& combine) const {
    if (!row) return b;
    alignas(64) T lanes_of[kLanes<T>];
    b.store_aligned(lanes_of);
    for (std::int64_t half = kLanes<T> / 2; half > 0; half /= 2) {
      for (std::int64_t i = 0; i < half; ++i) lanes_of[i] = combine(lanes_of[i], lanes_of[i + half]);
    }
    return Batch<T>(lanes_of[0]);
  }

  /// The maximum of each line; 0 where all numbers are -inf, so that subtracting it gives no NaN.
  Batch<T> top(const T* x) const {
    Batch<T> m(kLowest<T>);
    for (std::int64_t k = 0; k < steps; ++k) m = xsimd::max(m, at(x, k, kLowest<T>));
    m = fold(m, [](T a, T b) { return a > b ? a : b; });
    return xsimd::select(m == Batch<T>(kLowest<T>), Batch<T>(T(0)), m);
  }
  template <class Term>
  Batch<T> sum(Term&& term) const {
    Batch<T> a(T(0));
    for (std::int64_t k = 0; k < steps; ++k) a += term(k);
    return fold(a, [](T p, T q) { return p + q; });
  }
  template <class Value>
  void write(T* y, Write mode, Value&& value) const {
    for (std::int64_t k = 0; k < steps; ++k) {
      const Batch<T> v = value(k);
      T* p = y + k * stride;
      const std::int64_t n = lanes(k);
      if (mode == Write::assign) {
        n == kLanes<T> ? put<Write::assign>(p, v) : put_some<Write::assign>(p, v, n);
      } else {
        n == kLanes<T> ? put<Write::accumulate>(p, v) : put_some<Write::accumulate>(p, v, n);
      }
    }
  }
};

/// Calls body(line, its offset in the tensor, its offset in the reduced tensor) for all lines.
template <class T, class Body>
void for_lines(Extents e, Body&& body) {
  if (e.n == 0) return;
  for (std::int64_t o = 0; o < e.outer; ++o) {
    if (e.step() == 1) {
      body(Line<T>::along_row(e.n), o * e.n, o);
      continue;
    }
    for (std::int64_t i = 0; i < e.inner; i += kLanes<T>) {
      const std::int64_t left = e.inner - i;
      body(Line<T>::across(e.n, e.step(), left < kLanes<T> ? left : kLanes<T>), o * e.n * e.step() + i,
           o * e.inner + i);
    }
  }
}

template <class T>
Batch<T> exp_sum(const Line<T>& line, const T* x, const Batch<T>& top) {
  return line.sum([&](auto k) { return xsimd::exp(line.at(x, k, kLowest<T>) - top); });
}

}  // namespace

template <class T>
void XGRAD_KERNEL_ISA::logsumexp(const T* x, Extents e, T* y, Write write) {
  if (e.n == 0) {
    for (std::int64_t i = 0; i < e.outer * e.inner; ++i) put_one(y + i, kLowest<T>, write);
    return;
  }
  for_lines<T>(e, [&](const Line<T>& line, auto at, auto reduced) {
    const Batch<T> highest(std::numeric_limits<T>::infinity()), found = line.top(x + at);
    const Batch<T> top = xsimd::select(found == highest, Batch<T>(T(0)), found);
    const Batch<T> result = top + xsimd::log(exp_sum(line, x + at, top));
    const std::int64_t count = line.row ? 1 : line.count;
    if (write == Write::assign) {
      put_some<Write::assign>(y + reduced, result, count);
    } else {
      put_some<Write::accumulate>(y + reduced, result, count);
    }
  });
}
XGRAD_INSTANTIATE(logsumexp)

template <class T>
void XGRAD_KERNEL_ISA::softmax(const T* x, Extents e, T* y, Write write) {
  for_lines<T>(e, [&](const Line<T>& line, auto at, auto) {
    const Batch<T> top = line.top(x + at);
    if (write == Write::accumulate) {
      const Batch<T> total = exp_sum(line, x + at, top);
      line.write(y + at, write,
                 [&](auto k) { return xsimd::exp(line.at(x + at, k, kLowest<T>) - top) / total; });
      return;
    }
    // y holds the exponentials until they are divided.
    line.write(y + at, write, [&](auto k) { return xsimd::exp(line.at(x + at, k, kLowest<T>) - top); });
    const Batch<T> total = line.sum([&](auto k) { return line.at(y + at, k, T(0)); });
    line.write(y + at, write, [&](auto k) { return line.at(y + at, k, T(0)) / total; });
  });
}
XGRAD_INSTANTIATE(softmax)

template <class T>
void XGRAD_KERNEL_ISA::log_softmax(const T* x, Extents e, T* y, Write write) {
  for_lines<T>(e, [&](const Line<T>& line, auto at, auto) {
    const Batch<T> top = line.top(x + at);
    const Batch<T> log_total = xsimd::log(exp_sum(line, x + at, top));
    line.write(y + at, write, [&](auto k) { return (line.at(x + at, k, T(0)) - top) - log_total; });
  });
}
XGRAD_INSTANTIATE(log_softmax)

template <class T>
void XGRAD_KERNEL_ISA::softmax_grad(const T* u, const T* y, Extents e, T* dx, Write write) {
  for_lines<T>(e, [&](const Line<T>& line, auto at, auto) {
    const auto us = [&](auto k) { return line.at(u + at, k, T(0)); };
    const auto ys = [&](auto k) { return line.at(y + at, k, T(0)); };
    const Batch<T> dot = line.sum([&](auto k) { return functions::cotangent_mul<Batch<T>>(us(k), ys(k)); });
    line.write(dx + at, write,
               [&](auto k) { return functions::cotangent_mul<Batch<T>>(us(k) - dot, ys(k)); });
  });
}
XGRAD_INSTANTIATE(softmax_grad)

template <class T>
void XGRAD_KERNEL_ISA::log_softmax_grad(const T* u, const T* y, Extents e, T* dx, Write write) {
  for_lines<T>(e, [&](const Line<T>& line, auto at, auto) {
    const Batch<T> total = line.sum([&](auto k) { return line.at(u + at, k, T(0)); });
    line.write(dx + at, write, [&](auto k) {
      return line.at(u + at, k, T(0)) -
             functions::cotangent_mul<Batch<T>>(total, xsimd::exp(line.at(y + at, k, T(0))));
    });
  });
}
XGRAD_INSTANTIATE(log_softmax_grad)

template <class T>
void XGRAD_KERNEL_ISA::exp_minus(const T* x, T shift, T scale, T* y, std::int64_t n, Write write) {
  for_batches<T>(n, y, write, [&](auto i, auto count) {
    return Batch<T>(scale) * xsimd::exp(load_up_to(x + i, count, T(0)) - Batch<T>(shift));
  });
}
XGRAD_INSTANTIATE(exp_minus)

}  // namespace xgrad::kernels
