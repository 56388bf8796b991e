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
    return cotangent_mul(u, y);
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
    return cotangent_mul(u, exp(x));
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

struct Log1p {
  static constexpr const char* name = "log1p";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return select(x == T(0), x, log1p(x));
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return cotangent_div(u, 1 + x);
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
    return cotangent_div(u, number<T>(std::numbers::ln2) * x);
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
    return cotangent_mul(u, cos(x));
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
    return cotangent_mul(u, -sin(x));
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
    return cotangent_mul(u, 1 + y * y);
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
    return cotangent_div(u, sqrt((1 - x) * (1 + x)));
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
    return -cotangent_div(u, sqrt((1 - x) * (1 + x)));
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
    return cotangent_div(u, 1 + x * x);
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
    return cotangent_mul(u, cosh(x));
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
    return cotangent_mul(u, sinh(x));
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
    return cotangent_mul(u, 1 - y * y);
  }
};

}  // namespace xgrad::functions
