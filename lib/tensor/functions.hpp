// Scalar functions, each written once: f(x) is the value, df_times(u, x, y) a cotangent u times the
// derivative at x where y = f(x). With float or double they are scalar code, with an xsimd batch the vector
// kernel, and df_times with Var is the formula that is recorded when the gradient itself is to be
// differentiated.
//
// A function says what df_times reads (kX, kY), or that its derivative is zero (kZero); it may carry
// attributes, which `describe` prints. The functions are in functions/*.hpp. The lists here are the registry:
// an entry makes the kernels and the op, and where there are no attributes the public function too.
#pragma once

#include <type_traits>

#include "lib/tensor/functions/activation.hpp"
#include "lib/tensor/functions/arithmetic.hpp"
#include "lib/tensor/functions/binary.hpp"
#include "lib/tensor/functions/special.hpp"
#include "lib/tensor/functions/transcendental.hpp"

// X(public name, function), by the header that declares them: xgrad/ops/elementwise.hpp, activation.hpp.
#define XGRAD_UNARY_FUNCTIONS(X) \
  X(neg, Neg)                    \
  X(square, Square)              \
  X(abs, Abs)                    \
  X(sign, Sign)                  \
  X(step, Step)                  \
  X(floor, Floor)                \
  X(ceil, Ceil)                  \
  X(round, Round)                \
  X(sqrt, Sqrt)                  \
  X(rsqrt, Rsqrt)                \
  X(exp, Exp)                    \
  X(expm1, Expm1)                \
  X(log, Log)                    \
  X(log1p, Log1p)                \
  X(log2, Log2)                  \
  X(sin, Sin)                    \
  X(cos, Cos)                    \
  X(tan, Tan)                    \
  X(asin, Asin)                  \
  X(acos, Acos)                  \
  X(atan, Atan)                  \
  X(sinh, Sinh)                  \
  X(cosh, Cosh)                  \
  X(tanh, Tanh)                  \
  X(erf, Erf)                    \
  X(erfc, Erfc)                  \
  X(lgamma, Lgamma)              \
  X(digamma, Digamma)
#define XGRAD_UNARY_FUNCTIONS_WITH_ATTRIBUTES(X) \
  X(clamp, Clamp)                                \
  X(in_range, InRange)                           \
  X(polygamma, Polygamma)
#define XGRAD_ACTIVATIONS(X) \
  X(relu, Relu)              \
  X(selu, Selu)              \
  X(sigmoid, Sigmoid)        \
  X(log_sigmoid, LogSigmoid) \
  X(silu, Silu)              \
  X(mish, Mish)
#define XGRAD_ACTIVATIONS_WITH_ATTRIBUTES(X) \
  X(leaky_relu, LeakyRelu)                   \
  X(elu, Elu)                                \
  X(softplus, Softplus)                      \
  X(gelu, Gelu)                              \
  X(gelu, GeluTanh)
#define XGRAD_BINARY_FUNCTIONS(X) \
  X(add, Add)                     \
  X(sub, Sub)                     \
  X(mul, Mul)                     \
  X(div, Div)                     \
  X(maximum, Maximum)             \
  X(minimum, Minimum)             \
  X(pow, Pow)                     \
  X(atan2, Atan2)                 \
  X(hypot, Hypot)                 \
  X(cotangent_mul, CotangentMul)  \
  X(cotangent_div, CotangentDiv)  \
  X(cotangent_product, CotangentProduct)

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
