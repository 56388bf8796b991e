// The building blocks of scalar functions, for plain numbers. Batches and Vars have their own under the same
// names.
#pragma once

#include <cmath>
#include <concepts>

namespace xgrad::functions {

/// Which values the derivative of a function reads.
enum DerivativeReads { kNone = 0, kX = 1, kY = 2, kXY = 3, kZero = 4 };

template <class T>
concept Batched = requires { typename T::arch_type; };
/// A number or a batch of numbers. Other arguments of scalar functions are Vars.
template <class T>
concept Numeric = std::floating_point<T> || Batched<T>;

/// A constant in an expression of T.
template <class T>
constexpr auto number(double value) {
  if constexpr (std::floating_point<T>) {
    return static_cast<T>(value);
  } else if constexpr (Batched<T>) {
    return T(static_cast<typename T::value_type>(value));
  } else {
    return value;
  }
}

template <std::floating_point T>
T select(bool condition, T a, T b) {
  return condition ? a : b;
}
template <std::floating_point T>
T step(T x) {
  return x > 0 ? T(1) : T(0);
}
template <std::floating_point T>
T sign(T x) {
  return x > 0 ? T(1) : x < 0 ? T(-1) : x;  // 0, -0 and NaN give themselves
}
template <std::floating_point T>
T in_range(T x, double low, double high) {
  return x >= T(low) && x <= T(high) ? T(1) : T(0);
}
/// f(x...) for numbers; batches apply f to each lane, where vector code would be inexact.
template <class F, std::floating_point... T>
auto lanewise(F f, T... x) {
  return f(x...);
}

// u d and u / d for a cotangent u, but 0 where u is 0, whatever d is: nothing infinite or NaN comes back from
// a branch that `where` did not take. For Vars they are the ops of these names.
template <Numeric T>
T cotangent_mul(const T& u, const T& d) {
  return select(u == T(0), u, u * d);
}
template <Numeric T>
T cotangent_div(const T& u, const T& d) {
  return select(u == T(0), u, u / d);
}

// These names are found by argument-dependent lookup for batches and Vars, here for plain numbers.
using std::abs;
using std::acos;
using std::asin;
using std::atan;
using std::ceil;
using std::cos;
using std::cosh;
using std::exp;
using std::expm1;
using std::floor;
using std::log;
using std::log1p;
using std::log2;
using std::nearbyint;
using std::sin;
using std::sinh;
using std::sqrt;
using std::tan;
using std::tanh;

// For numbers and batches alike; Vars have ops of these names.
template <Numeric T>
T if_positive(const T& x, const T& a, const T& b) {
  return select(x > T(0), a, b);
}
template <Numeric T>
T sigmoid(const T& x) {
  return T(1) / (T(1) + exp(-x));
}
/// log(1 + exp(x))
template <Numeric T>
T softplus(const T& x) {
  return select(x > T(0), x, T(0)) + log1p(exp(-abs(x)));
}
template <class T>
T exact_erfc(const T& x) {
  if constexpr (Numeric<T>) {
    return lanewise([](auto v) { return std::erfc(v); }, x);
  } else {
    return erfc(x);
  }
}

}  // namespace xgrad::functions
