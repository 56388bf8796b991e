// Plain matrix algorithms that the case table's values are compared with.
#include "tests/cases/naive_matrix.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace xgrad::naive {

Array batched(const Arrays& x, const std::function<Matrix(const Matrices&)>& f, std::size_t axes) {
  // One number for each matrix, to find the batch's shape and places by.
  Arrays places;
  for (const Array& a : x) {
    Index batch = extents(a);
    batch.resize(batch.size() - 2);
    double k = 0;
    places.push_back(generate(batch, [&](const Index&) { return k++; }));
  }
  const auto matrices_at = [&](const Index* index) {
    Matrices matrices;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t d = x[i].dimension();
      Matrix& m = matrices.emplace_back(x[i].shape(d - 2), x[i].shape(d - 1));
      if (!index) continue;
      const auto k = static_cast<std::size_t>(at(places[i], *index));
      std::copy_n(x[i].data() + k * m.values.size(), m.values.size(), m.values.begin());
    }
    return matrices;
  };
  Index shape = broadcast(places);
  Values values;
  std::size_t rows = 0, columns = 0;
  generate(shape, [&](const Index& index) {
    const Matrix m = f(matrices_at(&index));
    rows = m.rows, columns = m.columns;
    values.insert(values.end(), m.values.begin(), m.values.end());
    return 0.0;
  });
  if (rows == 0 && columns == 0) {
    const Matrix m = f(matrices_at(nullptr));
    rows = m.rows, columns = m.columns;
  }
  if (axes == 2) shape.push_back(rows);
  if (axes >= 1) shape.push_back(axes == 1 ? rows * columns : columns);
  auto next = values.begin();
  return generate(shape, [&](const Index&) { return *next++; });
}

Matrix transposed(const Matrix& a) {
  Matrix t(a.columns, a.rows);
  for (std::size_t i = 0; i < t.rows; ++i) {
    for (std::size_t j = 0; j < t.columns; ++j) t(i, j) = a(j, i);
  }
  return t;
}

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix c(a.rows, b.columns);
  for (std::size_t i = 0; i < c.rows; ++i) {
    for (std::size_t j = 0; j < c.columns; ++j) {
      for (std::size_t k = 0; k < a.columns; ++k) c(i, j) += a(i, k) * b(k, j);
    }
  }
  return c;
}

Matrix shifted(Matrix a, double s) {
  for (std::size_t i = 0; i < a.rows; ++i) a(i, i) += s;
  return a;
}

Matrix triangle(Matrix a, bool upper, bool unit_diagonal) {
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t j = 0; j < a.columns; ++j) {
      if (upper ? i > j : i < j) a(i, j) = 0;
      if (i == j && unit_diagonal) a(i, j) = 1;
    }
  }
  return a;
}

Matrix solve(Matrix a, Matrix b) {
  const std::size_t n = a.rows;
  const auto exchange = [](Matrix& m, std::size_t i, std::size_t j) {
    for (std::size_t c = 0; c < m.columns; ++c) std::swap(m(i, c), m(j, c));
  };
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k; i < n; ++i) {
      if (std::abs(a(i, k)) > std::abs(a(pivot, k))) pivot = i;
    }
    exchange(a, k, pivot), exchange(b, k, pivot);
    for (std::size_t i = 0; i < n; ++i) {  // Gauss and Jordan: above the diagonal too
      const double factor = a(i, k) / a(k, k);
      if (i == k) continue;
      for (std::size_t c = 0; c < n; ++c) a(i, c) -= factor * a(k, c);
      for (std::size_t c = 0; c < b.columns; ++c) b(i, c) -= factor * b(k, c);
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t c = 0; c < b.columns; ++c) b(i, c) /= a(i, i);
  }
  return b;
}

double det(const Matrix& a) {
  if (a.rows == 0) return 1;
  double total = 0;
  for (std::size_t k = 0; k < a.columns; ++k) {
    Matrix minor(a.rows - 1, a.columns - 1);
    for (std::size_t i = 0; i < minor.rows; ++i) {
      for (std::size_t j = 0; j < minor.columns; ++j) minor(i, j) = a(i + 1, j + (j >= k));
    }
    total += (k % 2 ? -1 : 1) * a(0, k) * det(minor);
  }
  return total;
}

Matrix cholesky(const Matrix& a) {
  Matrix l(a.rows, a.rows);
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      double rest = a(i, j);
      for (std::size_t k = 0; k < j; ++k) rest -= l(i, k) * l(j, k);
      l(i, j) = i == j ? std::sqrt(rest) : rest / l(j, j);
    }
  }
  return l;
}

