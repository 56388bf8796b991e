// Scalar functions, each written once: f(x) is the value, df(x, y) the derivative at x where y = f(x). With
// float or double they are scalar code, with an xsimd batch the vector kernel, and df with Var is the formula
// that is recorded when the gradient itself is to be differentiated.
//
// A function says what df reads (kX, kY), or that its derivative is zero (kZero); it may carry attributes.
// The lists at the end are the registry: an entry there makes the kernels, the op and the public function.
#pragma once

#include <type_traits>

#include "lib/tensor/scalar.hpp"

namespace xgrad::functions {

enum DerivativeReads { kNone = 0, kX = 1, kY = 2, kXY = 3, kZero = 4 };

struct Neg {
  static constexpr const char* name = "neg";
  static constexpr int reads = kNone;
  template <class T>
  T f(const T& x) const {
    return T(-0.0) - x;  // the batches' own minus turns 0 into 0
  }
  template <class T>
  T df_times(const T& u, const T&, const T&) const {
    return -u;
  }
};

struct Exp {
  static constexpr const char* name = "exp";
  static constexpr int reads = kY;
  template <class T>
  T f(const T& x) const {
    return exp(x);
  }
  template <class T>
  T df_times(const T& u, const T&, const T& y) const {
    return cotangent_mul(u, y);
  }
};

struct Log {
  static constexpr const char* name = "log";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return log(x);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return cotangent_div(u, x);
  }
};

struct Sqrt {
  static constexpr const char* name = "sqrt";
  static constexpr int reads = kY;
  template <class T>
  T f(const T& x) const {
    return sqrt(x);
  }
  template <class T>
  T df_times(const T& u, const T&, const T& y) const {
    return cotangent_div(u, y + y);
  }
};

struct Square {
  static constexpr const char* name = "square";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return x * x;
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return cotangent_mul(u, x + x);
  }
};

struct Abs {
  static constexpr const char* name = "abs";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return abs(x);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return cotangent_mul(u, sign(x));
  }
};

struct Sign {
  static constexpr const char* name = "sign";
  static constexpr int reads = kZero;
  template <class T>
  T f(const T& x) const {
    return sign(x);
  }
};

struct Step {
  static constexpr const char* name = "step";
  static constexpr int reads = kZero;
  template <class T>
  T f(const T& x) const {
    return step(x);
  }
};

struct Sigmoid {
  static constexpr const char* name = "sigmoid";
  static constexpr int reads = kY;
  template <class T>
  T f(const T& x) const {
    return T(1) / (T(1) + exp(-x));
  }
  template <class T>
  T df_times(const T& u, const T&, const T& y) const {
    return cotangent_mul(u, y - y * y);
  }
};

struct Tanh {
  static constexpr const char* name = "tanh";
  static constexpr int reads = kY;
  template <class T>
  T f(const T& x) const {
    return tanh(x);
  }
  template <class T>
  T df_times(const T& u, const T&, const T& y) const {
    return cotangent_mul(u, 1 - y * y);
  }
};

struct Relu {
  static constexpr const char* name = "relu";
  static constexpr int reads = kY;
  template <class T>
  T f(const T& x) const {
    return select(x > T(0), x, select(x == x, T(0), x));
  }
  template <class T>
  T df_times(const T& u, const T&, const T& y) const {
    return u * step(y);
  }
};

struct Clamp {
  static constexpr const char* name = "clamp";
  static constexpr int reads = kX;
  double low, high;
  template <class T>
  T f(const T& x) const {
    return select(x < T(low), T(low), select(x > T(high), T(high), x));
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return u * in_range(x, low, high);
  }
};

struct InRange {
  static constexpr const char* name = "in_range";
  static constexpr int reads = kZero;
  double low, high;
  template <class T>
  T f(const T& x) const {
    return in_range(x, low, high);
  }
};

// Functions of two numbers. Their derivatives are formulas over Vars, next to the ops.

struct Add {
  static constexpr const char* name = "add";
  template <class T>
  static T f(const T& x, const T& y) {
    return x + y;
  }
};
struct Sub {
  static constexpr const char* name = "sub";
  template <class T>
  static T f(const T& x, const T& y) {
    return x - y;
  }
};
struct Mul {
  static constexpr const char* name = "mul";
  template <class T>
  static T f(const T& x, const T& y) {
    return x * y;
  }
};
struct Div {
  static constexpr const char* name = "div";
  template <class T>
  static T f(const T& x, const T& y) {
    return x / y;
  }
};
struct Maximum {
  static constexpr const char* name = "maximum";
  template <class T>
  static T f(const T& x, const T& y) {
    return select(x > y, x, select(x == x, y, x));
  }
};
struct Minimum {
  static constexpr const char* name = "minimum";
  template <class T>
  static T f(const T& x, const T& y) {
    return select(x < y, x, select(x == x, y, x));
  }
};
struct CotangentMul {
  static constexpr const char* name = "cotangent_mul";
  template <class T>
  static T f(const T& u, const T& x) {
    return cotangent_mul(u, x);
  }
};
struct CotangentDiv {
  static constexpr const char* name = "cotangent_div";
  template <class T>
  static T f(const T& u, const T& x) {
    return cotangent_div(u, x);
  }
};
struct Pow {
  static constexpr const char* name = "pow";
  template <class T>
  static T f(const T& x, const T& y) {
    return exact_pow(x, y);
  }
};

// The registry of elementwise functions: X(public name, function).
#define XGRAD_UNARY_FUNCTIONS(X) \
  X(neg, Neg)                    \
  X(exp, Exp)                    \
  X(log, Log)                    \
  X(sqrt, Sqrt)                  \
  X(square, Square)              \
  X(abs, Abs)                    \
  X(sign, Sign)                  \
  X(step, Step)                  \
  X(sigmoid, Sigmoid)            \
  X(tanh, Tanh)                  \
  X(relu, Relu)
#define XGRAD_UNARY_FUNCTIONS_WITH_ATTRIBUTES(X) \
  X(clamp, Clamp)                                \
  X(in_range, InRange)
#define XGRAD_BINARY_FUNCTIONS(X) \
  X(add, Add)                     \
  X(sub, Sub)                     \
  X(mul, Mul)                     \
  X(div, Div)                     \
  X(maximum, Maximum)             \
  X(minimum, Minimum)             \
  X(pow, Pow)                     \
  X(cotangent_mul, CotangentMul)  \
  X(cotangent_div, CotangentDiv)

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
using UnaryList = List<XGRAD_UNARY_FUNCTIONS(XGRAD_LIST_ENTRY)
                           XGRAD_UNARY_FUNCTIONS_WITH_ATTRIBUTES(XGRAD_LIST_ENTRY) void>;
using BinaryList = List<XGRAD_BINARY_FUNCTIONS(XGRAD_LIST_ENTRY) void>;
#undef XGRAD_LIST_ENTRY

}  // namespace xgrad::functions
