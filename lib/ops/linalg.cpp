// matmul, and linear in one op.
#include "xgrad/ops/linalg.hpp"

#include <algorithm>
#include <ostream>

#include "lib/ops/common.hpp"
#include "lib/ops/registry.hpp"
#include "lib/tensor/gemm.hpp"
#include "lib/tensor/strided.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/ops/shape.hpp"

namespace xgrad {
namespace {

Shape batch_of(const Shape& x) { return Shape(std::span(x.begin(), static_cast<std::size_t>(x.rank() - 2))); }

/// @throws ShapeError unless the extents that a product of x and y sums over are equal.
void require_inner(const Shape& x, const Shape& y, bool transpose_x, bool transpose_y) {
  const int i = x.rank(), j = y.rank();
  transpose_x = transpose_x && i > 1, transpose_y = transpose_y && j > 1;
  const std::int64_t m = x[transpose_x ? i - 2 : i - 1], n = y[transpose_y || j == 1 ? j - 1 : j - 2];
  if (m == n) return;
  throw ShapeError(detail::text("matmul: inner extents differ, ", m, " and ", n, ", for x ", x,
                                transpose_x ? " transposed" : "", " and y ", y,
                                transpose_y ? " transposed" : ""));
}

struct MatMul {
  static constexpr const char* name = "matmul";
  static constexpr Reads reads[] = {reads_x(1), reads_x(0)};
  bool transpose_x, transpose_y;

  GemmShape sizes(const Shape& x, const Shape& y) const {
    const int i = x.rank() - 2, j = y.rank() - 2;
    return {x[transpose_x ? i + 1 : i], y[transpose_y ? j : j + 1], x[transpose_x ? i : i + 1], transpose_x,
            transpose_y};
  }

  TensorType infer(Operands x) const {
    const DType dtype = require_floating(name, x);
    const Shape &a = x[0].shape(), &b = x[1].shape();
    require_inner(a, b, transpose_x, transpose_y);
    Broadcast batch = broadcast(batch_of(a), batch_of(b));
    if (!batch.ok) {
      throw ShapeError(detail::text("matmul: batches ", batch_of(a), " and ", batch_of(b),
                                    " do not broadcast, for x ", a, " and y ", b));
    }
    const GemmShape s = sizes(a, b);
    batch.shape.push_back(s.m);
    batch.shape.push_back(s.n);
    return {dtype, batch.shape};
  }
  template <class T>
  void eval(Operands x, View z, Write write) const {
    const Shape &a = x[0].shape(), &b = x[1].shape(), &c = z.shape();
    gemm(sizes(a, b), T(1), x[0].as<T>(), x[1].as<T>(), write == Write::assign ? T(0) : T(1), z.as<T>(),
         {batch_of(c), {broadcast_strides(a, c), broadcast_strides(b, c), broadcast_strides(c, c)}});
  }
  // dx = u y', dy = x' u; the transpose of that for an operand that is transposed
  void vjp(Backward& b) const {
    const Var& u = b.dy();
    b.dx(0) += [&] {
      const Var y = b.x(1);
      return sum_to(
          transpose_x ? apply(MatMul{transpose_y, true}, y, u) : apply(MatMul{false, !transpose_y}, u, y),
          b.x_shape(0));
    };
    b.dx(1) += [&] {
      const Var x = b.x(0);
      return sum_to(
          transpose_y ? apply(MatMul{true, transpose_x}, u, x) : apply(MatMul{!transpose_x, false}, x, u),
          b.x_shape(1));
    };
  }
  double flops(Operands x, const Shape& z) const {
    return 2.0 * static_cast<double>(z.size() * sizes(x[0].shape(), x[1].shape()).k);
  }
  void describe(std::ostream& out) const {
    if (transpose_x) out << "transpose_x";
    if (transpose_x && transpose_y) out << ", ";
    if (transpose_y) out << "transpose_y";
  }
};

/// @throws ShapeError
void require_linear(const Shape& x, const Shape& w, const Shape& b) {
  if (x.rank() > 0 && w.rank() == 2 && b.rank() == 1 && b[0] == w[1] && x[x.rank() - 1] == w[0]) return;
  throw ShapeError(detail::text("linear: x ", x, ", w ", w, " and b ", b,
                                " do not fit; x is [..., in], w [in, out], b [out]"));
}

struct Linear {
  static constexpr const char* name = "linear";
  static constexpr Reads reads[] = {reads_x(1), reads_x(0), kReadsNothing};

