// References for decompositions, by textbook methods other than LAPACK's: elimination, expansion by minors,
// Gram and Schmidt's process, Jacobi's rotations.
#pragma once

#include "tests/cases/naive.hpp"

namespace xgrad::naive {

struct Matrix {
  std::size_t rows = 0, columns = 0;
  Values values = {};
  Matrix(std::size_t m, std::size_t n) : rows(m), columns(n), values(m * n) {}
  double& operator()(std::size_t i, std::size_t j) { return values[i * columns + j]; }
  double operator()(std::size_t i, std::size_t j) const { return values[i * columns + j]; }
};
using Matrices = std::vector<Matrix>;

/// f of the matrices in the last two axes of each array, whose leading axes broadcast, for the whole batch.
/// The result has `axes` axes for each matrix that f gives: 2, 1 for a row or a column, 0 for a number.
Array batched(const Arrays& x, const std::function<Matrix(const Matrices&)>& f, std::size_t axes = 2);

Matrix transposed(const Matrix& a);
Matrix product(const Matrix& a, const Matrix& b);
/// a + s times the identity.
Matrix shifted(Matrix a, double s);
/// The triangle of a alone, also with ones in the place of its diagonal.
Matrix triangle(Matrix a, bool upper, bool unit_diagonal = false);

Matrix solve(Matrix a, Matrix b);
double det(const Matrix& a);
Matrix cholesky(const Matrix& a);

struct QrOf {
  Matrix q, r;
};
/// With a positive diagonal of r.
QrOf qr(const Matrix& a);

struct EighOf {
  Matrix values, vectors;
};
/// Of a symmetric matrix; the values in a row, ascending.
EighOf eigh(Matrix a);

struct SvdOf {
  Matrix u, s, vh;
};
/// Reduced; the values in a row, descending.
SvdOf svd(const Matrix& a);

}  // namespace xgrad::naive
