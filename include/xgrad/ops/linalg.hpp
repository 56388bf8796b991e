// Matrix products.
#pragma once

#include "xgrad/tape/var.hpp"

namespace xgrad {

/// The matrix product over the last two axes; leading axes broadcast as batches. A flag transposes the last
/// two axes of an operand without a copy. A vector on the left is a row, on the right a column, and its axis
/// of extent 1 is dropped from the result, as in NumPy.
/// @throws ShapeError when the inner extents differ, the batches do not broadcast, or an operand is a scalar.
Var matmul(const Var& x, const Var& y, bool transpose_x = false, bool transpose_y = false);

/// x w + b: x [..., in], w [in, out], b [out], result [..., out]; one op forward, and no copies backward.
/// @throws ShapeError, DTypeError
Var linear(const Var& x, const Var& w, const Var& b);

}  // namespace xgrad
