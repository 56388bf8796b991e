// Sums and products of everything up to each element.
#pragma once

#include "xgrad/tape/var.hpp"

namespace xgrad {

/// y[i] = x[0] + ... + x[i] along an axis, added up in double precision one after the other.
/// @throws ShapeError, DTypeError
Var cumsum(const Var& x, int axis);

/// y[i] = x[0] ... x[i] along an axis, likewise. The derivative divides by nothing, so zeros among the
/// factors do no harm, at any order. @throws ShapeError, DTypeError
Var cumprod(const Var& x, int axis);

}  // namespace xgrad
