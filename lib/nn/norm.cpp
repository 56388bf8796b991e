// BatchNorm2d with its running statistics, and LayerNorm.
#include "xgrad/nn/norm.hpp"

#include <algorithm>
#include <cstring>

#include "xgrad/tape/tape.hpp"
#include "xgrad/tensor/dispatch.hpp"

namespace xgrad::nn {
namespace {

Parameter filled(DType dtype, const Shape& shape, double value) {
  Parameter p({dtype, shape});
  xgrad::detail::dispatch_floating(dtype, [&]<class T>() {
    const View v = p.value_view();
    std::fill_n(v.as<T>(), v.size(), static_cast<T>(value));
  });
  return p;
}

/// The value of p as a constant of the tape.
Var constant(Tape& tape, const Parameter& p) {
  return tape.constant({p.dtype(), p.shape()}, [&](View v) {
    std::memcpy(v.data, p.view().data, static_cast<std::size_t>(v.size()) * size_of(v.dtype));
  });
}

/// running += momentum (factor batch - running)
void follow(Parameter& running, const Var& batch, double factor, double momentum) {
  xgrad::detail::dispatch_floating(running.dtype(), [&]<class T>() {
    const View v = running.value_view();
    const T* b = batch.view().as<T>();
    for (std::int64_t i = 0; i < v.size(); ++i) {
      v.as<T>()[i] += static_cast<T>(momentum) * (static_cast<T>(factor) * b[i] - v.as<T>()[i]);
    }
  });
}

}  // namespace

BatchNorm2d::BatchNorm2d(std::int64_t channels, const BatchNormOptions& options)
    : scale(filled(options.dtype, Shape{channels}, 1)),
      shift(filled(options.dtype, Shape{channels}, 0)),
      running_mean(filled(options.dtype, Shape{channels}, 0)),
      running_variance(filled(options.dtype, Shape{channels}, 1)),
      eps(options.eps),
      momentum(options.momentum) {}

Var BatchNorm2d::operator()(const Var& x) {
  Tape& tape = x.tape();
  const Var a = tape.leaf(scale), b = tape.leaf(shift);
  if (!training) {
    return batch_norm(x, a, b, {constant(tape, running_mean), constant(tape, running_variance)}, eps);
  }
  const Var y = batch_norm(x, a, b, eps);
  const double n = static_cast<double>(x.size()) / static_cast<double>(std::max<std::int64_t>(1, a.size()));
  if (n < 1) return y;  // an empty batch has no statistics
  const Moments batch = batch_moments(x);
  follow(running_mean, batch.mean, 1, momentum);
  follow(running_variance, batch.variance, n / std::max(1.0, n - 1), momentum);
  return y;
}

LayerNorm::LayerNorm(const Shape& extents, const LayerNormOptions& options)
    : scale(filled(options.dtype, extents, 1)), shift(filled(options.dtype, extents, 0)), eps(options.eps) {}

Var LayerNorm::operator()(const Var& x) const {
  return layer_norm(x, scale.shape().rank(), x.tape().leaf(scale), x.tape().leaf(shift), eps);
}

}  // namespace xgrad::nn
