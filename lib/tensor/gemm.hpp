// The only door to BLAS: C = alpha op(A) op(B) + beta C for row-major matrices.
#pragma once

#include <cstdint>

namespace xgrad {

/// Sizes of a product: op(A) is [m, k], op(B) is [k, n], C is [m, n]; op transposes where the flag says so,
/// so that A is stored [k, m], B [n, k]. A stride is the distance from one row of a stored matrix to the
/// next; 0 stands for the length of a row.
struct GemmShape {
  std::int64_t m, n, k;
  bool transpose_a = false, transpose_b = false;
  std::int64_t stride_a = 0, stride_b = 0, stride_c = 0;
};

/// Empty ones are allowed: with k = 0 the product is zero.
/// @throws Error when an extent is beyond the BLAS's integers.
void gemm(const GemmShape& shape, float alpha, const float* a, const float* b, float beta, float* c);
void gemm(const GemmShape& shape, double alpha, const double* a, const double* b, double beta, double* c);

}  // namespace xgrad
