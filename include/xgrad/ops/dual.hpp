// Dual numbers: a value and its slope, which arithmetic and the functions of <cmath> carry along (forward
// mode). f(Dual<double>(x, 1)).slope is f'(x); a Dual of Duals has the second derivative.
//
// Functions are found as for numbers when their name is not qualified:
//
//     auto f = [](auto x) { using std::exp; return x * exp(-x); };
//
// Comparisons look at the value alone, so a branch has the slope of the side that is taken. At kinks: 0 for
// abs, halves for max and min of equal values. A slope of 0 times an infinite derivative is 0, so a constant
// does not become NaN where sqrt is infinitely steep.
#pragma once

#include <cmath>
#include <compare>
#include <numbers>
#include <type_traits>

namespace xgrad {

template <class T>
struct Dual;

namespace detail {

template <class T>
constexpr bool is_zero(const T& x) {
  return x == 0;
}
template <class T>
constexpr bool is_zero(const Dual<T>& x) {
  return is_zero(x.value) && is_zero(x.slope);
}
/// slope * derivative
template <class T>
constexpr T chain(const T& slope, const T& derivative) {
  return is_zero(slope) ? T(0) : slope * derivative;
}

}  // namespace detail

template <class T>
struct Dual {
  T value, slope;

  constexpr Dual(const T& v, const T& s) : value(v), slope(s) {}
  // A constant: implicit, so that it mixes with numbers.
  template <class Number>
    requires std::is_arithmetic_v<Number>
  constexpr Dual(Number number = 0) : value(static_cast<T>(number)), slope(0) {}
  constexpr Dual(const T& constant)
    requires(!std::is_arithmetic_v<T>)
      : value(constant), slope(0) {}

  friend constexpr Dual operator+(const Dual& a) { return a; }
  friend constexpr Dual operator-(const Dual& a) { return {-a.value, -a.slope}; }
  friend constexpr Dual operator+(const Dual& a, const Dual& b) {
    return {a.value + b.value, a.slope + b.slope};
  }
  friend constexpr Dual operator-(const Dual& a, const Dual& b) {
    return {a.value - b.value, a.slope - b.slope};
  }
  friend constexpr Dual operator*(const Dual& a, const Dual& b) {
    return {a.value * b.value, detail::chain(a.slope, b.value) + detail::chain(b.slope, a.value)};
  }
  friend constexpr Dual operator/(const Dual& a, const Dual& b) {
    const T quotient = a.value / b.value, change = a.slope - detail::chain(b.slope, quotient);
    return {quotient, detail::is_zero(change) ? T(0) : change / b.value};
  }
  constexpr Dual& operator+=(const Dual& b) { return *this = *this + b; }
  constexpr Dual& operator-=(const Dual& b) { return *this = *this - b; }
  constexpr Dual& operator*=(const Dual& b) { return *this = *this * b; }
  constexpr Dual& operator/=(const Dual& b) { return *this = *this / b; }

  friend constexpr bool operator==(const Dual& a, const Dual& b) { return a.value == b.value; }
  friend constexpr std::partial_ordering operator<=>(const Dual& a, const Dual& b) {
    return a.value <=> b.value;
  }
  friend constexpr Dual max(const Dual& a, const Dual& b) {
    return a == b ? (a + b) * Dual(0.5) : a < b ? b : a;
  }
  friend constexpr Dual min(const Dual& a, const Dual& b) {
    return a == b ? (a + b) * Dual(0.5) : b < a ? b : a;
  }

