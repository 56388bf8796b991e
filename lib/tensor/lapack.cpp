// Decompositions by LAPACK, through xtensor-blas's declarations of it. xt::linalg is not used: it copies
// every matrix to a column-major container and back, knows no batches, refuses a 1 x 1 matrix in cholesky,
// and reports errors as a std::runtime_error without the place.
#include "lib/tensor/lapack.hpp"

#include <xtensor-blas/xblas.hpp>
#include <xtensor-blas/xlapack.hpp>

#include <algorithm>
#include <climits>
#include <cmath>
#include <limits>
#include <vector>

#include "lib/tensor/gemm.hpp"
#include "xgrad/support/error.hpp"
#include "xgrad/support/text.hpp"
#include "xgrad/tensor/blas.hpp"

namespace xgrad::lapack {
namespace {

/// Converts an extent for LAPACK; prepares the library first.
int extent(std::int64_t n) {
  if (n > INT_MAX) throw Error(detail::text("lapack: an extent of ", n, " is beyond LAPACK's integers"));
  blas_info();
  return static_cast<int>(n);
}

template <class T>
bool is_finite(std::int64_t n, const T* a) {
  return std::all_of(a, a + n, [](T v) { return std::isfinite(v); });
}

/// Calls routine(work, size) twice: to ask for the size of its workspace, and with a workspace of that size.
template <class T, class Routine>
int with_room(Routine&& routine) {
  T wanted = 0;
  routine(&wanted, -1);
  // The answer is a floating number, which may have been rounded down.
  const T size = std::nextafter(wanted, std::numeric_limits<T>::infinity());
  std::vector<T> work(static_cast<std::size_t>(std::ceil(size)));
  return routine(work.data(), static_cast<int>(work.size()));
}

}  // namespace

template <class T>
bool cholesky(std::int64_t n, T* a) {
  const int order = extent(n);
  if (order == 0) return true;
  // U' U by columns is L L' by rows.
  bool good = cxxlapack::potrf('U', order, a, order) == 0;
  for (std::int64_t i = 0; i < n; ++i) {
    good = good && a[i * n + i] > 0 && std::isfinite(a[i * n + i]);
    std::fill(a + i * n + i + 1, a + (i + 1) * n, T(0));
  }
  return good;
}

template <class T>
void lu_factor(std::int64_t n, T* a, T* pivots) {
  const int order = extent(n);
  if (order == 0) return;
  if (!is_finite(n * n, a)) {
    std::fill_n(a, n * n, std::numeric_limits<T>::quiet_NaN());
    for (std::int64_t i = 0; i < n; ++i) pivots[i] = static_cast<T>(i);
    return;
  }
  std::vector<int> exchanged(static_cast<std::size_t>(n));
  cxxlapack::getrf(order, order, a, order, exchanged.data());
  for (std::size_t i = 0; i < exchanged.size(); ++i) pivots[i] = static_cast<T>(exchanged[i] - 1);
}

template <class T>
T lu_sign(std::int64_t n, const T* lu, const T* pivots) {
  T sign = 1;
  for (std::int64_t i = 0; i < n; ++i) {
    const T d = lu[i * n + i];
    sign *= d > 0 ? T(1) : d < 0 ? T(-1) : d;
    if (pivots[i] != static_cast<T>(i)) sign = -sign;
  }
  return sign;
}

// The factors are A' = P L U, where P is the exchanges one after the other. Read by rows, the memory holds U'
// on and below the diagonal, and L', whose diagonal is ones, above it.
template <class T>
void lu_solve(std::int64_t n, std::int64_t columns, const T* lu, const T* pivots, bool transpose, T* b) {
  const auto exchange = [&](std::int64_t i) {
    const auto other = static_cast<std::int64_t>(pivots[i]);
    if (other != i) std::swap_ranges(b + i * columns, b + (i + 1) * columns, b + other * columns);
  };
  const TriangularShape u{.m = n, .n = columns, .upper = false, .transpose = transpose};
  const TriangularShape l{.m = n, .n = columns, .upper = true, .transpose = transpose, .unit_diagonal = true};
  if (transpose) {
    for (std::int64_t i = 0; i < n; ++i) exchange(i);
    trsm(l, lu, b);
    trsm(u, lu, b);
  } else {
    trsm(u, lu, b);
    trsm(l, lu, b);
    for (std::int64_t i = n; i-- > 0;) exchange(i);
  }
}

// The LQ decomposition of the transpose is, by rows, the QR decomposition.
template <class T>
void qr(std::int64_t m, std::int64_t n, const T* a, T* q, T* r) {
  const int rows = extent(m), columns = extent(n), k = std::min(rows, columns);
  if (k == 0) return;
  std::vector<T> factors(a, a + m * n), tau(static_cast<std::size_t>(k));
  with_room<T>([&](T* work, int size) {
    return cxxlapack::gelqf(columns, rows, factors.data(), columns, tau.data(), work, size);
  });
  for (std::int64_t i = 0; i < k; ++i) {
    const T* row = factors.data() + i * n;
    std::fill_n(r + i * n, i, T(0));
    std::copy(row + i, row + n, r + i * n + i);
  }
  with_room<T>([&](T* work, int size) {
    return cxxlapack::orglq(k, rows, k, factors.data(), columns, tau.data(), work, size);
  });
  for (std::int64_t i = 0; i < m; ++i) std::copy_n(factors.data() + i * n, k, q + i * k);
}

template <class T>
bool eigh(std::int64_t n, const T* a, T* values, T* vectors) {
  const int order = extent(n);
  if (order == 0) return true;
  for (std::int64_t i = 0; i < n; ++i) {
    if (!is_finite(i + 1, a + i * n)) return false;
    std::copy_n(a + i * n, i + 1, vectors + i * n);
  }
  std::vector<int> integers(static_cast<std::size_t>(3 + 5 * n));
  const bool good = with_room<T>([&](T* work, int size) {
                      return cxxlapack::syevd('V', 'U', order, vectors, order, values, work, size,
                                              integers.data(), static_cast<int>(integers.size()));
                    }) == 0;
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < i; ++j) std::swap(vectors[i * n + j], vectors[j * n + i]);
  }
  return good;
}

