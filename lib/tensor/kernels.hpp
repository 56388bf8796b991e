// The vector kernels of the library, as a table of functions for each element type. Their code
// (lib/tensor/kernels/) is compiled once per instruction set; the first use of a table chooses the best one
// that the processor has. All pointers are to contiguous memory.
#pragma once

#include <cstdint>

#include "lib/tensor/functions.hpp"
#include "lib/tensor/window.hpp"
#include "xgrad/support/random.hpp"
#include "xgrad/tensor/view.hpp"

namespace xgrad::kernels {

/// The operands of a binary inner loop: vector and vector, vector and scalar, scalar and vector.
enum Pairing { kVectorVector, kVectorScalar, kScalarVector };

/// The most positions of one call of `largest`.
inline constexpr std::int64_t kLargestPositions = 64;

/// A tensor [outer, n, inner], or a block of a larger one, which has a step along n of its own.
struct Extents {
  std::int64_t outer, n, inner;
  std::int64_t block_step = 0;

  /// The distance from one index along n to the next.
  std::int64_t step() const { return block_step ? block_step : inner; }
};

/// Indices begin to begin + count.
struct Range {
  std::int64_t begin, count;
};

/// The kernels for T. Those of a scalar function take the function's object, f; the derivative's computes
/// dx = u df(x, y) and is null where the derivative is zero.
template <class T>
struct Table {
  using UnaryKernel = void (*)(const void* f, const T* x, T* y, std::int64_t n, Write write);
  using UnaryGradKernel = void (*)(const void* f, const T* u, const T* x, const T* y, T* dx, std::int64_t n,
                                   Write write);
  using BinaryKernel = void (*)(const T* x, const T* y, T* z, std::int64_t n, Write write);

  UnaryKernel unary[functions::UnaryList::size];
  UnaryGradKernel unary_grad[functions::UnaryList::size];
  BinaryKernel binary[functions::BinaryList::size][3];

#define XGRAD_KERNEL(name, parameters) void(*name) parameters;  // NOLINT(bugprone-macro-parentheses)
#include "lib/tensor/kernels/list.inc"
#undef XGRAD_KERNEL
};

/// The kernels for this processor, or for the lesser one that XGRAD_ISA names. @throws Error for another
/// name.
template <class T>
const Table<T>& table();

/// The instruction set in use: `baseline`, `avx2` or `avx512`.
const char* isa_name();

}  // namespace xgrad::kernels
