// Ops that pick elements by index or by mask. Indices are int64 (or int32) tensors and count from 0; they
// have no derivative.
#pragma once

#include "xgrad/tape/var.hpp"

namespace xgrad {

/// Along an axis, the elements that `index` names: result[i][j] = x[i][index[i][j]] for axis 1. `index` has
/// x's rank, and its extents except along the axis; the result has the shape of `index`. An index may repeat.
/// x is of any dtype.
/// @throws ShapeError when the shapes do not fit or an index is out of range, DTypeError.
Var gather(const Var& x, int axis, const Var& index);

/// The adjoint of gather: zeros of extent `extent` along the axis, to which the elements of x are added at
/// the indices.
/// @throws as gather does.
Var scatter_add(const Var& x, int axis, const Var& index, std::int64_t extent);

/// Along an axis, the slices that `index` names: NumPy's take. The axis is replaced by the axes of `index`,
/// which is of any shape: take(x, index, 1)[i][j][k] = x[i][index[j][k]]. x is of any dtype.
/// @throws ShapeError when an index is out of range, DTypeError.
Var take(const Var& x, const Var& index, int axis);

/// The rows of a table that `index` names: take along axis 0. Its derivative adds to the rows that were used.
/// @throws as take does.
Var embedding(const Var& table, const Var& index);

/// x, but `value` where `mask` (bool, of a shape that broadcasts to x) is true; no derivative flows from
/// there.
/// @throws ShapeError, DTypeError
Var masked_fill(const Var& x, const Var& mask, double value);

/// Labels as rows of `dtype` that are 1 at the label and 0 elsewhere: shape [...] to [..., classes].
/// @throws ShapeError when a label is not in [0, classes), DTypeError for labels that are not integers.
Var one_hot(const Var& labels, std::int64_t classes, DType dtype = DType::float32);

}  // namespace xgrad
