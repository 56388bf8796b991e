// The BLAS that computes the matrix products, and its kernels.
#pragma once

#include <string>

namespace xgrad {

/// What is known about the BLAS in use. A build with XGRAD_GEMM=onednn computes float32 products by oneDNN,
/// one with XGRAD_GEMM=cblas products and triangular systems by another CBLAS, which must run on one thread.
struct BlasInfo {
  std::string library;      ///< `OpenBLAS 0.3.21`, or `BLAS` when unknown
  std::string core;         ///< the kernels in use, `SkylakeX`; empty when unknown
  std::string chosen_core;  ///< the library's own choice, where xgrad replaced it; else empty
  std::string products;     ///< `oneDNN 2.6.3`, where another library computes products; else empty
};

/// Prepares the BLAS, once. OpenBLAS before 0.3.25 picks its SSE3 kernels on processors newer than itself,
/// which are four to six times slower: xgrad then makes it choose again, unless OPENBLAS_CORETYPE is set or
/// XGRAD_REPAIR_BLAS is 0, and checks a product afterwards. It also sets OpenBLAS to one thread, because
/// xgrad cuts the work itself. The first matrix product calls this; a program may call it earlier, before it
/// starts threads.
const BlasInfo& blas_info();

/// One line for reports: `OpenBLAS 0.3.21, core SkylakeX (repaired, it had picked Prescott)`, preceded by
/// `products by oneDNN 2.6.3; ` where another library computes products.
std::string blas_summary();

/// The instruction set of the library's own kernels: `baseline`, `avx2` or `avx512`.
const char* kernel_isa();

}  // namespace xgrad
