// Sets of axes, and loops over tensors seen as [outer, n, inner], for all ops.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "lib/support/parallel.hpp"
#include "lib/tensor/copy.hpp"
#include "lib/tensor/kernels.hpp"
#include "xgrad/ops/axes.hpp"
#include "xgrad/ops/checks.hpp"
#include "xgrad/support/error.hpp"
#include "xgrad/support/text.hpp"
#include "xgrad/tape/op.hpp"
#include "xgrad/tape/tape.hpp"
#include "xgrad/tensor/dispatch.hpp"

namespace xgrad::detail {

template <class F>
void dispatch(DType dtype, F&& f) {
  dispatch_floating(dtype, f);
}

/// @throws DTypeError unless an operand is bool; `operand` is its name in errors.
inline void require_bool(const char* op, const char* operand, DType dtype) {
  if (dtype != DType::boolean) throw DTypeError(text(op, ": the ", operand, " is ", dtype, ", not bool"));
}

/// A set of axes of one tensor, as attributes hold it.
struct AxisMask {
  std::uint8_t bits = 0;
  bool has(int axis) const { return (bits >> axis & 1) != 0; }
};

/// The shape after reducing some axes.
inline Shape reduced_shape(const Shape& x, AxisMask axes, bool keepdims) {
  Shape result;
  for (int i = 0; i < x.rank(); ++i) {
    if (!axes.has(i)) result.push_back(x[i]);
    if (axes.has(i) && keepdims) result.push_back(1);
  }
  return result;
}

/// @throws ShapeError when the result has elements and x has none to reduce.
inline void require_elements(const char* op, const Shape& x, AxisMask axes) {
  if (x.size() == 0 && reduced_shape(x, axes, false).size() > 0)
    throw ShapeError(text(op, ": ", x, " has no elements to reduce"));
}

/// x as [outer, n, inner] about one axis.
inline kernels::Extents extents_about(const Shape& x, int axis) {
  kernels::Extents e{1, x[axis], 1};
  for (int i = 0; i < axis; ++i) e.outer *= x[i];
  for (int i = axis + 1; i < x.rank(); ++i) e.inner *= x[i];
  return e;
}

/// Calls body(offset, offset in the reduced tensor, extents) for pieces of a tensor [outer, n, inner] that
/// have all of n; threads share them.
inline constexpr std::int64_t kColumns = 256;
template <class Body>
void for_each_line_piece(const kernels::Extents& e, Body&& body) {
  constexpr std::int64_t kMany = 8;
  const std::int64_t slice = e.n * e.inner;
  if (e.outer >= kMany || e.inner < 2 * kColumns) {
    parallel_chunks(e.outer, std::max<std::int64_t>(1, slice), [&](std::int64_t begin, std::int64_t count) {
      body(begin * slice, begin * e.inner, kernels::Extents{count, e.n, e.inner});
    });
    return;
  }
  const std::int64_t blocks = (e.inner + kColumns - 1) / kColumns;
  for (std::int64_t o = 0; o < e.outer; ++o) {
    parallel_chunks(blocks, e.n * kColumns, [&](std::int64_t begin, std::int64_t count) {
      const std::int64_t i = begin * kColumns;
      body(o * slice + i, o * e.inner + i,
           kernels::Extents{1, e.n, std::min(count * kColumns, e.inner - i), e.inner});
    });
  }
}

/// Reduces [outer, n, inner] over n by kernel(from, extents, to, write), in pieces that threads share. For
/// small outputs n is split as well, and the partial results are reduced again.
template <class T, class Kernel>
void reduce_pieces(const T* x, const kernels::Extents& e, T* y, Write write, Kernel&& kernel) {
  constexpr std::int64_t kRoom = 2048;
  const std::int64_t slice = e.n * e.inner;
  const std::int64_t shares =
      std::min({kRoom / std::max<std::int64_t>(1, e.inner), slice / kGrain, std::int64_t{64}});
  if (e.outer > 1 || e.inner >= 2 * kColumns || shares < 2) {
    for_each_line_piece(e, [&](std::int64_t from, std::int64_t to, const kernels::Extents& piece) {
      kernel(x + from, piece, y + to, write);
    });
    return;
  }
  T parts[kRoom];
  const std::int64_t each = (e.n + shares - 1) / shares, count = (e.n + each - 1) / each;
  parallel_for(count, [&](std::int64_t i) {
    kernel(x + i * each * e.inner, {1, std::min(each, e.n - i * each), e.inner}, parts + i * e.inner,
           Write::assign);
  });
  kernel(parts, {1, count, e.inner}, y, write);
}

/// Reduces x over a set of axes by kernel(from, extents, to, write), one group of neighbouring axes after the
/// other, innermost first.
template <class T, class Kernel>
void reduce(const ConstView& x, AxisMask axes, const View& y, Write write, Kernel&& kernel) {
  Shape shape = x.shape();
  const T* from = x.as<T>();
  std::vector<T> held, next;
  for (int last = shape.rank() - 1;; --last) {
    while (last >= 0 && !axes.has(last)) --last;
    kernels::Extents e{1, 1, 1};
    int first = last;
    while (first > 0 && axes.has(first - 1)) --first;
    bool more = false;
    for (int i = 0; i < shape.rank(); ++i) {
      if (i < first) e.outer *= shape[i], more = more || axes.has(i);
      if (i >= first && i <= last) e.n *= shape[i];
      if (i > last) e.inner *= shape[i];
    }
    if (!more) {
      reduce_pieces(from, e, y.as<T>(), write, kernel);
      return;
    }
    next.resize(static_cast<std::size_t>(e.outer * e.inner));
    reduce_pieces(from, e, next.data(), Write::assign, kernel);
    for (int i = first; i <= last; ++i) shape.set(i, 1);
    held.swap(next);
    from = held.data();
    last = first;
  }
}

/// A scalar constant on x's tape, of x's dtype.
inline Var scalar_like(const Var& x, double value) { return x.tape().constant(value, x.dtype()); }

}  // namespace xgrad::detail
