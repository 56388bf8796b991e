// Systems of linear equations, determinants and decompositions of matrices.
//
// All work on the last two axes; the axes before them are batches, and those of two operands broadcast. The
// operands are float32 or float64, matrices may be empty. All throw ShapeError for operands that are not
// matrices, or not square where that is needed, and DTypeError.
//
// cholesky and eigh read the lower triangle alone and take the matrix to be symmetric. Their gradients are
// symmetric, as those of PyTorch: the derivative with respect to a change of both triangles.
#pragma once

#include "xgrad/tape/var.hpp"

namespace xgrad {

/// The X of a X = b. As in NumPy 2, b of rank 1 is a vector and gives one for every matrix of the batch; any
/// other holds columns, [..., n, k]. @throws SingularMatrix naming the matrix.
Var solve(const Var& a, const Var& b);

/// The inverse of a. To multiply by it, solve is faster and more accurate. @throws SingularMatrix
Var inv(const Var& a);

struct TriangularOptions {
  bool upper = false;          ///< the upper triangle of a is read, not the lower one
  bool transpose = false;      ///< the matrix is a transposed
  bool unit_diagonal = false;  ///< the diagonal is taken to be 1 and not read
  bool right = false;          ///< X a = b
};

/// The X of a X = b for a triangular a: the other triangle is not read, and its gradient is zero. For the
/// rank of b see solve. A zero on the diagonal gives infinities and NaNs.
Var triangular_solve(const Var& a, const Var& b, TriangularOptions options = {});

/// The determinant. Its first and second derivatives are those of the polynomial that it is, also where a is
/// singular: the first, the cofactors, is found from a singular value decomposition without a division, and
/// so is the second. Higher derivatives are right where a has an inverse, and not finite elsewhere.
Var det(const Var& a);

struct Slogdet {
  Var sign;     ///< -1, 0 or 1; its derivative is zero
  Var log_abs;  ///< -inf where a is singular; the derivative is not finite there
};
/// The sign of the determinant and the logarithm of its absolute value, without overflow.
Slogdet slogdet(const Var& a);

/// The logarithm of the determinant: NaN where that is negative, -inf where it is 0. The gradient is that of
/// slogdet's log_abs.
Var logdet(const Var& a);

/// The lower triangular L with a positive diagonal of a = L L'.
/// @throws NotPositiveDefinite naming the matrix.
Var cholesky(const Var& a);

struct Qr {
  Var q, r;
};
/// The reduced QR decomposition: a [m, n] = q [m, k] r [k, n] with k = min(m, n), the columns of q
/// orthonormal, r upper triangular; the signs of r's diagonal are LAPACK's. The derivative exists where the
/// first k columns are linearly independent.
Qr qr(const Var& a);

struct Eigh {
  Var values;   ///< ascending
  Var vectors;  ///< in the columns: a = vectors diag(values) vectors'
};
/// Eigenvalues and eigenvectors of a symmetric matrix. The sign of a vector is arbitrary, so only functions
/// that do not depend on it have a derivative that means something. Vectors of equal eigenvalues have none:
/// gradients that depend on such vectors, and second derivatives there, are not finite. First derivatives of
/// the eigenvalues alone are finite always; where some are equal they are those of the vectors returned.
/// @throws NonFinite for a matrix that is not finite.
Eigh eigh(const Var& a);

struct Svd {
  Var u, s, vh;
};
/// The reduced singular value decomposition: a [m, n] = u [m, k] diag(s) vh [k, n] with k = min(m, n), s
/// descending. Signs are arbitrary, in u and vh together. Singular vectors have a derivative where the
/// singular values differ and, unless a is square, are not 0; that of the values alone is finite always, as
/// for eigh. @throws NonFinite for a matrix that is not finite.
Svd svd(const Var& a);

}  // namespace xgrad
