// Functions of two numbers. Their derivatives are formulas over Vars, next to the ops.
#pragma once

#include "lib/tensor/scalar.hpp"

// The functions of this file, for lib/tensor/functions.hpp: X(public name, struct).
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

namespace xgrad::functions {

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
struct CotangentProduct {
  static constexpr const char* name = "cotangent_product";
  template <class T>
  static T f(const T& u, const T& v) {
    return select(v == T(0), v, cotangent_mul(u, v));
  }
};
struct Pow {
  static constexpr const char* name = "pow";
  template <class T>
  static T f(const T& x, const T& y) {
    return lanewise([](auto a, auto b) { return std::pow(a, b); }, x, y);
  }
};
struct Atan2 {
  static constexpr const char* name = "atan2";
  template <class T>
  static T f(const T& y, const T& x) {
    return lanewise([](auto a, auto b) { return std::atan2(a, b); }, y, x);
  }
};
struct Hypot {
  static constexpr const char* name = "hypot";
  template <class T>
  static T f(const T& x, const T& y) {
    return lanewise([](auto a, auto b) { return std::hypot(a, b); }, x, y);
  }
};

}  // namespace xgrad::functions
