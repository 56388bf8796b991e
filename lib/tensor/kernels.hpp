// The vector kernels of the library, as a table of functions per element type. The code behind it
// (lib/tensor/kernels/) is compiled once per instruction set; the best one that the processor has is chosen
// when the table is first asked for.
//
// All pointers are to contiguous memory. A tensor [outer, n, inner] is reduced or normalised over n.
#pragma once

#include <cstdint>

#include "lib/tensor/functions.hpp"
#include "lib/tensor/sliding.hpp"
#include "xgrad/support/random.hpp"
#include "xgrad/tensor/view.hpp"

namespace xgrad::kernels {

/// The three ways two operands meet in an inner loop: vector and vector, vector and scalar, scalar and
/// vector.
enum Pairing { kVectorVector, kVectorScalar, kScalarVector };

inline constexpr std::int64_t kLargestPlaces = 64;

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

  void (*sum)(const T* x, Extents e, T* y, Write write);
  void (*max)(const T* x, Extents e, T* y, Write write);
  void (*min)(const T* x, Extents e, T* y, Write write);
  void (*logsumexp)(const T* x, Extents e, T* y, Write write);
  void (*softmax)(const T* x, Extents e, T* y, Write write);
  void (*log_softmax)(const T* x, Extents e, T* y, Write write);
  /// dx = y (u - sum(u y))
  void (*softmax_grad)(const T* u, const T* y, Extents e, T* dx, Write write);
  /// dx = u - exp(y) sum(u)
  void (*log_softmax_grad)(const T* u, const T* y, Extents e, T* dx, Write write);
  /// y = (x - mean) / sqrt(variance + eps) of a tensor [outer, n, inner], each of n by itself, for those in a
  /// range; when not centred, the mean is taken as 0.
  void (*normalize)(const T* x, Extents e, Range which, double eps, bool centred, T* y, Write write);
  /// Its derivative, from x.
  void (*normalize_grad)(const T* u, const T* x, Extents e, Range which, double eps, bool centred, T* dx,
                         Write write);
  /// Mean and variance of each of n, for those in a range.
  void (*moments)(const T* x, Extents e, Range which, T* mean, T* variance, Write write);
  /// Rows of places of a window over several channels of an image, as a matrix [channels window[0] window[1],
  /// rows places(1)]: a row of it holds one element of all windows, 0 in the margin.
  void (*im2col)(const T* image, const Images& channels, const Sliding& sliding, Places rows, T* columns);
  /// The transpose: adds every element of the matrix to the image's element that it came from.
  void (*col2im)(const T* columns, const Images& channels, const Sliding& sliding, Places rows, T* image);
  /// For up to kLargestPlaces places of a row, where the window's largest element is, counted in the image
  /// from the window's corner (which may be in the margin): the first of them, or the first NaN.
  void (*largest)(const T* image, const Images& channel, const Sliding& sliding, std::int64_t row,
                  Places places, std::int32_t* offsets);

  /// y = scale exp(x - shift)
  void (*exp_minus)(const T* x, T shift, T scale, T* y, std::int64_t n, Write write);
  /// y = x * scale where the number of the element is below the threshold, 0 elsewhere, for n elements from
  /// element `begin` on, a multiple of 64. Elements are numbered in groups of 64: number e of a group is word
  /// e / 16 of block e % 16 of the group's 16 Philox blocks.
  void (*dropout)(const T* x, T* y, std::int64_t begin, std::int64_t n, Key key, std::uint64_t threshold,
                  T scale, Write write);

  /// y = (x - min) / width
  void (*scale_bytes)(const std::uint8_t* x, T* y, std::int64_t n, T min, T width);

  /// w -= rate (g + decay w), with the gradient smoothed by v = momentum v + (g + decay w) when v is not
  /// null, and looked at from where v leads when nesterov.
  void (*sgd)(T* w, const T* g, T* v, std::int64_t n, T rate, T momentum, T decay, bool nesterov);
  /// Adam (Kingma and Ba 2015): m, v are the moments; rate and epsilon have the bias corrections in them.
  void (*adam)(T* w, const T* g, T* m, T* v, std::int64_t n, T rate, T beta1, T beta2, T epsilon, T decay);
};

/// The table for the processor at hand, or for the lesser one that XGRAD_ISA names. @throws Error for another
/// name.
template <class T>
const Table<T>& table();

/// `baseline`, `avx2` or `avx512`: which code runs.
const char* isa_name();

}  // namespace xgrad::kernels
