// Reductions over axes, and sum_to.
#include "xgrad/ops/reduce.hpp"

#include <algorithm>
#include <limits>
#include <ostream>
#include <utility>

#include "lib/ops/common.hpp"
#include "lib/ops/registry.hpp"
#include "xgrad/ops/cumulative.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/shape.hpp"
#include "xgrad/tape/flow.hpp"

namespace xgrad {
namespace {

using detail::AxisMask;

/// The axes that a reduction runs over, and its result's shape.
struct ReductionOp {
  AxisMask axes;
  bool keepdims;

  TensorType reduced(const char* op, Operands x) const {
    return {require_floating(op, x), detail::reduced_shape(x[0].shape(), axes, keepdims)};
  }
  /// v, of the result's shape, with the reduced axes as axes of extent 1.
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

struct Sum : ReductionOp {
  static constexpr const char* name = "sum";
  static constexpr Reads reads[] = {kReadsNothing};
  TensorType infer(Operands x) const { return reduced(name, x); }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    detail::reduce<T>(x[0], axes, y, write, kernels::table<T>().sum);
  }
  // dx = u, broadcast
  void vjp(Backward& b) const {
    const Var u = with_axes(b.dy(), b.x_shape(0));
    if (b.create_graph()) {
      b.dx(0) += broadcast_to(u, b.x_shape(0));
    } else {
      b.dx(0).add_broadcast(u);
    }
  }
};

/// max or min.
template <class Which>
struct Extremum : ReductionOp {
  static constexpr const char* name = Which::name;
  static constexpr Reads reads[] = {reads_x(0) | kReadsOutput};
  TensorType infer(Operands x) const {
    const TensorType type = reduced(name, x);
    detail::require_elements(name, x[0].shape(), axes);
    return type;
  }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    detail::reduce<T>(x[0], axes, y, write, Which::template kernel<T>());
  }
  // With c = 1 where x = y, 0 elsewhere: dx = c u / sum(c)
  void vjp(Backward& b) const {
    const Var x = b.x(0), y = with_axes(b.y(), x.shape()), u = with_axes(b.dy(), x.shape());
    const Var chosen = where(equal(x, y), detail::scalar_like(x, 1), detail::scalar_like(x, 0));
    b.dx(0) += chosen * cotangent_div(u, apply(Sum{axes, true}, chosen));
  }
};

struct Largest {
  static constexpr const char* name = "max";
  template <class T>
  static auto kernel() {
    return kernels::table<T>().max;
  }
};
struct Smallest {
  static constexpr const char* name = "min";
  template <class T>
  static auto kernel() {
    return kernels::table<T>().min;
  }
};
using Max = Extremum<Largest>;
using Min = Extremum<Smallest>;

struct LogSumExp : ReductionOp {
  static constexpr const char* name = "logsumexp";
  static constexpr Reads reads[] = {reads_x(0) | kReadsOutput};
  TensorType infer(Operands x) const { return reduced(name, x); }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    detail::reduce<T>(x[0], axes, y, write, kernels::table<T>().logsumexp);
  }
  // dx = u exp(x - y)
  void vjp(Backward& b) const {
    const Var x = b.x(0), y = with_axes(b.y(), x.shape()), u = with_axes(b.dy(), x.shape());
    b.dx(0) += cotangent_mul(u, exp(x - y));
  }
};

AxisMask mask_of(const char* op, const Var& x, const Axes& axes) { return {axes.mask(op, x.rank())}; }

/// The number of elements that are reduced to one.
double count_of(const Shape& x, AxisMask axes) {
  double count = 1;
  for (int i = 0; i < x.rank(); ++i) count *= axes.has(i) ? static_cast<double>(x[i]) : 1;
  return count;
}

/// In two passes: the mean first, then the sum of squared deviations from it.
Var variance(const char* op, const Var& x, const Axes& axes, bool keepdims, double correction) {
  require_floating(op, x);
  const AxisMask mask = mask_of(op, x, axes);
  const double count = count_of(x.shape(), mask);
  const Var deviation = x - apply(Sum{mask, true}, x) / count;
  return apply(Sum{mask, keepdims}, square(deviation)) / std::max(count - correction, 0.0);
}

