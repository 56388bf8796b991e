// Products of matrices and tensors. Decompositions and equations are in xgrad/ops/decompositions.hpp.
#pragma once

#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

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

/// All products of an element of x with one of y: shape [x.size(), y.size()].
Var outer(const Var& x, const Var& y);

/// The sum of products over the last `axes` axes of x and the first of y: 1 is the matrix product, 0 the
/// outer product without flattening. @throws ShapeError when an operand has fewer axes, or their extents
/// differ.
Var tensordot(const Var& x, const Var& y, int axes = 2);
/// The same over axis x_axes[i] of x and y_axes[i] of y, for every i. The result has the other axes of x,
/// then those of y. @throws ShapeError
Var tensordot(const Var& x, const Var& y, const std::vector<int>& x_axes, const std::vector<int>& y_axes);

/// The sum of the diagonal of the matrices in two axes, by default the last two; their extents may differ.
/// @throws ShapeError unless x has two such axes.
Var trace(const Var& x, int axis1 = -2, int axis2 = -1);

/// Einstein's summation in NumPy's notation: `ij,jk->ik` is the matrix product, `ii` the trace, `bi,bi->b` a
/// dot product for every b. A letter names an axis; a letter that the result leaves out is summed over; one
/// that occurs twice in an operand takes the diagonal. Without `->` the result has the letters that occur
/// once, in the order of the alphabet. `...` stands for the axes without a letter, which broadcast. Spaces
/// are ignored. Operands are contracted from left to right, each pair by one batch of matrix products.
/// @throws ShapeError when the subscripts do not fit the operands or one another, DTypeError.
Var einsum(std::string_view subscripts, std::span<const Var> xs);
Var einsum(std::string_view subscripts, std::initializer_list<Var> xs);

}  // namespace xgrad
