// Ops that work element by element, with NumPy's broadcasting.
//
// Derivatives at kinks are the minimum-norm subgradient, abs'(0) = 0; ties of maximum and minimum share the
// cotangent in halves. Outside a function's domain the result is IEEE's: sqrt(-1) and log(-1) are NaN, log(0)
// is -inf, x / 0 is infinite.
//
// All throw DTypeError unless the operands have one floating dtype, and ShapeError when they do not
// broadcast.
#pragma once

#include "xgrad/tape/var.hpp"

namespace xgrad {

/// x + y
Var add(const Var& x, const Var& y);
/// x - y
Var sub(const Var& x, const Var& y);
/// x y
Var mul(const Var& x, const Var& y);
/// x / y. Domain: y is not 0.
Var div(const Var& x, const Var& y);
/// x to the power of y, as std::pow. Domain: x >= 0, and x < 0 with whole y. At kinks: d/dy is taken as 0
/// where x = 0, and NaN where x < 0.
Var pow(const Var& x, const Var& y);
Var pow(const Var& x, double y);
/// The larger and the smaller of two; NaN when either is NaN. At kinks: ties share in halves; where the
/// result is NaN, both get the cotangent.
Var maximum(const Var& x, const Var& y);
Var minimum(const Var& x, const Var& y);

/// sqrt(x^2 + y^2), without overflow on the way. At kinks: both derivatives are 0 where x = y = 0.
Var hypot(const Var& x, const Var& y);
/// The angle of the point (x, y) to the x axis, in [-pi, pi]. At kinks: both derivatives are 0 where
/// x = y = 0.
Var atan2(const Var& y, const Var& x);

/// -x
Var neg(const Var& x);
/// The square root. Domain: x >= 0.
Var sqrt(const Var& x);
/// 1 / sqrt(x). Domain: x > 0.
Var rsqrt(const Var& x);
/// 1 / x. Domain: x is not 0.
Var reciprocal(const Var& x);
/// x x
Var square(const Var& x);
/// |x|. At kinks: 0 at 0.
Var abs(const Var& x);
/// The whole number below, above, and the nearest one, half to even. Their derivative is zero.
Var floor(const Var& x);
Var ceil(const Var& x);
Var round(const Var& x);
/// -1, 0 or 1. Its derivative is zero.
Var sign(const Var& x);
/// 1 where x > 0, 0 elsewhere. Its derivative is zero.
Var step(const Var& x);
/// x limited to [low, high]. At kinks: 1 at the limits. @throws Error when low > high.
Var clamp(const Var& x, double low, double high);
/// 1 where low <= x <= high, 0 elsewhere. Its derivative is zero.
Var in_range(const Var& x, double low, double high);

/// e to the power of x.
Var exp(const Var& x);
/// exp(x) - 1, exact for small x.
Var expm1(const Var& x);
/// The natural logarithm. Domain: x > 0.
Var log(const Var& x);
/// log(1 + x), exact for small x. Domain: x > -1.
Var log1p(const Var& x);
/// The logarithm to the base of 2. Domain: x > 0.
Var log2(const Var& x);

/// The trigonometric functions, of angles in radians.
Var sin(const Var& x);
Var cos(const Var& x);
Var tan(const Var& x);
/// Their inverses; the derivatives are infinite at -1 and 1. Domain: -1 <= x <= 1.
Var asin(const Var& x);
Var acos(const Var& x);
/// The inverse of tan.
Var atan(const Var& x);
/// The hyperbolic functions.
Var sinh(const Var& x);
Var cosh(const Var& x);
Var tanh(const Var& x);

/// The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x, and 1 - erf(x), exact also
/// where that is small.
Var erf(const Var& x);
Var erfc(const Var& x);
/// log |gamma(x)|. Domain: not 0, -1, -2, ..., where it is infinite.
Var lgamma(const Var& x);
/// The derivative of lgamma. Domain: not 0, where it is infinite, nor -1, -2, ..., where it is NaN.
Var digamma(const Var& x);
/// The n-th derivative of digamma. Domain: not 0, -1, -2, ..., where it is infinite or NaN. @throws Error
/// when n < 0.
Var polygamma(int n, const Var& x);

/// Comparisons, as bool tensors. Their derivative is zero. The operands may be of any one dtype.
Var equal(const Var& x, const Var& y);
Var not_equal(const Var& x, const Var& y);
Var less(const Var& x, const Var& y);
Var less_equal(const Var& x, const Var& y);
Var greater(const Var& x, const Var& y);
Var greater_equal(const Var& x, const Var& y);

/// x where `condition` (bool), y elsewhere; all three broadcast. The branch that is not taken gets a
/// cotangent of zero, and from a cotangent of zero the elementwise functions, reductions and softmax make
/// zero whatever their values: in where(x > 0, sqrt(x), 0) nothing infinite or NaN reaches x.
Var where(const Var& condition, const Var& x, const Var& y);

/// For derivatives that keep this up: u x and u / x, but 0 where u is 0, be x infinite, NaN or a divisor of
/// 0.
Var cotangent_mul(const Var& u, const Var& x);
Var cotangent_div(const Var& u, const Var& x);
/// u v of two cotangents: 0 where either is 0, be the other infinite or NaN.
Var cotangent_product(const Var& u, const Var& v);

// Operators, also with a number on either side, which takes the tensor's dtype.
inline Var operator+(const Var& x, const Var& y) { return add(x, y); }
inline Var operator-(const Var& x, const Var& y) { return sub(x, y); }
inline Var operator*(const Var& x, const Var& y) { return mul(x, y); }
inline Var operator/(const Var& x, const Var& y) { return div(x, y); }
inline Var operator-(const Var& x) { return neg(x); }
Var operator+(const Var& x, double y);
Var operator-(const Var& x, double y);
Var operator*(const Var& x, double y);
Var operator/(const Var& x, double y);
Var operator+(double x, const Var& y);
Var operator-(double x, const Var& y);
Var operator*(double x, const Var& y);
Var operator/(double x, const Var& y);

}  // namespace xgrad