/// f(x), but 0 with a derivative of 0 where x = 0.
template <class F>
Var zero_at_zero(const Var& x, F&& f) {
  const Var zero = detail::scalar_like(x, 0), one = detail::scalar_like(x, 1), is_zero = equal(x, zero);
  return where(is_zero, zero, f(where(is_zero, one, x)));
}

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
  require_floating("mean", x);
  const AxisMask mask = mask_of("mean", x, axes);
  return apply(Sum{mask, keepdims}, x) / count_of(x.shape(), mask);
}
Var var(const Var& x, const Axes& axes, bool keepdims, double correction) {
  return variance("var", x, axes, keepdims, correction);
}
Var std(const Var& x, const Axes& axes, bool keepdims, double correction) {
  return zero_at_zero(variance("std", x, axes, keepdims, correction), [](const Var& v) { return sqrt(v); });
}
Var prod(const Var& x, const Axes& axes, bool keepdims) {
  require_floating("prod", x);
  const AxisMask mask = mask_of("prod", x, axes);
  Var y = x;
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (!mask.has(axis) || x.shape()[axis] == 1) continue;
    const bool empty = x.shape()[axis] == 0;  // the product of nothing is 1
    y = empty ? sum(y, axis, true) + 1.0 : slice(cumprod(y, axis), axis, -1);
  }
  return keepdims ? identity(std::move(y)) : reshape(y, detail::reduced_shape(x.shape(), mask, false));
}
Var max(const Var& x, const Axes& axes, bool keepdims) {
  return apply(Max{mask_of("max", x, axes), keepdims}, x);
}
Var min(const Var& x, const Axes& axes, bool keepdims) {
  return apply(Min{mask_of("min", x, axes), keepdims}, x);
}
Var norm(const Var& x, double ord, const Axes& axes, bool keepdims) {
  require_floating("norm", x);
  if (!(ord > 0)) throw Error(detail::text("norm: ord = ", ord, " is not positive"));
  const AxisMask mask = mask_of("norm", x, axes);
  if (ord == std::numeric_limits<double>::infinity()) {
    detail::require_elements("norm", x.shape(), mask);
    return apply(Max{mask, keepdims}, abs(x));
  }
  if (ord == 1) return apply(Sum{mask, keepdims}, abs(x));
  if (ord == 2) {
    return zero_at_zero(apply(Sum{mask, keepdims}, square(x)), [](const Var& v) { return sqrt(v); });
  }
  const Var powers = zero_at_zero(x, [&](const Var& v) { return pow(abs(v), ord); });
  return zero_at_zero(apply(Sum{mask, keepdims}, powers), [&](const Var& v) { return pow(v, 1 / ord); });
}
Var logsumexp(const Var& x, const Axes& axes, bool keepdims) {
  return apply(LogSumExp{mask_of("logsumexp", x, axes), keepdims}, x);
}

Var sum_to(Var x, const Shape& shape) {
  if (x.shape() == shape) return identity(std::move(x));
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
  // One op for each group of neighbouring axes, innermost first: one op over all would need memory in
  // between.
  AxisMask group;
  Var y = x;
  for (int i = x.rank() - 1; i >= 0; --i) {
    if (axes.has(i)) group.bits = static_cast<std::uint8_t>(group.bits | (1u << i));
    if (group.bits && (i == 0 || !axes.has(i - 1))) y = apply(Sum{std::exchange(group, {}), ones}, y);
  }
  return ones && extra > 0 ? reshape(y, shape) : y;
}

detail::OpTable detail::reduce_ops() {
  static constexpr const OpInfo* table[] = {&op_info<Sum>, &op_info<Max>, &op_info<Min>, &op_info<LogSumExp>};
  return table;
}

}  // namespace xgrad
