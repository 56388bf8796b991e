// Functions made of arithmetic, comparisons and roots.
#pragma once

#include "lib/tensor/scalar.hpp"

// The functions of this file, for lib/tensor/functions.hpp: X(public name, struct).
#define XGRAD_ARITHMETIC_FUNCTIONS(X) \
  X(neg, Neg)                         \
  X(square, Square)                   \
  X(abs, Abs)                         \
  X(sign, Sign)                       \
  X(step, Step)                       \
  X(floor, Floor)                     \
  X(ceil, Ceil)                       \
  X(round, Round)                     \
  X(sqrt, Sqrt)                       \
  X(rsqrt, Rsqrt)
#define XGRAD_ARITHMETIC_FUNCTIONS_WITH_ATTRIBUTES(X) \
  X(clamp, Clamp)                                     \
  X(in_range, InRange)

namespace xgrad::functions {

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

struct Floor {
  static constexpr const char* name = "floor";
  static constexpr int reads = kZero;
  template <class T>
  T f(const T& x) const {
    return floor(x);
  }
};

struct Ceil {
  static constexpr const char* name = "ceil";
  static constexpr int reads = kZero;
  template <class T>
  T f(const T& x) const {
    return ceil(x);
  }
};

struct Round {
  static constexpr const char* name = "round";
  static constexpr int reads = kZero;
  template <class T>
  T f(const T& x) const {
    return nearbyint(x);  // half to even
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

struct Rsqrt {
  static constexpr const char* name = "rsqrt";
  static constexpr int reads = kY;
  template <class T>
  T f(const T& x) const {
    return 1 / sqrt(x);
  }
  template <class T>
  T df_times(const T& u, const T&, const T& y) const {
    return cotangent_mul(u, number<T>(-0.5) * (y * y * y));
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
  void describe(auto& out) const { out << low << ", " << high; }
};

struct InRange {
  static constexpr const char* name = "in_range";
  static constexpr int reads = kZero;
  double low, high;
  template <class T>
  T f(const T& x) const {
    return in_range(x, low, high);
  }
  void describe(auto& out) const { out << low << ", " << high; }
};

}  // namespace xgrad::functions
