// Exponential, logarithmic, trigonometric and hyperbolic functions.
#pragma once

#include <numbers>

#include "lib/tensor/scalar.hpp"

// The functions of this file, for lib/tensor/functions.hpp: X(public name, struct).
#define XGRAD_TRANSCENDENTAL_FUNCTIONS(X) \
  X(exp, Exp)                             \
  X(expm1, Expm1)                         \
  X(log, Log)                             \
  X(log1p, Log1p)                         \
  X(log2, Log2)                           \
  X(sin, Sin)                             \
  X(cos, Cos)                             \
  X(tan, Tan)                             \
  X(asin, Asin)                           \
  X(acos, Acos)                           \
  X(atan, Atan)                           \
  X(sinh, Sinh)                           \
  X(cosh, Cosh)                           \
  X(tanh, HyperbolicTangent)

namespace xgrad::functions {

struct Exp {
  static constexpr const char* name = "exp";
  static constexpr int reads = kY;
  template <class T>
  T f(const T& x) const {
    return exp(x);
  }
  template <class T>
  T df_times(const T& u, const T&, const T& y) const {
    return multiply_no_nan(y, u);
  }
};

struct Expm1 {
  static constexpr const char* name = "expm1";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return select(x == T(0), x, expm1(x));  // -0 too
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return multiply_no_nan(exp(x), u);
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
    return xdivy(u, x);
  }
};

struct Log1p {
  static constexpr const char* name = "log1p";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return select(x == T(0), x, log1p(x));
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return xdivy(u, 1 + x);
  }
};

struct Log2 {
  static constexpr const char* name = "log2";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return log2(x);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return xdivy(u, number<T>(std::numbers::ln2) * x);
  }
};

struct Sin {
  static constexpr const char* name = "sin";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return sin(x);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return multiply_no_nan(cos(x), u);
  }
};

struct Cos {
  static constexpr const char* name = "cos";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return cos(x);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return multiply_no_nan(-sin(x), u);
  }
};

struct Tan {
  static constexpr const char* name = "tan";
  static constexpr int reads = kY;
  template <class T>
  T f(const T& x) const {
    return tan(x);
  }
  template <class T>
  T df_times(const T& u, const T&, const T& y) const {
    return multiply_no_nan(1 + y * y, u);
  }
};

struct Asin {
  static constexpr const char* name = "asin";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return asin(x);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return xdivy(u, sqrt((1 - x) * (1 + x)));
  }
};

struct Acos {
  static constexpr const char* name = "acos";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return acos(x);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return -xdivy(u, sqrt((1 - x) * (1 + x)));
  }
};

struct Atan {
  static constexpr const char* name = "atan";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return atan(x);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return xdivy(u, 1 + x * x);
  }
};

struct Sinh {
  static constexpr const char* name = "sinh";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return sinh(x);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return multiply_no_nan(cosh(x), u);
  }
};

struct Cosh {
  static constexpr const char* name = "cosh";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return cosh(x);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return multiply_no_nan(sinh(x), u);
  }
};

struct HyperbolicTangent {
  static constexpr const char* name = "tanh";
  static constexpr int reads = kY;
  template <class T>
  T f(const T& x) const {
    return tanh(x);
  }
  template <class T>
  T df_times(const T& u, const T&, const T& y) const {
    return multiply_no_nan(1 - y * y, u);
  }
};

}  // namespace xgrad::functions
