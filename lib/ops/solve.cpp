// Systems of linear equations. A matrix is factored once, and derivatives of every order use the factors.
#include <ostream>

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

struct LuFactor {
  static constexpr const char* name = "lu_factor";
  static constexpr bool constant = true;
  TensorType infer(Operands x) const {
    const Shape& a = x[0].shape();
    const DType dtype = require_floating(name, x);
    detail::require_square(name, a);
    const std::int64_t n = a[a.rank() - 1];
    return {dtype, detail::with_matrix(detail::batch_of(a), {n * n + n})};
  }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const Shape& shape = x[0].shape();
    const std::int64_t n = shape[shape.rank() - 1], count = detail::batch_of(shape).size();
    detail::write_through<T>(y, write, [&](T* out) {
      for (std::int64_t i = 0; i < count; ++i, out += n * n + n) {
        std::copy_n(x[0].as<T>() + i * n * n, n * n, out);
        lapack::lu_factor(n, out, out + n * n);
      }
    });
  }
};

/// Operands a, its factors, b. eval reads the factors only; a is there for the derivative.
struct LuSolve {
  static constexpr const char* name = "lu_solve";
  static constexpr Reads reads[] = {reads_x(0) | reads_x(1) | kReadsOutput, kReadsNothing,
                                    reads_x(0) | reads_x(1)};
  bool transpose;
  TensorType infer(Operands x) const {
    return {x[0].dtype, detail::solution_shape(name, x[0].shape(), x[2].shape())};
  }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const Shape &a = x[0].shape(), &b = x[2].shape();
    const std::int64_t n = b[b.rank() - 2], columns = b[b.rank() - 1];
    detail::write_through<T>(y, write, [&](T* out) {
      detail::for_each_pair(detail::batch_of(a), detail::batch_of(b), detail::batch_of(y.shape()),
                            [&](std::int64_t i, std::int64_t j, std::int64_t k) {
                              const T* lu = x[1].as<T>() + i * (n * n + n);
                              T* solution = out + k * n * columns;
                              std::copy_n(x[2].as<T>() + j * n * columns, n * columns, solution);
                              lapack::lu_solve(n, columns, lu, lu + n * n, transpose, solution);
                            });
    });
  }
  // With g = a'^-1 u: da = -g y', db = g; with `transpose` g = a^-1 u, da = -y g'
  void vjp(Backward& b) const {
    const Var g = apply(LuSolve{!transpose}, b.x(0), b.x(1), b.dy());
    b.dx(0) += [&] {
      const Var y = b.y();
      return sum_to(-(transpose ? matmul(y, g, false, true) : matmul(g, y, false, true)), b.x_shape(0));
    };
    b.dx(2) += [&] { return sum_to(g, b.x_shape(2)); };
  }
  void describe(std::ostream& out) const {
    if (transpose) out << "transpose";
  }
};

struct TriangularSolve {
  static constexpr const char* name = "triangular_solve";
  static constexpr Reads reads[] = {reads_x(0) | kReadsOutput, reads_x(0)};
  TriangularOptions options;
  TensorType infer(Operands x) const {
    const DType dtype = require_floating(name, x);
    return {dtype, detail::solution_shape(name, x[0].shape(), x[1].shape(), options.right)};
  }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const Shape &a = x[0].shape(), &b = x[1].shape();
    const std::int64_t n = a[a.rank() - 1], size = b[b.rank() - 2] * b[b.rank() - 1];
    const TriangularShape shape{b[b.rank() - 2],   b[b.rank() - 1],       options.upper,
                                options.transpose, options.unit_diagonal, options.right};
    detail::write_through<T>(y, write, [&](T* out) {
      detail::for_each_pair(detail::batch_of(a), detail::batch_of(b), detail::batch_of(y.shape()),
                            [&](std::int64_t i, std::int64_t j, std::int64_t k) {
                              std::copy_n(x[1].as<T>() + j * size, size, out + k * size);
                              trsm(shape, x[0].as<T>() + i * n * n, out + k * size);
                            });
    });
  }
  // With g the solution of the transposed system for u: db = g, da = the triangle of -g y'
  void vjp(Backward& b) const {
    TriangularOptions other = options;
    other.transpose = !options.transpose;
    const Var g = apply(TriangularSolve{other}, b.x(0), b.dy());
    b.dx(1) += [&] { return sum_to(g, b.x_shape(1)); };
    b.dx(0) += [&] {
      const Var y = b.y(), &left = options.transpose == options.right ? g : y;
      const Var& right = options.transpose == options.right ? y : g;
      const Var product = options.right ? matmul(left, right, true, false) : matmul(left, right, false, true);
      const std::int64_t n = b.x_shape(0)[b.x_shape(0).rank() - 1];
      const Var mask = detail::by_triangle(g, n, options.upper ? 0 : -1, options.unit_diagonal ? 0 : -1,
                                           options.upper ? -1 : 0);
      return sum_to(cotangent_mul(mask, product), b.x_shape(0));
    };
  }
  void describe(std::ostream& out) const {
    out << (options.upper ? "upper" : "lower") << (options.transpose ? ", transpose" : "")
        << (options.unit_diagonal ? ", unit_diagonal" : "") << (options.right ? ", right" : "");
  }
};

/// solution(b) for a vector b, which it sees as a matrix of one column.
template <class Solution>
Var of_vector(const Var& b, Solution&& solution) {
  const Var x = solution(reshape(b, Shape{b.size(), 1}));
  Shape shape = detail::batch_of(x.shape());
  shape.push_back(b.size());
  return reshape(x, shape);
}

/// @throws SingularMatrix when a factor has a 0 on the diagonal.
void require_regular(const char* op, const Var& a, const Var& lu) {
  const std::int64_t n = a.shape()[a.rank() - 1];
  const auto singular = [n](const auto* v) {
    bool zero = false;
    for (std::int64_t i = 0; i < n; ++i) zero = zero || v[i * n + i] == 0;
    return zero;
  };
  detail::require_good<SingularMatrix>(op, a, lu, n * n + n, singular, "is singular");
}

}  // namespace

Var detail::lu_factor(const Var& a) { return apply(LuFactor{}, a); }
Var detail::lu_solve(const Var& a, const Var& lu, const Var& b, bool transpose) {
  return apply(LuSolve{transpose}, a, lu, b);
}

Var solve(const Var& a, const Var& b) {
  require_floating("solve", a, b);
  if (b.rank() == 1) return of_vector(b, [&](const Var& column) { return solve(a, column); });
  detail::solution_shape("solve", a.shape(), b.shape());
  const Var lu = detail::lu_factor(a);
  require_regular("solve", a, lu);
  return detail::lu_solve(a, lu, b);
}

Var inv(const Var& a) {
  require_floating("inv", a);
  detail::require_square("inv", a.shape());
  const Var lu = detail::lu_factor(a);
  require_regular("inv", a, lu);
  return detail::lu_solve(a, lu, detail::eye(a, a.shape()[a.rank() - 1]));
}

Var triangular_solve(const Var& a, const Var& b, TriangularOptions options) {
  if (b.rank() == 1 && !options.right) {
    return of_vector(b, [&](const Var& column) { return triangular_solve(a, column, options); });
  }
  return apply(TriangularSolve{options}, a, b);
}

detail::OpTable detail::solve_ops() {
  static constexpr const OpInfo* table[] = {&op_info<LuFactor>, &op_info<LuSolve>, &op_info<TriangularSolve>};
  return table;
}

}  // namespace xgrad
