#include "xgrad/ops/reduce.hpp"

#include <ostream>

#include "lib/ops/common.hpp"
#include "lib/ops/registry.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/shape.hpp"

namespace xgrad {
namespace {

using detail::AxisMask;

/// What the reductions have in common: which axes, and what is left.
struct Reduction {
  AxisMask axes;
  bool keepdims;

  TensorType reduced(const char* op, Operands x) const {
    return {detail::floating_dtype(op, x), detail::reduced_shape(x[0].shape(), axes, keepdims)};
  }
  /// v, of the result's shape, with the reduced axes back as extents of 1.
  Var with_axes(const Var& v, const Shape& x) const {
    return keepdims ? v : reshape(v, detail::reduced_shape(x, axes, true));
  }
  void describe(std::ostream& out) const {
    out << "axes={";
    const char* comma = "";
    for (int i = 0; i < kMaxRank; ++i) {
      if (axes.has(i)) out << std::exchange(comma, ", ") << i;
    }
    out << '}' << (keepdims ? ", keepdims" : "");
  }
};

struct Sum : Reduction {
  static constexpr const char* name = "sum";
  static constexpr Reads reads[] = {kReadsNothing};
  TensorType infer(Operands x) const { return reduced(name, x); }
  void eval(Operands x, View y, Write write) const {
    detail::dispatch(y.dtype,
                     [&]<class T>() { detail::reduce<T>(x[0], axes, y, write, kernels::table<T>().sum); });
  }
  void vjp(Backward& b) const { b.dx(0) += broadcast_to(with_axes(b.dy(), b.x_shape(0)), b.x_shape(0)); }
};

struct Max : Reduction {
  static constexpr const char* name = "max";
  static constexpr Reads reads[] = {reads_x(0) | kReadsOutput};
  TensorType infer(Operands x) const {
    const TensorType type = reduced(name, x);
    if (x[0].size() == 0 && type.shape.size() > 0)
      throw ShapeError(detail::text("max: ", x[0].shape(), " has no elements to reduce"));
    return type;
  }
  void eval(Operands x, View y, Write write) const {
    detail::dispatch(y.dtype,
                     [&]<class T>() { detail::reduce<T>(x[0], axes, y, write, kernels::table<T>().max); });
  }
  void vjp(Backward& b) const {
    const Var x = b.x(0), y = with_axes(b.y(), x.shape()), u = with_axes(b.dy(), x.shape());
    const Var largest = where(equal(x, y), detail::scalar_like(x, 1), detail::scalar_like(x, 0));
    b.dx(0) += largest * cotangent_div(u, apply(Sum{axes, true}, largest));
  }
};

struct LogSumExp : Reduction {
  static constexpr const char* name = "logsumexp";
  static constexpr Reads reads[] = {reads_x(0) | kReadsOutput};
  TensorType infer(Operands x) const { return reduced(name, x); }
  void eval(Operands x, View y, Write write) const {
    detail::dispatch(
        y.dtype, [&]<class T>() { detail::reduce<T>(x[0], axes, y, write, kernels::table<T>().logsumexp); });
  }
  void vjp(Backward& b) const {
    const Var x = b.x(0), y = with_axes(b.y(), x.shape()), u = with_axes(b.dy(), x.shape());
    b.dx(0) += cotangent_mul(u, exp(x - y));
  }
};

AxisMask mask_of(const char* op, const Var& x, const Axes& axes) { return {axes.mask(op, x.rank())}; }

}  // namespace

std::uint8_t Axes::mask(const char* op, int rank) const {
  if (all_) return static_cast<std::uint8_t>((1u << rank) - 1);
  unsigned bits = 0;
  for (int axis : std::span(axes_).first(count_)) {
    const unsigned bit = 1u << normalize_axis(op, axis, rank);
    if (bits & bit) throw ShapeError(detail::text(op, ": axis ", axis, " is named twice"));
    bits |= bit;
  }
  return static_cast<std::uint8_t>(bits);
}

Var sum(const Var& x, const Axes& axes, bool keepdims) {
  return apply(Sum{mask_of("sum", x, axes), keepdims}, x);
}
Var mean(const Var& x, const Axes& axes, bool keepdims) {
  if (!is_floating(x.dtype())) {
    throw DTypeError(detail::text("mean: operand 0 is ", x.dtype(), ", not floating"));
  }
  const AxisMask mask = mask_of("mean", x, axes);
  double count = 1;
  for (int i = 0; i < x.rank(); ++i) count *= mask.has(i) ? static_cast<double>(x.shape()[i]) : 1;
  return apply(Sum{mask, keepdims}, x) / count;
}
Var max(const Var& x, const Axes& axes, bool keepdims) {
  return apply(Max{mask_of("max", x, axes), keepdims}, x);
}
Var logsumexp(const Var& x, const Axes& axes, bool keepdims) {
  return apply(LogSumExp{mask_of("logsumexp", x, axes), keepdims}, x);
}

Var sum_to(Var x, const Shape& shape) {
  if (x.shape() == shape) return x;
  if (!broadcasts_to(shape, x.shape())) {
    throw ShapeError(detail::text("sum_to: ", shape, " does not broadcast to ", x.shape()));
  }
  const int extra = x.rank() - shape.rank();
  AxisMask axes;
  bool ones = false;
  for (int i = 0; i < x.rank(); ++i) {
    const bool repeated = i < extra || (shape[i - extra] == 1 && x.shape()[i] != 1);
    if (repeated) axes.bits = static_cast<std::uint8_t>(axes.bits | (1u << i));
    ones = ones || (repeated && i >= extra);
  }
  // One sum for each group of neighbouring axes, innermost first: a sum over several needs memory in between.
  AxisMask group;
  Var y = x;
  for (int i = x.rank() - 1; i >= 0; --i) {
    if (axes.has(i)) group.bits = static_cast<std::uint8_t>(group.bits | (1u << i));
    if (group.bits && (i == 0 || !axes.has(i - 1))) y = apply(Sum{std::exchange(group, {}), ones}, y);
  }
  return ones && extra > 0 ? reshape(y, shape) : y;
}

detail::OpTable detail::reduce_ops() {
  static constexpr const OpInfo* table[] = {&op_info<Sum>, &op_info<Max>, &op_info<LogSumExp>};
  return table;
}

}  // namespace xgrad
