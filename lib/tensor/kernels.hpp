// The vector kernels of the library, as a table of functions per element type. The code behind it
// (lib/tensor/kernels/) is compiled once per instruction set; the best one that the processor has is chosen
// when the table is first asked for. All pointers are to contiguous memory.
#pragma once

#include <cstdint>

#include "lib/tensor/functions.hpp"
#include "lib/tensor/window.hpp"
#include "xgrad/support/random.hpp"
#include "xgrad/tensor/view.hpp"

namespace xgrad::kernels {

/// The three ways two operands meet in an inner loop: vector and vector, vector and scalar, scalar and
/// vector.
enum Pairing { kVectorVector, kVectorScalar, kScalarVector };

inline constexpr std::int64_t kLargestPositions = 64;

/// A piece of a larger tensor has a step, from one of n to the next, of more than inner.
struct Extents {
  std::int64_t outer, n, inner;
  std::int64_t piece_step = 0;

  std::int64_t step() const { return piece_step ? piece_step : inner; }
};

struct Range {
  std::int64_t begin, count;
};

template <class T>
struct Table {
  using Unary = void (*)(const void* f, const T* x, T* y, std::int64_t n, Write write);
  using UnaryGrad = void (*)(const void* f, const T* u, const T* x, const T* y, T* dx, std::int64_t n,
                             Write write);
  using Binary = void (*)(const T* x, const T* y, T* z, std::int64_t n, Write write);

  Unary unary[functions::UnaryList::size];
  /// dx = u * df(x, y); null where the derivative is zero.
  UnaryGrad unary_grad[functions::UnaryList::size];
  Binary binary[functions::BinaryList::size][3];

#define XGRAD_KERNEL(name, parameters) void(*name) parameters;
#include "lib/tensor/kernels/list.inc"
#undef XGRAD_KERNEL
};

/// The table for the processor at hand, or for the lesser one that XGRAD_ISA names. @throws Error for another
/// name.
template <class T>
const Table<T>& table();

/// `baseline`, `avx2` or `avx512`: which code runs.
const char* isa_name();

}  // namespace xgrad::kernels
