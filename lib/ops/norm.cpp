// Normalisation. All kinds are one op: x is seen as [outer, n, inner] and normalised over outer and inner.
#include "xgrad/ops/norm.hpp"

#include <ostream>

#include "lib/ops/common.hpp"
#include "lib/ops/registry.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/ops/shape.hpp"

namespace xgrad {
namespace {

using detail::text;

/// Calls body(extents, range of n) for parts of n; threads share them.
template <class Body>
void for_each_range(const kernels::Extents& e, Body&& body) {
  parallel_chunks(e.n, e.outer * e.inner, [&](std::int64_t begin, std::int64_t count) {
    body(e, {begin, count});
  });
}

/// The axes from first to before last are kept; mean and variance are over the others.
struct Normalization {
  int first, last;
  double eps;
  bool centred;  // when false, the mean is taken as 0

  kernels::Extents extents(const Shape& x) const {
    kernels::Extents e{1, 1, 1};
    for (int i = 0; i < x.rank(); ++i) (i < first ? e.outer : i < last ? e.n : e.inner) *= x[i];
    return e;
  }
  /// The mean over the axes that are not kept.
  Var mean(const Var& x) const {
    const kernels::Extents e = extents(x.shape());
    const Var folded = reshape(x, Shape{e.outer, e.n, e.inner});
    Shape kept;
    for (int i = 0; i < x.rank(); ++i) kept.push_back(i >= first && i < last ? x.shape()[i] : 1);
    return reshape(sum(sum(folded, 2), 0), kept) / static_cast<double>(e.outer * e.inner);
  }
  void describe(std::ostream& out) const {
    out << "kept={" << first << ", " << last << "}, eps=" << eps << (centred ? "" : ", not centred");
  }
};

struct Normalize : Normalization {
  static constexpr const char* name = "normalize";
  static constexpr Reads reads[] = {reads_x(0)};
  TensorType infer(Operands x) const { return {require_floating(name, x), x[0].shape()}; }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    for_each_range(extents(y.shape()), [&](const kernels::Extents& e, kernels::Range which) {
      kernels::table<T>().normalize(x[0].as<T>(), e, which, eps, centred, y.as<T>(), write);
    });
  }
  // With s = 1 / sqrt(variance + eps): dx = s (u - mean(u) - y mean(u y)), without mean(u) when not centred
  void vjp(Backward& b) const;
};

struct NormalizeGrad : Normalization {
  static constexpr const char* name = "normalize_grad";
  static constexpr Reads reads[] = {reads_x(1), reads_x(0) | reads_x(1)};
  TensorType infer(Operands x) const { return {require_floating(name, x), x[0].shape()}; }
  template <class T>
  void eval(Operands x, View dx, Write write) const {
    for_each_range(extents(dx.shape()), [&](const kernels::Extents& e, kernels::Range which) {
      kernels::table<T>().normalize_grad(x[0].as<T>(), x[1].as<T>(), e, which, eps, centred, dx.as<T>(),
                                         write);
    });
  }
  // With w the cotangent: g(u) = s (u - mean(u) - y mean(u y)) is its own adjoint, so du = g(w). For dx,
  // <w, g(u)> = n s (mean(w u) - mean(w) mean(u) - mean(w y) mean(u y)), where the derivative of y is g and
  // that of s is -s^2 mean(y .).
  void vjp(Backward& b) const {
    const Var& w = b.dy();
    b.dx(0) += apply(*this, w, b.x(1));
    b.dx(1) += [&] {
      const Var u = b.x(0), x = b.x(1);
      const Var d = centred ? x - mean(x) : x, s = 1 / sqrt(mean(square(d)) + eps), y = d * s;
      const Var wy = mean(w * y), uy = mean(u * y);
      const Var wu = centred ? mean(w * u) - mean(w) * mean(u) : mean(w * u);
      return -s * (uy * apply(*this, w, x) + wy * apply(*this, u, x)) - square(s) * y * (wu - wy * uy);
    };
  }
};

void Normalize::vjp(Backward& b) const { b.dx(0) += apply(NormalizeGrad{*this}, b.dy(), b.x(0)); }

/// Mean and variance of each channel, [2, C].
struct BatchMoments {
  static constexpr const char* name = "batch_moments";
  static constexpr bool constant = true;
  TensorType infer(Operands x) const { return {require_floating(name, x), Shape{2, x[0].shape()[1]}}; }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    for_each_range(detail::extents_about(x[0].shape(), 1),
                   [&](const kernels::Extents& e, kernels::Range which) {
                     kernels::table<T>().moments(x[0].as<T>(), e, which, y.as<T>(), y.as<T>() + e.n, write);
                   });
  }
};