template <class T>
bool svd(std::int64_t m, std::int64_t n, const T* a, T* u, T* s, T* vh) {
  const int rows = extent(m), columns = extent(n), k = std::min(rows, columns);
  if (k == 0) return true;
  if (!is_finite(m * n, a)) return false;
  std::vector<T> copy(a, a + m * n);
  std::vector<int> integers(static_cast<std::size_t>(8 * k));
  // The transpose is V diag(s) U': by columns V is vh by rows, and U' is u.
  return with_room<T>([&](T* work, int size) {
           return cxxlapack::gesdd('S', columns, rows, copy.data(), columns, s, vh, columns, u, k, work, size,
                                   integers.data());
         }) == 0;
}

// NOLINTBEGIN(bugprone-macro-parentheses): T is a type
#define XGRAD_INSTANTIATE(T)                                                        \
  template bool cholesky(std::int64_t, T*);                                         \
  template void lu_factor(std::int64_t, T*, T*);                                    \
  template T lu_sign(std::int64_t, const T*, const T*);                             \
  template void lu_solve(std::int64_t, std::int64_t, const T*, const T*, bool, T*); \
  template void qr(std::int64_t, std::int64_t, const T*, T*, T*);                   \
  template bool eigh(std::int64_t, const T*, T*, T*);                               \
  template bool svd(std::int64_t, std::int64_t, const T*, T*, T*, T*);
XGRAD_INSTANTIATE(float)
XGRAD_INSTANTIATE(double)
#undef XGRAD_INSTANTIATE
// NOLINTEND(bugprone-macro-parentheses)

}  // namespace xgrad::lapack
