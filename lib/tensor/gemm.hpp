// Products and triangular systems of row-major matrices. No other file calls BLAS.
#pragma once

#include <cstdint>
#include <type_traits>

#include "lib/tensor/strided.hpp"

namespace xgrad {

/// Sizes of a product: op(A) is [m, k], op(B) is [k, n], C is [m, n]. With transpose_a op transposes A, which
/// is stored as [k, m]; with transpose_b B, stored as [n, k]. A stride is the distance from one row of a
/// stored matrix to the next; 0 stands for the length of a row.
struct GemmShape {
  std::int64_t m, n, k;
  bool transpose_a = false, transpose_b = false;
  std::int64_t stride_a = 0, stride_b = 0, stride_c = 0;

  double flops() const {
    return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  }
};

/// A batch of products of one size: a loop nest whose strides are the distances, in elements, from one A, B
/// and C to the next along each axis of the batch. A stride of 0 repeats a matrix; no two C may overlap. By
/// default a batch is one product.
using GemmBatch = LoopNest<3>;

/// C = alpha op(A) op(B) + beta C, for each product of the batch, on the library's threads; T is float or
/// double. Empty matrices and batches are allowed: with k = 0 the product is zero. The bits of a product
/// depend on its size alone, neither on the number of threads nor on the batch.
/// @throws Error when an extent is beyond the BLAS's integers.
template <class T>
void gemm(const GemmShape& shape, T alpha, std::type_identity_t<const T*> a, std::type_identity_t<const T*> b,
          std::type_identity_t<T> beta, T* c, const GemmBatch& batch = {});

/// A triangular system: op(A) X = B, or X op(A) = B with `right`. B is [m, n]; A is square, of the order that
/// fits, and only one triangle of it is read. A unit diagonal is taken as 1 and not read.
struct TriangularShape {
  std::int64_t m, n;
  bool upper = false, transpose = false, unit_diagonal = false, right = false;
};

/// Solves the system in place of b. A zero on the diagonal gives infinities and NaNs.
/// @throws Error as gemm does.
template <class T>
void trsm(const TriangularShape& shape, const T* a, T* b);

}  // namespace xgrad
