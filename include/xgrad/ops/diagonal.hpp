// The diagonals of matrices. Diagonal k is k columns to the right of the main one, or to the left when k < 0.
#pragma once

#include "xgrad/tape/var.hpp"

namespace xgrad {

/// Diagonal k of a matrix as a vector; of a vector the square matrix with it as diagonal k, and zeros.
/// @throws ShapeError for other ranks.
Var diag(const Var& x, int k = 0);

/// The lower triangle up to diagonal k, or the upper one from diagonal k on, of the last two axes; zeros
/// elsewhere. @throws ShapeError for fewer than two axes, DTypeError.
Var tril(const Var& x, int k = 0);
Var triu(const Var& x, int k = 0);

}  // namespace xgrad
