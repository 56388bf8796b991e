// Softmax and its logarithm.
#pragma once

#include "xgrad/tape/var.hpp"

namespace xgrad {

/// exp(x) / sum(exp(x)) along an axis, shifted by the maximum so that nothing overflows. An entry of -inf
/// gives 0; a line that is -inf throughout gives NaN. @throws ShapeError, DTypeError
Var softmax(const Var& x, int axis = -1);

/// log(softmax(x)) along an axis, in one op. @throws ShapeError, DTypeError
Var log_softmax(const Var& x, int axis = -1);

}  // namespace xgrad