QrOf qr(const Matrix& a) {
  const std::size_t m = a.rows, k = std::min(m, a.columns);
  Matrix q(m, k);
  for (std::size_t j = 0; j < k; ++j) {
    for (std::size_t i = 0; i < m; ++i) q(i, j) = a(i, j);
    const auto dot = [&](std::size_t c) {
      double sum = 0;
      for (std::size_t i = 0; i < m; ++i) sum += q(i, c) * q(i, j);
      return sum;
    };
    for (int twice = 0; twice < 2; ++twice) {
      for (std::size_t c = 0; c < j; ++c) {
        const double share = dot(c);
        for (std::size_t i = 0; i < m; ++i) q(i, j) -= share * q(i, c);
      }
    }
    const double length = std::sqrt(dot(j));
    for (std::size_t i = 0; i < m; ++i) q(i, j) /= length;
  }
  return {q, triangle(product(transposed(q), a), true)};
}

namespace {

/// The columns of each matrix in the order of the values, which are sorted.
void sort_columns(Values& values, bool descending, const std::vector<Matrix*>& matrices) {
  Index order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) {
    return descending ? values[i] > values[j] : values[i] < values[j];
  });
  for (Matrix* m : matrices) {
    const Matrix old = *m;
    for (std::size_t i = 0; i < m->rows; ++i) {
      for (std::size_t j = 0; j < m->columns; ++j) (*m)(i, j) = old(i, order[j]);
    }
  }
  const Values old = values;
  for (std::size_t j = 0; j < values.size(); ++j) values[j] = old[order[j]];
}

/// Columns p and q turned by the angle whose tangent is t.
void rotate(Matrix& m, std::size_t p, std::size_t q, double t) {
  const double c = 1 / std::sqrt(1 + t * t), s = t * c;
  for (std::size_t i = 0; i < m.rows; ++i) {
    const double x = m(i, p), y = m(i, q);
    m(i, p) = c * x - s * y;
    m(i, q) = s * x + c * y;
  }
}

/// The tangent that makes the off-diagonal element b of a symmetric [[a, b], [b, d]] zero.
double tangent(double a, double b, double d) {
  if (b == 0) return 0;
  const double theta = (d - a) / (2 * b);
  return (theta < 0 ? -1 : 1) / (std::abs(theta) + std::sqrt(1 + theta * theta));
}

constexpr int kSweeps = 30;

}  // namespace

EighOf eigh(Matrix a) {
  const std::size_t n = a.rows;
  EighOf result{Matrix(1, n), shifted(Matrix(n, n), 1)};
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (std::size_t q = 1; q < n; ++q) {
      for (std::size_t p = 0; p < q; ++p) {
        const double t = tangent(a(p, p), a(p, q), a(q, q));
        rotate(a, p, q, t);
        a = transposed(a);
        rotate(a, p, q, t);
        rotate(result.vectors, p, q, t);
      }
    }
  }
  for (std::size_t i = 0; i < n; ++i) result.values(0, i) = a(i, i);
  sort_columns(result.values.values, false, {&result.vectors});
  return result;
}

SvdOf svd(const Matrix& a) {
  if (a.rows < a.columns) {
    const SvdOf other = svd(transposed(a));
    return {transposed(other.vh), other.s, transposed(other.u)};
  }
  // Rotations of the columns until they are orthogonal (Hestenes 1958).
  const std::size_t n = a.columns;
  Matrix u = a, v = shifted(Matrix(n, n), 1), s(1, n);
  const auto dot = [&](std::size_t p, std::size_t q) {
    double sum = 0;
    for (std::size_t i = 0; i < u.rows; ++i) sum += u(i, p) * u(i, q);
    return sum;
  };
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    for (std::size_t q = 1; q < n; ++q) {
      for (std::size_t p = 0; p < q; ++p) {
        const double t = tangent(dot(p, p), dot(p, q), dot(q, q));
        rotate(u, p, q, t);
        rotate(v, p, q, t);
      }
    }
  }
  for (std::size_t j = 0; j < n; ++j) {
    s(0, j) = std::sqrt(dot(j, j));
    for (std::size_t i = 0; i < u.rows; ++i) u(i, j) /= s(0, j);
  }
  sort_columns(s.values, true, {&u, &v});
  return {u, s, transposed(v)};
}

}  // namespace xgrad::naive
