// Determinants. det is a polynomial in the elements, and so are its derivatives. The first two are computed
// without a division, so that they are right for singular matrices. With a = U diag(s) V' and
// sigma = det(U V'), the cofactors are
//
//     sigma U diag(p) V',   p[i] the product of all s but s[i],
//
// and their derivative along W, with w = U' W V, is sigma U t V' where
//
//     t[i][i] = sum over j != i of p[i][j] w[j][j],   t[i][j] = -p[i][j] w[j][i],
//
// p[i][j] the product of all s but s[i] and s[j].
#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/ops/decompositions.hpp"
#include "lib/ops/registry.hpp"
#include "lib/tensor/gemm.hpp"
#include "lib/tensor/lapack.hpp"
#include "xgrad/ops/decompositions.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/linalg.hpp"
#include "xgrad/ops/reduce.hpp"

namespace xgrad {
namespace {

/// Memory for a few square matrices.
template <class T>
struct Matrices {
  std::vector<T> memory;
  std::int64_t n;
  Matrices(std::int64_t count, std::int64_t order)
      : memory(static_cast<std::size_t>(count * order * order)), n(order) {}
  T* operator[](std::int64_t i) { return memory.data() + i * n * n; }
};

/// a = u diag(s) vh; returns det(u vh), which is 1 or -1, or NaN when a is not finite.
template <class T>
T signed_svd(std::int64_t n, const T* a, T* u, T* s, T* vh) {
  if (!lapack::svd(n, n, a, u, s, vh)) return std::numeric_limits<T>::quiet_NaN();
  std::vector<T> product(static_cast<std::size_t>(n * n)), pivots(static_cast<std::size_t>(n));
  gemm({n, n, n}, T(1), u, vh, T(0), product.data());
  lapack::lu_factor(n, product.data(), pivots.data());
  return lapack::lu_sign(n, product.data(), pivots.data());
}

/// products[i] becomes the product of all s but s[i] and s[left_out].
template <class T>
void products_without(const std::vector<T>& s, std::size_t left_out, std::vector<T>& products) {
  const auto factor = [&](std::size_t i) { return i == left_out ? T(1) : s[i]; };
  T product = 1;
  for (std::size_t i = 0; i < s.size(); ++i) {
    products[i] = product;
    product *= factor(i);
  }
  product = 1;
  for (std::size_t i = s.size(); i-- > 0;) {
    products[i] *= product;
    product *= factor(i);
  }
}

template <class T>
void cofactors(std::int64_t n, const T* a, T beta, T* out) {
  Matrices<T> m(2, n);
  std::vector<T> s(static_cast<std::size_t>(n)), p(s.size());
  T *u = m[0], *vh = m[1];
  const T sign = signed_svd(n, a, u, s.data(), vh);
  products_without(s, s.size(), p);
  for (std::int64_t i = 0; i < n * n; ++i) u[i] *= p[static_cast<std::size_t>(i % n)];
  gemm({n, n, n}, sign, u, vh, beta, out);
}

template <class T>
void cofactors_along(std::int64_t n, const T* a, const T* direction, T beta, T* out) {
  Matrices<T> m(4, n);
  std::vector<T> s(static_cast<std::size_t>(n)), p(s.size());
  T *u = m[0], *vh = m[1], *w = m[2], *t = m[3];
  const T sign = signed_svd(n, a, u, s.data(), vh);
  gemm({n, n, n, true, false}, T(1), u, direction, T(0), t);
  gemm({n, n, n, false, true}, T(1), t, vh, T(0), w);
  for (std::int64_t i = 0; i < n; ++i) {
    products_without(s, static_cast<std::size_t>(i), p);
    T diagonal = 0;
    for (std::int64_t j = 0; j < n; ++j) {
      const T product = p[static_cast<std::size_t>(j)];
      if (j != i) diagonal += product * w[j * n + j];
      t[i * n + j] = -product * w[j * n + i];
    }
    t[i * n + i] = diagonal;
  }
  gemm({n, n, n}, T(1), u, t, T(0), w);
  gemm({n, n, n}, sign, w, vh, beta, out);
}

/// Writes of(n, factors, exchanges) for each matrix of a.
template <class T, class Of>
void for_each_factored(const ConstView& a, const ConstView& lu, const View& y, Write write, Of&& of) {
  const std::int64_t n = a.shape()[a.shape().rank() - 1];
  const T* factors = lu.as<T>();
  for (std::int64_t i = 0; i < y.size(); ++i, factors += n * n + n) {
    store(y.as<T>()[i], of(n, factors, factors + n * n), write);
  }
}

// The operands of Det, SlogdetSign and SlogdetLogAbs are a and its factors.

struct Det {
  static constexpr const char* name = "det";
  static constexpr Reads reads[] = {reads_x(0), kReadsNothing};
  TensorType infer(Operands x) const { return {x[0].dtype, detail::batch_of(x[0].shape())}; }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    for_each_factored<T>(x[0], x[1], y, write, [](std::int64_t n, const T* lu, const T* exchanges) {
      T product = lapack::lu_sign(n, lu, exchanges);
      for (std::int64_t i = 0; i < n; ++i) product *= std::abs(lu[i * n + i]);
      return product;
    });
  }
  void vjp(Backward& b) const;  // da = u times the cofactors
};

/// The derivative of the determinant of operand a in each element.
struct Cofactors {
  static constexpr const char* name = "cofactors";
  static constexpr Reads reads[] = {reads_x(0)};
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const std::int64_t n = y.shape()[y.shape().rank() - 1], size = n * n;
    for (std::int64_t i = 0; i < y.size(); i += size) {
      cofactors(n, x[0].as<T>() + i, write == Write::assign ? T(0) : T(1), y.as<T>() + i);
    }
  }
  void vjp(Backward& b) const;  // da = the derivative of the cofactors along u
};

