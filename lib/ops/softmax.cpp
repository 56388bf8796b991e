// softmax and log_softmax along an axis, and the gradients of both as ops.
#include "xgrad/ops/softmax.hpp"

#include <ostream>

#include "lib/ops/common.hpp"
#include "lib/ops/registry.hpp"
#include "lib/ops/softmax.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/reduce.hpp"

namespace xgrad {
namespace {

/// An op along one axis; operands and result have one shape.
struct AxisOp {
  int axis;
  TensorType same(const char* op, Operands x) const { return {require_floating(op, x), x[0].shape()}; }
  /// Calls kernel(operands, extents, y, write) for pieces that have the whole axis; threads share them.
  template <class T, class Kernel, class... X>
  void each_piece(Kernel kernel, const View& y, Write write, const X&... x) const {
    detail::for_each_line_piece(detail::extents_about(y.shape(), axis),
                                [&](std::int64_t at, std::int64_t, const kernels::Extents& piece) {
                                  kernel(x.template as<T>() + at..., piece, y.as<T>() + at, write);
                                });
  }
  void describe(std::ostream& out) const { out << "axis=" << axis; }
};

struct Softmax : AxisOp {
  static constexpr const char* name = "softmax";
  static constexpr Reads reads[] = {kReadsOutput};
  TensorType infer(Operands x) const { return same(name, x); }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    each_piece<T>(kernels::table<T>().softmax, y, write, x[0]);
  }
  // dx = y (u - sum(u y))
  void vjp(Backward& b) const { b.dx(0) += detail::softmax_grad(b.dy(), b.y(), axis); }
};

struct SoftmaxGrad : AxisOp {
  static constexpr const char* name = "softmax_grad";
  static constexpr Reads reads[] = {reads_x(1), reads_x(0) | reads_x(1)};
  TensorType infer(Operands x) const { return same(name, x); }
  template <class T>
  void eval(Operands x, View dx, Write write) const {
    each_piece<T>(kernels::table<T>().softmax_grad, dx, write, x[0], x[1]);
  }
  // With w the cotangent: du = y (w - sum(w y)), dy = w (u - sum(u y)) - u sum(w y)
  void vjp(Backward& b) const {
    const Var& w = b.dy();
    b.dx(0) += detail::softmax_grad(w, b.x(1), axis);
    b.dx(1) += [&] {
      const Var u = b.x(0), y = b.x(1);
      return w * (u - sum(cotangent_mul(u, y), axis, true)) - u * sum(cotangent_mul(w, y), axis, true);
    };
  }
};

struct LogSoftmax : AxisOp {
  static constexpr const char* name = "log_softmax";
  static constexpr Reads reads[] = {kReadsOutput};
  TensorType infer(Operands x) const { return same(name, x); }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    each_piece<T>(kernels::table<T>().log_softmax, y, write, x[0]);
  }
  void vjp(Backward& b) const;  // dx = u - exp(y) sum(u)
};

struct LogSoftmaxGrad : AxisOp {
  static constexpr const char* name = "log_softmax_grad";
  static constexpr Reads reads[] = {reads_x(1), reads_x(0) | reads_x(1)};
  TensorType infer(Operands x) const { return same(name, x); }
  template <class T>
  void eval(Operands x, View dx, Write write) const {
    each_piece<T>(kernels::table<T>().log_softmax_grad, dx, write, x[0], x[1]);
  }
  // With w the cotangent and p = exp(y): du = w - sum(w p), dy = -w p sum(u)
  void vjp(Backward& b) const {
    const Var &w = b.dy(), wp = cotangent_mul(w, exp(b.x(1)));
    b.dx(0) += [&] { return w - sum(wp, axis, true); };
    b.dx(1) += [&] { return -(wp * sum(b.x(0), axis, true)); };
  }
};

void LogSoftmax::vjp(Backward& b) const { b.dx(0) += apply(LogSoftmaxGrad{{axis}}, b.dy(), b.y()); }

}  // namespace

Var detail::softmax_grad(const Var& u, const Var& y, int axis) { return apply(SoftmaxGrad{{axis}}, u, y); }

Var softmax(const Var& x, int axis) { return apply(Softmax{{normalize_axis("softmax", axis, x.rank())}}, x); }
Var log_softmax(const Var& x, int axis) {
  return apply(LogSoftmax{{normalize_axis("log_softmax", axis, x.rank())}}, x);
}

detail::OpTable detail::softmax_ops() {
  static constexpr const OpInfo* table[] = {&op_info<Softmax>, &op_info<SoftmaxGrad>, &op_info<LogSoftmax>,
                                            &op_info<LogSoftmaxGrad>};
  return table;
}

}  // namespace xgrad