  TensorType infer(Operands x) const {
    const DType dtype = require_floating(name, x);
    require_linear(x[0].shape(), x[1].shape(), x[2].shape());
    return {dtype, Shape{x[0].shape()[0], x[1].shape()[1]}};
  }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const std::int64_t rows = y.shape()[0], columns = y.shape()[1];
    parallel_chunks(rows, columns, [&](std::int64_t begin, std::int64_t count) {
      for (std::int64_t r = begin; r < begin + count; ++r)
        detail::put_run(x[2].as<T>(), 1, y.as<T>() + r * columns, columns, write);
    });
    gemm({rows, columns, x[0].shape()[1]}, T(1), x[0].as<T>(), x[1].as<T>(), T(1), y.as<T>());
  }
  double flops(Operands x, const Shape& y) const {
    return 2.0 * static_cast<double>(y.size() * x[0].shape()[1]);
  }
  // dx = u w', dw = x' u, db = the sum of u over the rows
  void vjp(Backward& b) const {
    b.dx(0) += apply(MatMul{false, true}, b.dy(), b.x(1));
    b.dx(1) += apply(MatMul{true, false}, b.x(0), b.dy());
    b.dx(2) += sum(b.dy(), 0);
  }
};

}  // namespace

Var matmul(const Var& x, const Var& y, bool transpose_x, bool transpose_y) {
  const int i = x.rank(), j = y.rank();
  if (i == 0 || j == 0) {
    throw ShapeError(detail::text("matmul: x ", x.shape(), " and y ", y.shape(), " must not be scalars"));
  }
  require_inner(x.shape(), y.shape(), transpose_x, transpose_y);
  if (i == 1 || j == 1) {
    const Var row = i == 1 ? reshape(x, Shape{1, x.shape()[0]}) : x;
    const Var column = j == 1 ? reshape(y, Shape{y.shape()[0], 1}) : y;
    // A vector ignores its flag.
    const Var product = matmul(row, column, i > 1 && transpose_x, j > 1 && transpose_y);
    Shape shape;
    for (int axis = 0; axis < product.rank(); ++axis) {
      const bool dropped = (i == 1 && axis == product.rank() - 2) || (j == 1 && axis == product.rank() - 1);
      if (!dropped) shape.push_back(product.shape()[axis]);
    }
    return reshape(product, shape);
  }
  if (i > 2 && j == 2 && !transpose_x) {
    // All rows of the batch against one matrix are one product.
    const Shape& s = x.shape();
    const std::int64_t inner = s[i - 1];
    Shape shape = batch_of(s);
    const std::int64_t rows = shape.size() * s[i - 2];
    shape.push_back(s[i - 2]);
    shape.push_back(y.shape()[transpose_y ? 0 : 1]);
    return reshape(matmul(reshape(x, Shape{rows, inner}), y, false, transpose_y), shape);
  }
  return apply(MatMul{transpose_x, transpose_y}, x, y);
}

Var linear(const Var& x, const Var& w, const Var& b) {
  if (x.rank() == 2) return apply(Linear{}, x, w, b);
  require_linear(x.shape(), w.shape(), b.shape());
  Shape shape = x.shape();
  const std::int64_t inner = shape[x.rank() - 1];
  std::int64_t rows = 1;
  for (int i = 0; i + 1 < x.rank(); ++i) rows *= shape[i];
  const Var y = apply(Linear{}, reshape(x, Shape{rows, inner}), w, b);
  shape.set(x.rank() - 1, y.shape()[1]);
  return reshape(y, shape);
}

detail::OpTable detail::linalg_ops() {
  static constexpr const OpInfo* table[] = {&op_info<MatMul>, &op_info<Linear>};
  return table;
}

}  // namespace xgrad