  /// The slope in the exponent is taken as 0 where a is 0.
  friend Dual pow(const Dual& a, const Dual& b) {
    using std::log, std::pow;
    const T y = pow(a.value, b.value);
    const T by_base = detail::is_zero(b.value) ? T(0) : b.value * pow(a.value, b.value - T(1));
    const T by_exponent = a.value == 0 ? T(0) : y * log(a.value);
    return {y, detail::chain(a.slope, by_base) + detail::chain(b.slope, by_exponent)};
  }
  /// The slopes of these two are 0 where both operands are.
  friend Dual hypot(const Dual& a, const Dual& b) {
    using std::hypot;
    const T r = hypot(a.value, b.value);
    if (r == 0) return {r, T(0)};
    return {r, detail::chain(a.slope, T(a.value / r)) + detail::chain(b.slope, T(b.value / r))};
  }
  friend Dual atan2(const Dual& a, const Dual& b) {
    using std::atan2, std::hypot;
    const T r = hypot(a.value, b.value), angle = atan2(a.value, b.value);
    if (r == 0) return {angle, T(0)};
    return {angle, detail::chain(a.slope, T(b.value / r / r)) - detail::chain(b.slope, T(a.value / r / r))};
  }
};

namespace detail::numbers {  // what the derivatives below call
using std::cos, std::cosh, std::exp, std::sin, std::sinh, std::sqrt;
}

/// fn(x) with its derivative, in terms of x and y = fn(x).
#define XGRAD_DUAL_FUNCTION(fn, derivative)            \
  template <class T>                                   \
  Dual<T> fn(const Dual<T>& d) {                       \
    using std::fn;                                     \
    using namespace detail::numbers;                   \
    [[maybe_unused]] const T x = d.value, y = fn(x);   \
    return {y, detail::chain(d.slope, T(derivative))}; \
  }
XGRAD_DUAL_FUNCTION(abs, x > 0 ? 1 : x < 0 ? -1 : 0)
XGRAD_DUAL_FUNCTION(fabs, x > 0 ? 1 : x < 0 ? -1 : 0)
XGRAD_DUAL_FUNCTION(floor, 0)
XGRAD_DUAL_FUNCTION(ceil, 0)
XGRAD_DUAL_FUNCTION(trunc, 0)
XGRAD_DUAL_FUNCTION(round, 0)
XGRAD_DUAL_FUNCTION(nearbyint, 0)
XGRAD_DUAL_FUNCTION(sqrt, T(0.5) / y)
XGRAD_DUAL_FUNCTION(cbrt, T(1) / (T(3) * y * y))
XGRAD_DUAL_FUNCTION(exp, y)
XGRAD_DUAL_FUNCTION(exp2, y* T(std::numbers::ln2))
XGRAD_DUAL_FUNCTION(expm1, exp(x))
XGRAD_DUAL_FUNCTION(log, T(1) / x)
XGRAD_DUAL_FUNCTION(log1p, T(1) / (T(1) + x))
XGRAD_DUAL_FUNCTION(log2, T(1) / (x * T(std::numbers::ln2)))
XGRAD_DUAL_FUNCTION(log10, T(1) / (x * T(std::numbers::ln10)))
XGRAD_DUAL_FUNCTION(sin, cos(x))
XGRAD_DUAL_FUNCTION(cos, -sin(x))
XGRAD_DUAL_FUNCTION(tan, T(1) + y * y)
XGRAD_DUAL_FUNCTION(asin, T(1) / sqrt((T(1) - x) * (T(1) + x)))
XGRAD_DUAL_FUNCTION(acos, T(-1) / sqrt((T(1) - x) * (T(1) + x)))
XGRAD_DUAL_FUNCTION(atan, T(1) / (T(1) + x * x))
XGRAD_DUAL_FUNCTION(sinh, cosh(x))
XGRAD_DUAL_FUNCTION(cosh, sinh(x))
XGRAD_DUAL_FUNCTION(tanh, T(1) - y * y)
XGRAD_DUAL_FUNCTION(asinh, T(1) / sqrt(x * x + T(1)))
XGRAD_DUAL_FUNCTION(acosh, T(1) / (sqrt(x - T(1)) * sqrt(x + T(1))))
XGRAD_DUAL_FUNCTION(atanh, T(1) / ((T(1) - x) * (T(1) + x)))
XGRAD_DUAL_FUNCTION(erf, T(2 * std::numbers::inv_sqrtpi) * exp(-x * x))
XGRAD_DUAL_FUNCTION(erfc, T(-2 * std::numbers::inv_sqrtpi) * exp(-x * x))
#undef XGRAD_DUAL_FUNCTION

template <class T>
bool isnan(const Dual<T>& x) {
  using std::isnan;
  return isnan(x.value);
}
template <class T>
bool isfinite(const Dual<T>& x) {
  using std::isfinite;
  return isfinite(x.value);
}

}  // namespace xgrad
