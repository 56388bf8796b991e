// Decompositions of contiguous row-major matrices, for float and double. No other file calls LAPACK.
//
// LAPACK reads matrices by columns, so it sees the transpose of the matrix in memory. Instead of copying,
// each function computes the decomposition of the transpose that, read by rows, is the one asked for.
// Matrices may be empty.
#pragma once

#include <cstdint>

namespace xgrad::lapack {

/// Replaces the lower triangle of a [n, n] by L, a = L L', and the upper triangle by zeros. Returns false
/// when a is not positive definite or not finite.
template <class T>
bool cholesky(std::int64_t n, T* a);

/// Replaces a [n, n] by factors for `lu_solve`. The product of their diagonal is the determinant up to its
/// sign. Row i was exchanged with row pivots[i], a whole number from i on. A matrix that is not finite
/// becomes NaN throughout.
template <class T>
void lu_factor(std::int64_t n, T* a, T* pivots);

/// The sign of the determinant of the matrix that was factored: -1, 0, 1 or NaN.
template <class T>
T lu_sign(std::int64_t n, const T* lu, const T* pivots);

/// Solves A X = B, or A' X = B, in place of b [n, columns]. A singular A gives infinities and NaNs.
template <class T>
void lu_solve(std::int64_t n, std::int64_t columns, const T* lu, const T* pivots, bool transpose, T* b);

/// Computes a [m, n] = q [m, k] r [k, n], k = min(m, n): the columns of q are orthonormal, r is upper
/// triangular.
template <class T>
void qr(std::int64_t m, std::int64_t n, const T* a, T* q, T* r);

/// Computes the eigenvalues, ascending, of the symmetric matrix whose lower triangle is a's, and its
/// eigenvectors, the columns of vectors [n, n]. Returns false when a is not finite or the iteration does not
/// converge.
template <class T>
bool eigh(std::int64_t n, const T* a, T* values, T* vectors);

/// Computes a [m, n] = u [m, k] diag(s) vh [k, n], k = min(m, n), s descending. Returns false as eigh does.
template <class T>
bool svd(std::int64_t m, std::int64_t n, const T* a, T* u, T* s, T* vh);

}  // namespace xgrad::lapack
