// Cumulative sums and products.
#pragma once

#include "xgrad/tape/var.hpp"

namespace xgrad {

/// y[i] = x[0] + ... + x[i] along an axis, added in order in double precision.
/// @throws ShapeError, DTypeError
Var cumsum(const Var& x, int axis);

/// y[i] = x[0] ... x[i] along an axis, likewise. The derivative needs no division: it is right with zeros
/// among the factors, at any order. @throws ShapeError, DTypeError
Var cumprod(const Var& x, int axis);

}  // namespace xgrad
