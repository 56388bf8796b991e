// Ops that work element by element, with NumPy's broadcasting.
//
// Derivatives at kinks are the minimum-norm subgradient, abs'(0) = 0; ties of maximum and minimum share the
// cotangent in halves. Outside a function's domain the result is IEEE's: sqrt(-1) and log(-1) are NaN, log(0)
// is -inf, x / 0 is infinite.
//
// Operands are passed by value: of one that is given up (a temporary, or std::move) the result takes the
// memory over when no derivative reads it, so `std::move(y) * a + b` needs no memory of its own.
//
// All throw DTypeError unless the operands have one floating dtype, and ShapeError when they do not
// broadcast.
#pragma once

#include "xgrad/tape/var.hpp"

namespace xgrad {

/// x + y
Var add(Var x, Var y);
/// x - y
Var sub(Var x, Var y);
/// x y
Var mul(Var x, Var y);
/// x / y. Domain: y is not 0.
Var div(Var x, Var y);
/// x to the power of y, as std::pow. Domain: x >= 0, and x < 0 with whole y. At kinks: d/dy is taken as 0
/// where x = 0, and NaN where x < 0.
Var pow(Var x, Var y);
Var pow(Var x, double y);
/// The larger and the smaller of two; NaN when either is NaN. At kinks: ties share in halves; where the
/// result is NaN, both get the cotangent.
Var maximum(Var x, Var y);
Var minimum(Var x, Var y);

/// sqrt(x^2 + y^2), without overflow on the way. At kinks: both derivatives are 0 where x = y = 0.
Var hypot(Var x, Var y);
/// The angle of the point (x, y) to the x axis, in [-pi, pi]. At kinks: both derivatives are 0 where
/// x = y = 0.
Var atan2(Var y, Var x);

/// -x
Var neg(Var x);
/// The square root. Domain: x >= 0.
Var sqrt(Var x);
/// 1 / sqrt(x). Domain: x > 0.
Var rsqrt(Var x);
/// 1 / x. Domain: x is not 0.
Var reciprocal(Var x);
/// x x
Var square(Var x);
/// |x|. At kinks: 0 at 0.
Var abs(Var x);
/// The whole number below, above, and the nearest one, half to even. Their derivative is zero.
Var floor(Var x);
Var ceil(Var x);
Var round(Var x);
/// -1, 0 or 1. Its derivative is zero.
Var sign(Var x);
/// 1 where x > 0, 0 elsewhere. Its derivative is zero.
Var step(Var x);
/// x limited to [low, high]. At kinks: 1 at the limits. @throws Error when low > high.
Var clamp(Var x, double low, double high);
/// 1 where low <= x <= high, 0 elsewhere. Its derivative is zero.
Var in_range(Var x, double low, double high);

/// e to the power of x.
Var exp(Var x);
/// exp(x) - 1, exact for small x.
Var expm1(Var x);
/// The natural logarithm. Domain: x > 0.
Var log(Var x);
/// log(1 + x), exact for small x. Domain: x > -1.
Var log1p(Var x);
/// The logarithm to the base of 2. Domain: x > 0.
Var log2(Var x);

/// The trigonometric functions, of angles in radians.
Var sin(Var x);
Var cos(Var x);
Var tan(Var x);
/// Their inverses; the derivatives are infinite at -1 and 1. Domain: -1 <= x <= 1.
Var asin(Var x);
Var acos(Var x);
/// The inverse of tan.
Var atan(Var x);
/// The hyperbolic functions.
Var sinh(Var x);
Var cosh(Var x);
Var tanh(Var x);

/// The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x, and 1 - erf(x), exact also
/// where that is small.
Var erf(Var x);
Var erfc(Var x);
/// log |gamma(x)|. Domain: not 0, -1, -2, ..., where it is infinite.
Var lgamma(Var x);
/// The derivative of lgamma. Domain: not 0, where it is infinite, nor -1, -2, ..., where it is NaN.
Var digamma(Var x);
/// The n-th derivative of digamma. Domain: not 0, -1, -2, ..., where it is infinite or NaN. @throws Error
/// when n < 0.
Var polygamma(int n, Var x);

/// Comparisons, as bool tensors. Their derivative is zero. The operands may be of any one dtype.
Var equal(Var x, Var y);
Var not_equal(Var x, Var y);
Var less(Var x, Var y);
Var less_equal(Var x, Var y);
Var greater(Var x, Var y);
Var greater_equal(Var x, Var y);

/// x where `condition` (bool), y elsewhere; all three broadcast. The branch that is not taken gets a
/// cotangent of zero, and from a cotangent of zero the elementwise functions, reductions and softmax make
/// zero whatever their values: in where(x > 0, sqrt(x), 0) nothing infinite or NaN reaches x.
Var where(Var condition, Var x, Var y);

/// For derivatives that keep this up: u x and u / x, but 0 where u is 0, be x infinite, NaN or a divisor of
/// 0.
Var cotangent_mul(Var u, Var x);
Var cotangent_div(Var u, Var x);
/// u v of two cotangents: 0 where either is 0, be the other infinite or NaN.
Var cotangent_product(Var u, Var v);

// Operators, also with a number on either side, which takes the tensor's dtype.
inline Var operator+(Var x, Var y) { return add(std::move(x), std::move(y)); }
inline Var operator-(Var x, Var y) { return sub(std::move(x), std::move(y)); }
inline Var operator*(Var x, Var y) { return mul(std::move(x), std::move(y)); }
inline Var operator/(Var x, Var y) { return div(std::move(x), std::move(y)); }
inline Var operator-(Var x) { return neg(std::move(x)); }
Var operator+(Var x, double y);
Var operator-(Var x, double y);
Var operator*(Var x, double y);
Var operator/(Var x, double y);
Var operator+(double x, Var y);
Var operator-(double x, Var y);
Var operator*(double x, Var y);
Var operator/(double x, Var y);

}  // namespace xgrad
