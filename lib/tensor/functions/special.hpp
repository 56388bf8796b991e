// The error function and the gamma function's relatives.
#pragma once

#include <numbers>

#include "lib/tensor/scalar.hpp"
#include "lib/tensor/special.hpp"

// The functions of this file, for lib/tensor/functions.hpp: X(public name, struct).
#define XGRAD_SPECIAL_FUNCTIONS(X) \
  X(erf, Erf)                      \
  X(erfc, Erfc)                    \
  X(lgamma, Lgamma)                \
  X(digamma, Digamma)
#define XGRAD_SPECIAL_FUNCTIONS_WITH_ATTRIBUTES(X) X(polygamma, Polygamma)

namespace xgrad::functions {

// For numbers and batches; Vars have ops of these names.
template <Numeric T>
T digamma(const T& x) {
  return lanewise([](auto v) { return static_cast<decltype(v)>(special::digamma(v)); }, x);
}
template <Numeric T>
T polygamma(int n, const T& x) {
  return lanewise([n](auto v) { return static_cast<decltype(v)>(special::polygamma(n, v)); }, x);
}

struct Erf {
  static constexpr const char* name = "erf";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return lanewise([](auto v) { return std::erf(v); }, x);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return cotangent_mul(u, number<T>(2 * std::numbers::inv_sqrtpi) * exp(-x * x));
  }
};

struct Erfc {
  static constexpr const char* name = "erfc";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return exact_erfc(x);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return cotangent_mul(u, number<T>(-2 * std::numbers::inv_sqrtpi) * exp(-x * x));
  }
};

struct Lgamma {
  static constexpr const char* name = "lgamma";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return lanewise([](auto v) { return static_cast<decltype(v)>(special::lgamma(v)); }, x);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return cotangent_mul(u, digamma(x));
  }
};

struct Digamma {
  static constexpr const char* name = "digamma";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return digamma(x);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return cotangent_mul(u, polygamma(1, x));
  }
};

struct Polygamma {
  static constexpr const char* name = "polygamma";
  static constexpr int reads = kX;
  int n;
  template <class T>
  T f(const T& x) const {
    return polygamma(n, x);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return cotangent_mul(u, polygamma(n + 1, x));
  }
  void describe(auto& out) const { out << "n=" << n; }
};

}  // namespace xgrad::functions