void Det::vjp(Backward& b) const {
  b.dx(0) += cotangent_mul(detail::as_matrices(b.dy()), apply(Cofactors{}, b.x(0)));
}

/// The derivative of the cofactors of operand 0 along operand 1: a linear map that is its own transpose.
struct CofactorsAlong {
  static constexpr const char* name = "cofactors_along";
  static constexpr Reads reads[] = {reads_x(0) | reads_x(1), reads_x(0)};
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const std::int64_t n = y.shape()[y.shape().rank() - 1], size = n * n;
    for (std::int64_t i = 0; i < y.size(); i += size) {
      cofactors_along(n, x[0].as<T>() + i, x[1].as<T>() + i, write == Write::assign ? T(0) : T(1),
                      y.as<T>() + i);
    }
  }
  // da is the third derivative of the determinant along the operand W, the cotangent U and any H. With P, Q
  // and R the inverse of a times each, it is
  //     det(a) (tr P tr Q tr R - tr P tr QR - tr Q tr PR - tr R tr PQ + tr PQR + tr QPR) = det(a) tr(M R),
  // and the cotangent that pairs with H is det(a) (M a^-1)'. dw is the same map along U.
  void vjp(Backward& b) const {
    b.dx(0) += [&] {
      const Var a = b.x(0), lu = detail::lu_factor(a), p = detail::lu_solve(a, lu, b.x(1)),
                q = detail::lu_solve(a, lu, b.dy());
      const Var tp = detail::as_matrices(trace(p)), tq = detail::as_matrices(trace(q)), pq = matmul(p, q);
      const Var one = detail::eye(a, a.shape()[a.rank() - 1]);
      const Var m = (tp * tq - detail::as_matrices(trace(pq))) * one - tp * q - tq * p + pq + matmul(q, p);
      return detail::as_matrices(det(a)) * detail::lu_solve(a, lu, detail::swap_axes(m), true);
    };
    b.dx(1) += apply(CofactorsAlong{}, b.x(0), b.dy());
  }
};

void Cofactors::vjp(Backward& b) const { b.dx(0) += apply(CofactorsAlong{}, b.x(0), b.dy()); }

struct SlogdetSign {
  static constexpr const char* name = "slogdet_sign";
  static constexpr bool constant = true;
  TensorType infer(Operands x) const { return {x[0].dtype, detail::batch_of(x[0].shape())}; }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    for_each_factored<T>(x[0], x[1], y, write, [](std::int64_t n, const T* lu, const T* exchanges) {
      return lapack::lu_sign(n, lu, exchanges);
    });
  }
};

struct SlogdetLogAbs {
  static constexpr const char* name = "slogdet_log_abs";
  static constexpr Reads reads[] = {reads_x(0) | reads_x(1), kReadsNothing};
  TensorType infer(Operands x) const { return {x[0].dtype, detail::batch_of(x[0].shape())}; }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    for_each_factored<T>(x[0], x[1], y, write, [](std::int64_t n, const T* lu, const T*) {
      T total = 0;
      for (std::int64_t i = 0; i < n; ++i) total += std::log(std::abs(lu[i * n + i]));
      return total;
    });
  }
  void vjp(Backward& b) const {
    const Var a = b.x(0), one = detail::eye(a, a.shape()[a.rank() - 1]);
    b.dx(0) += cotangent_mul(detail::as_matrices(b.dy()), detail::lu_solve(a, b.x(1), one, true));
  }
};

/// The factors of a. @throws ShapeError, DTypeError naming `op`
Var factors_for(const char* op, const Var& a) {
  require_floating(op, a);
  detail::require_square(op, a.shape());
  return detail::lu_factor(a);
}

Slogdet slogdet(const char* op, const Var& a) {
  const Var lu = factors_for(op, a);
  return {apply(SlogdetSign{}, a, lu), apply(SlogdetLogAbs{}, a, lu)};
}

}  // namespace

Var det(const Var& a) { return apply(Det{}, a, factors_for("det", a)); }

Slogdet slogdet(const Var& a) { return slogdet("slogdet", a); }

Var logdet(const Var& a) {
  const Slogdet s = slogdet("logdet", a);
  return log(s.sign) + s.log_abs;
}

detail::OpTable detail::determinant_ops() {
  static constexpr const OpInfo* table[] = {&op_info<Det>, &op_info<Cofactors>, &op_info<CofactorsAlong>,
                                            &op_info<SlogdetSign>, &op_info<SlogdetLogAbs>};
  return table;
}

}  // namespace xgrad
