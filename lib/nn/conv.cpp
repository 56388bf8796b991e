// Conv2d and Flatten.
#include "xgrad/nn/conv.hpp"

#include "xgrad/ops/shape.hpp"

namespace xgrad::nn {
namespace {

/// [out, in / groups, height, width] @throws ShapeError
Shape weight_shape(std::int64_t in, std::int64_t out, Extent2d window, std::int64_t groups) {
  if (groups < 1 || in % groups != 0 || out % groups != 0) {
    throw ShapeError(
        xgrad::detail::text("conv2d: ", groups, " groups do not divide ", in, " and ", out, " channels"));
  }
  return {out, in / groups, window.height, window.width};
}

}  // namespace

Conv2d::Conv2d(std::int64_t in, std::int64_t out, Extent2d window, Generator& random,
               const Conv2dLayerOptions& given)
    : weight({given.dtype, weight_shape(in, out, window, given.groups)}),
      bias({given.dtype, Shape{out}}),
      options{given.stride, given.padding, given.dilation, given.groups},
      l2(given.l2) {
  // An output sees the channels of its group in one window; a channel reaches the outputs of its group.
  const std::int64_t area = window.height * window.width;
  const std::int64_t fan_in = in / options.groups * area, fan_out = out / options.groups * area;
  given.weight.fill(weight.value_view(), fan_in, fan_out, random);
  given.bias.fill(bias.value_view(), fan_in, fan_out, random);
}

Var Conv2d::operator()(const Var& x) const {
  return conv2d(x, x.tape().leaf(weight), x.tape().leaf(bias), options);
}

Var Flatten::operator()(const Var& x) const {
  const Shape& s = x.shape();
  if (s.rank() == 0) throw ShapeError("flatten: x is a scalar");
  std::int64_t features = 1;
  for (int i = 1; i < s.rank(); ++i) features *= s[i];
  return reshape(x, Shape{s[0], features});
}

}  // namespace xgrad::nn
