// Cholesky, QR, eigenvalues and singular values. An op has one result, so a decomposition with several packs
// them into one row per matrix, which the public function slices: it is computed once, and the cotangents of
// the parts meet in the row.
#include "xgrad/ops/decompositions.hpp"

#include <limits>

#include "lib/ops/decompositions.hpp"
#include "lib/ops/registry.hpp"
#include "lib/tensor/lapack.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/linalg.hpp"

namespace xgrad {
namespace {

using detail::swap_axes;

/// The extents of a [..., m, n], and k = min(m, n).
struct MatrixExtents {
  std::int64_t m, n, k;
  explicit MatrixExtents(const Shape& a) : m(a[a.rank() - 2]), n(a[a.rank() - 1]), k(std::min(m, n)) {}
};

/// The next elements of each row, from `start` on, as matrices.
Var take(const Var& packed, std::int64_t& start, std::int64_t rows, std::int64_t columns) {
  const std::int64_t first = std::exchange(start, start + rows * columns);
  const Shape batch(std::span(packed.shape().begin(), static_cast<std::size_t>(packed.rank() - 1)));
  return reshape(slice(packed, -1, first, start), detail::with_matrix(batch, {rows, columns}));
}

/// Calls decompose(matrix, row) for every matrix of x. Where it returns false, the row becomes NaN.
template <class T, class Decompose>
void for_each_matrix(const ConstView& x, const View& y, Write write, Decompose&& decompose) {
  const MatrixExtents e(x.shape());
  const std::int64_t size = e.m * e.n, count = detail::batch_of(x.shape()).size();
  detail::write_through<T>(y, write, [&](T* out) {
    const std::int64_t row = count == 0 ? 0 : y.size() / count;
    for (std::int64_t i = 0; i < count; ++i, out += row) {
      if (!decompose(x.as<T>() + i * size, out)) std::fill_n(out, row, std::numeric_limits<T>::quiet_NaN());
    }
  });
}

TensorType packed(const char* op, Operands x, std::int64_t row) {
  return {require_floating(op, x), detail::with_matrix(detail::batch_of(x[0].shape()), {row})};
}

/// The lower triangle of x with half of the diagonal. A symmetric x is this plus its transpose.
Var half_lower(const Var& x) {
  return cotangent_mul(detail::by_triangle(x, x.shape()[x.rank() - 1], 1, 0.5, 0), x);
}

Var plus_transpose(const Var& x) { return x + swap_axes(x); }
Var minus_transpose(const Var& x) { return x - swap_axes(x); }

struct Cholesky {
  static constexpr const char* name = "cholesky";
  static constexpr Reads reads[] = {kReadsOutput};
  TensorType infer(Operands x) const {
    const DType dtype = require_floating(name, x);
    detail::require_square(name, x[0].shape());
    return {dtype, x[0].shape()};
  }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const MatrixExtents e(y.shape());
    for_each_matrix<T>(x[0], y, write, [&](const T* a, T* l) {
      std::copy_n(a, e.n * e.n, l);
      return lapack::cholesky(e.n, l);
    });
  }
  // With s = h + h', h the half-lower triangle of l' dl: da = l'^-1 s l^-1 / 2
  void vjp(Backward& b) const {
    const Var l = b.y(), s = plus_transpose(half_lower(matmul(l, b.dy(), true, false)));
    const Var left = triangular_solve(l, s, {.transpose = true});
    b.dx(0) += 0.5 * triangular_solve(l, left, {.right = true});
  }
};

/// Packs q, r.
struct QrPacked {
  static constexpr const char* name = "qr";
  static constexpr Reads reads[] = {kReadsOutput};
  static Qr parts(const Var& y, const MatrixExtents& e) {
    std::int64_t at = 0;
    const Var q = take(y, at, e.m, e.k);
    return {q, take(y, at, e.k, e.n)};
  }
  TensorType infer(Operands x) const {
    detail::require_matrices(name, x[0].shape());
    const MatrixExtents e(x[0].shape());
    return packed(name, x, e.m * e.k + e.k * e.n);
  }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const MatrixExtents e(x[0].shape());
    for_each_matrix<T>(x[0], y, write, [&](const T* a, T* q) {
      lapack::qr(e.m, e.n, a, q, q + e.m * e.k);
      return true;
    });
  }
  // With a = q r, r square: m = r dr' - dq' q, da = (dq + q (h + h')) r'^-1, h the half-lower triangle of m.
  // A wide a = [X, Y] has r = [S, R] with R = q' Y: X = q S is decomposed so, R adds Y dR' to dq, and
  // dY = q dR.
  void vjp(Backward& b) const {
    const MatrixExtents e(b.x_shape(0));
    const auto [q, r] = parts(b.y(), e);
    auto [dq, dr] = parts(b.dy(), e);
    const bool wide = e.n > e.k;
    const Var s = wide ? slice(r, -1, 0, e.k) : r, ds = wide ? slice(dr, -1, 0, e.k) : dr;
    Var dy;
    if (wide) {
      const Var rest = slice(r, -1, e.k), d_rest = slice(dr, -1, e.k);
      dy = matmul(q, d_rest);
      dq = dq + matmul(matmul(q, rest), d_rest, false, true);
    }
    const Var m = matmul(s, ds, false, true) - matmul(dq, q, true, false);
    const Var dx = triangular_solve(s, dq + matmul(q, plus_transpose(half_lower(m))),
                                    {.upper = true, .transpose = true, .right = true});
    b.dx(0) += wide ? concat({dx, dy}, -1) : dx;
  }
};

