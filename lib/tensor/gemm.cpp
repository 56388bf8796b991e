// Products and triangular systems by BLAS, cut into blocks for the threads.
#include "lib/tensor/gemm.hpp"

#include <cblas.h>
#ifdef XGRAD_GEMM_ONEDNN
#include <dlfcn.h>
#include <dnnl.h>
#endif

#include <algorithm>
#include <climits>
#include <string_view>
#include <type_traits>

#include "lib/support/parallel.hpp"
#include "xgrad/support/error.hpp"
#include "xgrad/support/text.hpp"
#include "xgrad/tensor/blas.hpp"

namespace xgrad {
namespace {

#ifdef XGRAD_GEMM_ONEDNN
/// Restricts oneDNN, where it runs on OpenMP, to the calling thread while this lives. Only oneDNN knows which
/// OpenMP that is, so its functions are looked up at run time.
class OneOpenMPThread {
 public:
  OneOpenMPThread() : before_(get && set ? get() : 1) {
    if (before_ > 1) set(1);
  }
  ~OneOpenMPThread() {
    if (before_ > 1) set(before_);
  }
  OneOpenMPThread(const OneOpenMPThread&) = delete;
  OneOpenMPThread& operator=(const OneOpenMPThread&) = delete;

 private:
  static inline int (*const get)() = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_max_threads"));
  static inline void (*const set)(int) = reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT,
                                                                               "omp_set_num_threads"));
  int before_;
};

void onednn_gemm(CBLAS_ORDER order, CBLAS_TRANSPOSE ta, CBLAS_TRANSPOSE tb, int m, int n, int k, float alpha,
                 const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc) {
  const OneOpenMPThread one;
  const auto flag = [](CBLAS_TRANSPOSE t) { return t == CblasTrans ? 'T' : 'N'; };
  if (dnnl_sgemm(flag(ta), flag(tb), m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) == dnnl_success) return;
  cblas_sgemm(order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}
#endif

/// BLAS's functions for T.
template <class T>
constexpr auto blas_gemm = cblas_dgemm;
template <class T>
constexpr auto blas_trsm = cblas_dtrsm;
#ifdef XGRAD_GEMM_ONEDNN
template <>
constexpr auto blas_gemm<float> = onednn_gemm;
#else
template <>
constexpr auto blas_gemm<float> = cblas_sgemm;
#endif
template <>
constexpr auto blas_trsm<float> = cblas_strsm;

/// Cuts C into blocks at places that depend on the sizes alone: each block is the same single-threaded
/// product for any number of threads, and has the same bits. Small products stay whole, others become four or
/// more blocks of up to 512 x 256: with smaller blocks, or more cuts across the rows, BLAS loses a tenth of
/// its speed.
struct Blocks {
  static constexpr std::int64_t kVector = 16;
  std::int64_t count_m = 1, count_n = 1, rows, columns;

  explicit Blocks(const GemmShape& s) : rows(s.m), columns(s.n) {
    constexpr std::int64_t kRows = 512, kColumns = 256, kEnough = 4;
    constexpr double kWork = 8e6;  // the least work of a block: about 0.1 ms
    double work = s.flops();
    while ((count() < kEnough || rows > kRows || columns > kColumns) && work >= 2 * kWork) {
      const bool by_rows = rows > 2 * columns;
      if ((by_rows ? rows : columns) < 2 * kVector) break;
      (by_rows ? count_m : count_n) *= 2;
      rows = cut(s.m, count_m), columns = cut(s.n, count_n);
      work /= 2;
    }
  }
  std::int64_t count() const { return count_m * count_n; }
  /// The extent of each of `count` blocks, a multiple of kVector.
  static std::int64_t cut(std::int64_t extent, std::int64_t count) {
    return count == 1 ? extent : ((extent + count - 1) / count + kVector - 1) / kVector * kVector;
  }
};

/// Whether BLAS has kernels for T that do not pack their operands: OpenBLAS has them for AVX-512.
template <class T>
bool has_small_kernels() {
#if defined(XGRAD_GEMM_CBLAS)
  return false;
#else
#if defined(XGRAD_GEMM_ONEDNN)
  if constexpr (std::is_same_v<T, float>) return false;
#endif
  static const bool has = [] {
    const std::string_view core = blas_info().core;
    return core == "SkylakeX" || core == "Cooperlake" || core == "SapphireRapids";
  }();
  return has;
#endif
}

/// The tiles of a block of C that OpenBLAS's small kernels compute. It uses these up to 1e6 multiplications
/// (kernel/x86_64/sgemm_small_kernel_permit_skylakex.c): where B stays in cache and is not transposed, a
/// product in such tiles takes 0.4 to 0.95 of the time of a whole one.
template <class T>
struct Tiles {
  std::int64_t rows, columns;

  /// The tiles of a block m x n.
  Tiles(const GemmShape& s, std::int64_t m, std::int64_t n) : rows(m), columns(n) {
    constexpr std::int64_t kMost = 1'000'000, kCache = 1 << 20, kRows = 32, kVector = 16;
    if (s.transpose_b || s.n * s.k * static_cast<std::int64_t>(sizeof(T)) >= kCache) return;
    if (m * n * s.k <= kMost || !has_small_kernels<T>()) return;
    const auto fit = [&] { return std::min(m, kMost / (columns * s.k)); };
    while (fit() < std::min(kRows, m) && columns > kVector) {
      columns = Blocks::cut(columns, 2);
    }
    const std::int64_t step = fit() >= 4 * kVector ? 4 * kVector : kVector;
    if (fit() < m) rows = fit() / step * step;
    if (rows == 0) rows = m, columns = n;
  }
};

}  // namespace

