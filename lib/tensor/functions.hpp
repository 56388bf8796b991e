// Scalar functions, each written once: f(x) is the value, df_times(u, x, y) is the cotangent u times the
// derivative at x, where y = f(x). They take float, double, an xsimd batch (the vector kernels) and, df_times
// alone, Var: that is the formula recorded when the gradient itself is to be differentiated.
//
// `reads` names the values that df_times reads (kX, kY), or is kZero where the derivative is zero. A function
// may have attributes, which `describe` prints. A function is a struct in functions/*.hpp and an entry in the
// list of the same file: the entry makes its kernels, its op and, without attributes, its public function.
#pragma once

#include <type_traits>

#include "lib/tensor/functions/activation.hpp"
#include "lib/tensor/functions/arithmetic.hpp"
#include "lib/tensor/functions/binary.hpp"
#include "lib/tensor/functions/special.hpp"
#include "lib/tensor/functions/transcendental.hpp"

// The public functions of one operand that xgrad/ops/elementwise.hpp declares; XGRAD_ACTIVATIONS are those of
// xgrad/ops/activation.hpp.
#define XGRAD_UNARY_FUNCTIONS(X)    \
  XGRAD_ARITHMETIC_FUNCTIONS(X)     \
  XGRAD_TRANSCENDENTAL_FUNCTIONS(X) \
  XGRAD_SPECIAL_FUNCTIONS(X)
#define XGRAD_UNARY_FUNCTIONS_WITH_ATTRIBUTES(X) \
  XGRAD_ARITHMETIC_FUNCTIONS_WITH_ATTRIBUTES(X)  \
  XGRAD_SPECIAL_FUNCTIONS_WITH_ATTRIBUTES(X)
#define XGRAD_ALL_UNARY_FUNCTIONS(X)       \
  XGRAD_UNARY_FUNCTIONS(X)                 \
  XGRAD_UNARY_FUNCTIONS_WITH_ATTRIBUTES(X) \
  XGRAD_ACTIVATIONS(X)                     \
  XGRAD_ACTIVATIONS_WITH_ATTRIBUTES(X)

namespace xgrad::functions {

template <class... F>
struct List {
  static constexpr int size = sizeof...(F) - 1;  // the last entry is a full stop
  template <class G>
  static constexpr int index_of() {
    int index = 0;
    (void)((std::is_same_v<F, G> || (++index, false)) || ...);
    return index;
  }
};

#define XGRAD_LIST_ENTRY(fn, F) F,
using UnaryList = List<XGRAD_ALL_UNARY_FUNCTIONS(XGRAD_LIST_ENTRY) void>;
using BinaryList = List<XGRAD_BINARY_FUNCTIONS(XGRAD_LIST_ENTRY) void>;
#undef XGRAD_LIST_ENTRY

}  // namespace xgrad::functions
