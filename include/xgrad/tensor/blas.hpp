// Which BLAS does the matrix products, and with which kernels.
#pragma once

#include <string>

namespace xgrad {

/// What is known about the BLAS in use. Built with XGRAD_GEMM=onednn, float32 products go to oneDNN; with
/// XGRAD_GEMM=cblas, products and triangular systems to another CBLAS, which must work on one thread.
struct BlasInfo {
  std::string library;      ///< `OpenBLAS 0.3.21`, or `BLAS` when it does not say
  std::string core;         ///< the kernels in use, `SkylakeX`; empty when it does not say
  std::string chosen_core;  ///< what the library had picked before xgrad repaired it; empty when it did not
  std::string products;  ///< `oneDNN 2.6.3`, where the build has given products to another library, or empty
};

/// Readies the BLAS on first use. OpenBLAS before 0.3.25 picks its SSE3 kernels on processors newer than
/// itself, which is four to six times slower: xgrad then has it choose again, unless OPENBLAS_CORETYPE is set
/// or XGRAD_REPAIR_BLAS is 0, and checks a product afterwards. It also sets OpenBLAS to one thread: xgrad
/// cuts the work itself. Called by the first matrix product; call it earlier to have it done before threads
/// start.
const BlasInfo& blas_info();

/// One line for reports: `OpenBLAS 0.3.21, core SkylakeX (repaired, it had picked Prescott)`, and
/// before it, where there is one, `products by oneDNN 2.6.3; `.
std::string blas_summary();

/// The instruction set of the library's own kernels: `baseline`, `avx2` or `avx512`.
const char* kernel_isa();

}  // namespace xgrad