/// x scale + shift, each if it is given, seen as `shape`. @throws ShapeError unless both have the shape
/// `wanted`.
Var scale_and_shift(const char* op, Var x, const Var& scale, const Var& shift, const Shape& wanted,
                    const Shape& shape) {
  const auto require = [&](const char* what, const Var& v) {
    if (v.shape() != wanted) {
      throw ShapeError(text(op, ": ", what, ' ', v.shape(), " must be ", wanted, " for x ", x.shape()));
    }
  };
  if (scale.defined()) require("scale", scale), x = x * reshape(scale, shape);
  if (shift.defined()) require("shift", shift), x = x + reshape(shift, shape);
  return x;
}

/// @throws ShapeError unless x has channels.
void require_channels(const char* op, const Var& x) {
  if (x.rank() < 2) throw ShapeError(text(op, ": x is [N, C, ...], not ", x.shape()));
}

/// [C, 1, ...], which broadcasts along all axes but axis 1.
Shape per_channel(const Shape& x) {
  Shape shape{x[1]};
  for (int i = 2; i < x.rank(); ++i) shape.push_back(1);
  return shape;
}

Var with_channels(const char* op, const Var& x, const Var& scale, const Var& shift) {
  return scale_and_shift(op, x, scale, shift, Shape{x.shape()[1]}, per_channel(x.shape()));
}

/// x normalised over its last axes, whose extents `inner` becomes.
Var normalize_last(const char* op, const Var& x, int axes, double eps, bool centred, Shape& inner) {
  if (axes < 1 || axes > x.rank()) {
    throw ShapeError(text(op, ": ", axes, " axes of x ", x.shape(), " must be at least 1 and at most all"));
  }
  for (int i = x.rank() - axes; i < x.rank(); ++i) inner.push_back(x.shape()[i]);
  return apply(Normalize{{0, x.rank() - axes, eps, centred}}, x);
}

}  // namespace

Var batch_norm(const Var& x, const Var& scale, const Var& shift, double eps) {
  require_channels("batch_norm", x);
  return with_channels("batch_norm", apply(Normalize{{1, 2, eps, true}}, x), scale, shift);
}

Moments batch_moments(const Var& x) {
  require_channels("batch_moments", x);
  const Var both = apply(BatchMoments{}, x);
  const Shape channels{x.shape()[1]};
  return {reshape(slice(both, 0, 0, 1), channels), reshape(slice(both, 0, 1, 2), channels)};
}

Var batch_norm(const Var& x, const Var& scale, const Var& shift, const Moments& moments, double eps) {
  require_channels("batch_norm", x);
  const Shape channels{x.shape()[1]}, shape = per_channel(x.shape());
  for (const Var* v : {&moments.mean, &moments.variance}) {
    if (v->shape() != channels) {
      throw ShapeError(text("batch_norm: moments ", v->shape(), " must be ", channels, " for x ", x.shape()));
    }
  }
  const Var deviation = sqrt(moments.variance + eps);
  const Var factor = scale.defined() ? scale / deviation : 1 / deviation;
  const Var y = (x - reshape(moments.mean, shape)) * reshape(factor, shape);
  return with_channels("batch_norm", y, {}, shift);
}

Var layer_norm(const Var& x, int axes, const Var& scale, const Var& shift, double eps) {
  Shape inner;
  const Var y = normalize_last("layer_norm", x, axes, eps, true, inner);
  return scale_and_shift("layer_norm", y, scale, shift, inner, inner);
}

Var rms_norm(const Var& x, int axes, const Var& scale, double eps) {
  Shape inner;
  const Var y = normalize_last("rms_norm", x, axes, eps, false, inner);
  return scale_and_shift("rms_norm", y, scale, {}, inner, inner);
}

Var group_norm(const Var& x, std::int64_t groups, const Var& scale, const Var& shift, double eps) {
  require_channels("group_norm", x);
  const Shape& s = x.shape();
  if (groups < 1 || s[1] % groups != 0) {
    throw ShapeError(text("group_norm: ", s[1], " channels of x ", s, " do not make ", groups, " groups"));
  }
  std::int64_t inner = s[1] / groups;
  for (int i = 2; i < s.rank(); ++i) inner *= s[i];
  const Var y = apply(Normalize{{0, 2, eps, true}}, reshape(x, Shape{s[0], groups, inner}));
  return with_channels("group_norm", reshape(y, s), scale, shift);
}

detail::OpTable detail::norm_ops() {
  static constexpr const OpInfo* table[] = {&op_info<Normalize>, &op_info<NormalizeGrad>,
                                            &op_info<BatchMoments>};
  return table;
}

}  // namespace xgrad