/// Packs values, vectors.
struct EighPacked {
  static constexpr const char* name = "eigh";
  static constexpr Reads reads[] = {kReadsOutput};
  /// The values as [..., 1, n].
  static Eigh parts(const Var& y, std::int64_t n) {
    std::int64_t at = 0;
    const Var values = take(y, at, 1, n);
    return {values, take(y, at, n, n)};
  }
  TensorType infer(Operands x) const {
    detail::require_square(name, x[0].shape());
    const MatrixExtents e(x[0].shape());
    return packed(name, x, e.n + e.n * e.n);
  }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const MatrixExtents e(x[0].shape());
    for_each_matrix<T>(x[0], y, write,
                       [&](const T* a, T* values) { return lapack::eigh(e.n, a, values, values + e.n); });
  }
  // With T[i][j] = (v' dv - dv' v)[i][j] / 2 / (w[j] - w[i]): da = v (T + diag(dw)) v'. Where dv = 0,
  // cotangent_div gives T = 0, also for equal values.
  void vjp(Backward& b) const {
    const MatrixExtents e(b.x_shape(0));
    const auto [w, v] = parts(b.y(), e.n);
    const auto [dw, dv] = parts(b.dy(), e.n);
    const Var one = detail::eye(v, e.n);
    const Var turn = cotangent_div(0.5 * minus_transpose(matmul(v, dv, true, false)), w - swap_axes(w) + one);
    b.dx(0) += matmul(matmul(v, turn + one * dw), v, false, true);
  }
};

/// Packs u, s, vh.
struct SvdPacked {
  static constexpr const char* name = "svd";
  static constexpr Reads reads[] = {kReadsOutput};
  /// The values as [..., 1, k].
  static Svd parts(const Var& y, const MatrixExtents& e) {
    std::int64_t at = 0;
    const Var u = take(y, at, e.m, e.k), s = take(y, at, 1, e.k);
    return {u, s, take(y, at, e.k, e.n)};
  }
  TensorType infer(Operands x) const {
    detail::require_matrices(name, x[0].shape());
    const MatrixExtents e(x[0].shape());
    return packed(name, x, e.m * e.k + e.k + e.k * e.n);
  }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const MatrixExtents e(x[0].shape());
    for_each_matrix<T>(x[0], y, write, [&](const T* a, T* u) {
      T* s = u + e.m * e.k;
      return lapack::svd(e.m, e.n, a, u, s, s + e.k);
    });
  }
  // With U = (u' du - du' u) / g, V = (v' dv - dv' v) / g and g[i][j] = s[j]^2 - s[i]^2:
  // da = u (U s + s V + diag(ds)) v', and the parts of du and dv outside of u and v, divided by s.
  void vjp(Backward& b) const {
    const MatrixExtents e(b.x_shape(0));
    const auto [u, s, vh] = parts(b.y(), e);
    const auto [du, ds, dvh] = parts(b.dy(), e);
    const Var one = detail::eye(s, e.k), column = swap_axes(s);
    const Var utu = matmul(u, du, true, false), vtv = matmul(vh, dvh, false, true);
    const Var gap = (s - column) * (s + column) + one;
    const Var inner = cotangent_div(minus_transpose(utu), gap) * s +
                      column * cotangent_div(minus_transpose(vtv), gap) + one * ds;
    Var left = matmul(u, inner);
    // The parts of du and dvh outside the span of the singular vectors.
    if (e.m > e.k) left = left + cotangent_div(du - matmul(u, utu), s);
    const Var dx = matmul(left, vh);
    if (e.n > e.k) {
      b.dx(0) += dx + matmul(u, cotangent_div(dvh - matmul(vtv, vh, true, false), column));
    } else {
      b.dx(0) += dx;
    }
  }
};

/// [..., 1, n] as [..., n].
Var drop_row(const Var& x) {
  return reshape(x, detail::with_matrix(detail::batch_of(x.shape()), {x.shape()[x.rank() - 1]}));
}

/// @throws E when the first element of a row is NaN: its matrix could not be decomposed.
template <class E>
void require_decomposed(const char* op, const Var& a, const Var& packed, const char* fact) {
  const MatrixExtents e(a.shape());
  if (e.k == 0) return;
  const std::int64_t count = detail::batch_of(a.shape()).size(), row = count ? packed.size() / count : 0;
  detail::require_good<E>(
      op, a, packed, row, [](const auto* v) { return std::isnan(*v); }, fact);
}
constexpr const char* kNotFinite = "is not finite, or the iteration did not converge";

}  // namespace

Var cholesky(const Var& a) {
  Var l = apply(Cholesky{}, a);
  require_decomposed<NotPositiveDefinite>("cholesky", a, l, "is not positive definite");
  return l;
}

Qr qr(const Var& a) {
  const Var y = apply(QrPacked{}, a);
  return QrPacked::parts(y, MatrixExtents(a.shape()));
}

Eigh eigh(const Var& a) {
  const Var y = apply(EighPacked{}, a);
  require_decomposed<NonFinite>("eigh", a, y, kNotFinite);
  const auto [values, vectors] = EighPacked::parts(y, a.shape()[a.rank() - 1]);
  return {drop_row(values), vectors};
}

Svd svd(const Var& a) {
  const Var y = apply(SvdPacked{}, a);
  require_decomposed<NonFinite>("svd", a, y, kNotFinite);
  const auto [u, s, vh] = SvdPacked::parts(y, MatrixExtents(a.shape()));
  return {u, drop_row(s), vh};
}

detail::OpTable detail::decompositions_ops() {
  static constexpr const OpInfo* table[] = {&op_info<Cholesky>, &op_info<QrPacked>, &op_info<EighPacked>,
                                            &op_info<SvdPacked>};
  return table;
}

}  // namespace xgrad