template <class T>
void gemm(const GemmShape& s, T alpha, std::type_identity_t<const T*> a, std::type_identity_t<const T*> b,
          std::type_identity_t<T> beta, T* c, const GemmBatch& batch) {
  const std::int64_t products = batch.size();
  if (s.m == 0 || s.n == 0 || products == 0) return;
  const std::int64_t stride_a = s.stride_a ? s.stride_a : s.transpose_a ? s.m : s.k;
  const std::int64_t stride_b = s.stride_b ? s.stride_b : s.transpose_b ? s.k : s.n;
  const std::int64_t stride_c = s.stride_c ? s.stride_c : s.n;
  // Calls body(a, b, c) for products of the batch.
  const auto for_products = [&](std::int64_t first, std::int64_t count, auto&& body) {
    batch.for_each_run(first, count, [&](const auto& at, std::int64_t n, const auto& step) {
      for (std::int64_t i = 0; i < n; ++i) {
        body(a + (at[0] + i * step[0]), b + (at[1] + i * step[1]), c + (at[2] + i * step[2]));
      }
    });
  };
  if (s.k == 0) {
    for_products(0, products, [&](const T*, const T*, T* z) {
      for (std::int64_t i = 0; i < s.m; ++i, z += stride_c) {
        for (std::int64_t j = 0; j < s.n; ++j) z[j] = beta == T(0) ? T(0) : beta * z[j];
      }
    });
    return;
  }
  if (std::max({s.m, s.n, s.k, stride_a, stride_b, stride_c}) > INT_MAX) {
    throw Error(detail::text("gemm: an extent of ", s.m, " x ", s.k, " by ", s.k, " x ", s.n,
                             " is beyond BLAS's integers"));
  }
  blas_info();
  const auto ta = s.transpose_a ? CblasTrans : CblasNoTrans, tb = s.transpose_b ? CblasTrans : CblasNoTrans;
  const auto k = static_cast<int>(s.k);
  const auto lda = static_cast<int>(stride_a), ldb = static_cast<int>(stride_b),
             ldc = static_cast<int>(stride_c);
  const Blocks blocks(s);
  const auto compute_block = [&](std::int64_t block, const T* x, const T* y, T* z) {
    const std::int64_t i = block / blocks.count_n * blocks.rows, j = block % blocks.count_n * blocks.columns;
    if (i >= s.m || j >= s.n) return;
    const std::int64_t end_i = std::min(s.m, i + blocks.rows), end_j = std::min(s.n, j + blocks.columns);
    const Tiles<T> tiles(s, end_i - i, end_j - j);
    for (std::int64_t q = j; q < end_j; q += tiles.columns) {
      for (std::int64_t p = i; p < end_i; p += tiles.rows) {
        blas_gemm<T>(CblasRowMajor, ta, tb, static_cast<int>(std::min(tiles.rows, end_i - p)),
                     static_cast<int>(std::min(tiles.columns, end_j - q)), k, alpha,
                     x + (s.transpose_a ? p : p * stride_a), lda, y + (s.transpose_b ? q * stride_b : q), ldb,
                     beta, z + p * stride_c + q, ldc);
      }
    }
  };
  // Threads share the blocks of all products; of products that are one block, several make a chunk.
  constexpr double kChunk = 2e6;
  const std::int64_t all = products * blocks.count();
  const auto chunk =
      blocks.count() > 1 ? std::int64_t{1} : static_cast<std::int64_t>(std::max(1.0, kChunk / s.flops()));
  parallel_for((all + chunk - 1) / chunk, [&](std::int64_t i) {
    const std::int64_t first = i * chunk, count = std::min(chunk, all - first);
    for_products(first / blocks.count(), count,
                 [&](const T* x, const T* y, T* z) { compute_block(first % blocks.count(), x, y, z); });
  });
}

template <class T>
void trsm(const TriangularShape& s, const T* a, T* b) {
  if (s.m == 0 || s.n == 0) return;
  if (std::max(s.m, s.n) > INT_MAX) {
    throw Error(detail::text("trsm: an extent of ", s.m, " x ", s.n, " is beyond BLAS's integers"));
  }
  blas_info();
  const auto m = static_cast<int>(s.m), n = static_cast<int>(s.n);
  blas_trsm<T>(CblasRowMajor, s.right ? CblasRight : CblasLeft, s.upper ? CblasUpper : CblasLower,
               s.transpose ? CblasTrans : CblasNoTrans, s.unit_diagonal ? CblasUnit : CblasNonUnit, m, n, 1,
               a, s.right ? n : m, b, n);
}

template void gemm(const GemmShape&, float, const float*, const float*, float, float*, const GemmBatch&);
template void gemm(const GemmShape&, double, const double*, const double*, double, double*, const GemmBatch&);
template void trsm(const TriangularShape&, const float*, float*);
template void trsm(const TriangularShape&, const double*, double*);

}  // namespace xgrad
