// The only door to LAPACK: decompositions of one contiguous row-major matrix each, for float and double.
//
// LAPACK takes matrices by columns, so it sees the transpose of what is in memory. Nothing is copied to
// change that: each function asks for the decomposition of the transpose that, read by rows, is the one
// wanted. Matrices may be empty.
#pragma once

#include <cstdint>

namespace xgrad::lapack {

/// Replaces the lower triangle of a [n, n] by L, a = L L', and the upper one by zeros. False when a is not
/// positive definite, or not finite.
template <class T>
bool cholesky(std::int64_t n, T* a);

/// Replaces a [n, n] by factors for `lu_solve`, whose diagonal has the determinant's absolute value as its
/// product; row i was exchanged with row pivots[i], a whole number from i on. A matrix that is not finite
/// becomes NaN throughout.
template <class T>
void lu_factor(std::int64_t n, T* a, T* pivots);

/// The sign of the determinant of what was factored: -1, 0, 1 or NaN.
template <class T>
T lu_sign(std::int64_t n, const T* lu, const T* pivots);

/// Solves A X = B, or A' X = B, in place of b [n, columns]. A singular A gives infinities and NaNs.
template <class T>
void lu_solve(std::int64_t n, std::int64_t columns, const T* lu, const T* pivots, bool transpose, T* b);

/// a [m, n] = q [m, k] r [k, n], k = min(m, n), the columns of q orthonormal, r upper triangular.
template <class T>
void qr(std::int64_t m, std::int64_t n, const T* a, T* q, T* r);

/// The eigenvalues of the symmetric matrix whose lower triangle is a's, ascending, and the eigenvectors in
/// the columns of vectors [n, n]. False when a is not finite or the iteration does not converge.
template <class T>
bool eigh(std::int64_t n, const T* a, T* values, T* vectors);

/// a [m, n] = u [m, k] diag(s) vh [k, n], k = min(m, n), s descending. False as above.
template <class T>
bool svd(std::int64_t m, std::int64_t n, const T* a, T* u, T* s, T* vh);

}  // namespace xgrad::lapack
