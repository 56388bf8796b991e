// Shapes, checks and constants of the ops on matrices.
#pragma once

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <numeric>
#include <vector>

#include "lib/ops/common.hpp"
#include "lib/tensor/strided.hpp"
#include "xgrad/ops/shape.hpp"

namespace xgrad::detail {

inline Shape batch_of(const Shape& matrices) {
  return Shape(std::span(matrices.begin(), static_cast<std::size_t>(matrices.rank() - 2)));
}

inline Shape with_matrix(Shape batch, std::initializer_list<std::int64_t> matrix) {
  for (std::int64_t extent : matrix) batch.push_back(extent);
  return batch;
}

/// @throws ShapeError unless x has the axes of a matrix.
inline void require_matrices(const char* op, const Shape& x) {
  if (x.rank() < 2) throw ShapeError(text(op, ": ", x, " is not a matrix or a batch of them"));
}
inline void require_square(const char* op, const Shape& x) {
  if (x.rank() < 2 || x[x.rank() - 1] != x[x.rank() - 2]) {
    throw ShapeError(text(op, ": ", x, " is not a square matrix or a batch of them"));
  }
}

/// The shape of X in a X = b, or with `right` in X a = b. @throws ShapeError
inline Shape solution_shape(const char* op, const Shape& a, const Shape& b, bool right = false) {
  require_square(op, a);
  require_matrices(op, b);
  const std::int64_t m = b[b.rank() - 2], n = b[b.rank() - 1];
  const Broadcast batch = broadcast(batch_of(a), batch_of(b));
  if ((right ? n : m) != a[a.rank() - 1] || !batch.ok)
    throw ShapeError(text(op, ": a ", a, " and b ", b, " do not fit"));
  return with_matrix(batch.shape, {m, n});
}

/// Calls body(j, k, i) for every matrix i of a batch, with the numbers j and k of the matrices of a and b
/// that broadcast to it.
template <class Body>
void for_each_pair(const Shape& a, const Shape& b, const Shape& batch, Body&& body) {
  const LoopNest<2> nest(batch, {broadcast_strides(a, batch), broadcast_strides(b, batch)});
  std::int64_t i = 0;
  nest.for_each_run([&](const auto& at, std::int64_t n, const auto& step) {
    for (std::int64_t k = 0; k < n; ++k, ++i) body(at[0] + k * step[0], at[1] + k * step[1], i);
  });
}

/// Calls compute(T*) with memory for the elements of y and writes them to y: for kernels that work in place.
template <class T, class Compute>
void write_through(const View& y, Write write, Compute&& compute) {
  if (write == Write::assign) return compute(y.as<T>());
  std::vector<T> result(static_cast<std::size_t>(y.size()));
  compute(result.data());
  for (std::size_t i = 0; i < result.size(); ++i) y.as<T>()[i] += result[i];
}

/// @throws E for the first matrix of a whose values, a row of [batch, stride], are bad(row).
template <class E, class Bad>
void require_good(const char* op, const Var& a, const Var& values, std::int64_t stride, Bad&& bad,
                  const char* fact) {
  const ConstView view = values.view();
  dispatch_floating(view.dtype, [&]<class T>() {
    const T* v = view.as<T>();
    for (std::int64_t i = 0, n = batch_of(a.shape()).size(); i < n; ++i, v += stride) {
      if (bad(v)) throw E(text(op, ": matrix ", i, " of ", a.shape(), ' ', fact));
    }
  });
}

/// The constant [n, n] with one value below the diagonal, one on it and one above.
inline Var by_triangle(const Var& like, std::int64_t n, double below, double diagonal, double above) {
  return like.tape().constant({like.dtype(), Shape{n, n}}, [&](View v) {
    dispatch_floating(v.dtype, [&]<class T>() {
      for (std::int64_t i = 0; i < n; ++i) {
        for (std::int64_t j = 0; j < n; ++j) {
          v.as<T>()[i * n + j] = static_cast<T>(i > j ? below : i == j ? diagonal : above);
        }
      }
    });
  });
}
inline Var eye(const Var& like, std::int64_t n) { return by_triangle(like, n, 0, 1, 0); }

/// The last two axes exchanged.
inline Var swap_axes(const Var& x) {
  std::vector<int> axes(static_cast<std::size_t>(x.rank()));
  std::iota(axes.begin(), axes.end(), 0);
  std::swap(axes[axes.size() - 1], axes[axes.size() - 2]);
  return transpose(x, axes);
}

/// x [...] as [..., 1, 1].
inline Var as_matrices(const Var& x) { return reshape(x, with_matrix(x.shape(), {1, 1})); }

/// a [..., n, n] -> [..., n n + n]: the factors of each matrix, then its row exchanges. It is constant: ops
/// on the factors take a as an operand too, and give the derivative to it.
Var lu_factor(const Var& a);
/// The X of a X = b, or a' X = b, from a's factors.
Var lu_solve(const Var& a, const Var& lu, const Var& b, bool transpose = false);

}  // namespace xgrad::detail
