// The gradient of softmax as an op, for the losses.
#pragma once

#include "xgrad/tape/var.hpp"

namespace xgrad::detail {

/// y (u - sum(u y)) along an axis: the cotangent of x for y = softmax(x) and its cotangent u.
Var softmax_grad(const Var& u, const Var& y, int axis);

}  // namespace xgrad::detail
