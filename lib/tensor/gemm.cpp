#include "lib/tensor/gemm.hpp"

#include <cblas.h>

#include <algorithm>
#include <climits>

#include "lib/support/parallel.hpp"
#include "xgrad/support/error.hpp"
#include "xgrad/support/text.hpp"
#include "xgrad/tensor/blas.hpp"

namespace xgrad {
namespace {

void blas_gemm(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, float alpha, const float* a,
               int lda, const float* b, int ldb, float beta, float* c, int ldc) {
  cblas_sgemm(CblasRowMajor, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
void blas_gemm(CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, double alpha, const double* a,
               int lda, const double* b, int ldb, double beta, double* c, int ldc) {
  cblas_dgemm(CblasRowMajor, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

void blas_trsm(CBLAS_SIDE side, CBLAS_UPLO triangle, CBLAS_TRANSPOSE transpose, CBLAS_DIAG diagonal, int m,
               int n, const float* a, int lda, float* b) {
  cblas_strsm(CblasRowMajor, side, triangle, transpose, diagonal, m, n, 1, a, lda, b, n);
}
void blas_trsm(CBLAS_SIDE side, CBLAS_UPLO triangle, CBLAS_TRANSPOSE transpose, CBLAS_DIAG diagonal, int m,
               int n, const double* a, int lda, double* b) {
  cblas_dtrsm(CblasRowMajor, side, triangle, transpose, diagonal, m, n, 1, a, lda, b, n);
}

template <class T>
void run(const GemmShape& s, T alpha, const T* a, const T* b, T beta, T* c) {
  if (s.m == 0 || s.n == 0) return;
  const std::int64_t stride_a = s.stride_a ? s.stride_a : s.transpose_a ? s.m : s.k;
  const std::int64_t stride_b = s.stride_b ? s.stride_b : s.transpose_b ? s.k : s.n;
  const std::int64_t stride_c = s.stride_c ? s.stride_c : s.n;
  if (s.k == 0) {
    for (std::int64_t i = 0; i < s.m; ++i, c += stride_c) {
      for (std::int64_t j = 0; j < s.n; ++j) c[j] = beta == T(0) ? T(0) : beta * c[j];
    }
    return;
  }
  if (std::max({s.m, s.n, s.k, stride_a, stride_b, stride_c}) > INT_MAX) {
    throw Error(detail::text("gemm: an extent of ", s.m, " x ", s.k, " by ", s.k, " x ", s.n,
                             " is beyond BLAS's integers"));
  }
  blas_info();
  const auto ta = s.transpose_a ? CblasTrans : CblasNoTrans, tb = s.transpose_b ? CblasTrans : CblasNoTrans;
  const auto n = static_cast<int>(s.n), k = static_cast<int>(s.k);
  const auto lda = static_cast<int>(stride_a), ldb = static_cast<int>(stride_b),
             ldc = static_cast<int>(stride_c);
  // Blocks of rows of C, cut at places that depend on the sizes alone: each block is the same single-threaded
  // product whatever the number of threads, and so are its bits. Small products stay whole.
  constexpr std::int64_t kRows = 256;
  constexpr double kWorthCutting = 16e6;
  const bool cut =
      s.m > kRows &&
      2.0 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k) > kWorthCutting;
  const std::int64_t rows = cut ? kRows : s.m;
  parallel_for((s.m + rows - 1) / rows, [&](std::int64_t block) {
    const std::int64_t first = block * rows;
    const auto count = static_cast<int>(std::min(rows, s.m - first));
    blas_gemm(ta, tb, count, n, k, alpha, a + (s.transpose_a ? first : first * stride_a), lda, b, ldb, beta,
              c + first * stride_c, ldc);
  });
}

template <class T>
void run(const TriangularShape& s, const T* a, T* b) {
  if (s.m == 0 || s.n == 0) return;
  if (std::max(s.m, s.n) > INT_MAX) {
    throw Error(detail::text("trsm: an extent of ", s.m, " x ", s.n, " is beyond BLAS's integers"));
  }
  blas_info();
  const auto m = static_cast<int>(s.m), n = static_cast<int>(s.n);
  blas_trsm(s.right ? CblasRight : CblasLeft, s.upper ? CblasUpper : CblasLower,
            s.transpose ? CblasTrans : CblasNoTrans, s.unit_diagonal ? CblasUnit : CblasNonUnit, m, n, a,
            s.right ? n : m, b);
}

}  // namespace

void gemm(const GemmShape& shape, float alpha, const float* a, const float* b, float beta, float* c) {
  run(shape, alpha, a, b, beta, c);
}
void gemm(const GemmShape& shape, double alpha, const double* a, const double* b, double beta, double* c) {
  run(shape, alpha, a, b, beta, c);
}

void trsm(const TriangularShape& shape, const float* a, float* b) { run(shape, a, b); }
void trsm(const TriangularShape& shape, const double* a, double* b) { run(shape, a, b); }

}  // namespace xgrad
