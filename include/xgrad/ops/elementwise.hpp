// Ops that work element by element, with NumPy's broadcasting.
//
// Derivatives at kinks are the minimum-norm subgradient, abs'(0) = 0; ties of maximum and minimum share the
// cotangent in halves. Outside a function's domain the result is IEEE's: sqrt(-1) and log(-1) are NaN, log(0)
// is -inf, x / 0 is infinite.
//
// The result takes over the memory of a donated operand (a temporary, or std::move) that no derivative reads,
// so `std::move(y) * a + b` needs no memory of its own.
//
// All throw DTypeError unless the operands have one floating dtype, and ShapeError when they do not
// broadcast.
#pragma once

#include "xgrad/tape/var.hpp"

namespace xgrad {

/// x + y
Var add(Arg x, Arg y);
/// x - y
Var sub(Arg x, Arg y);
/// x y
Var mul(Arg x, Arg y);
/// x / y. Domain: y is not 0.
Var div(Arg x, Arg y);
/// x to the power of y, as std::pow. Domain: x >= 0, and x < 0 with whole y. At kinks: d/dy is taken as 0
/// where x = 0, and NaN where x < 0.
Var pow(Arg x, Arg y);
Var pow(Arg x, double y);
/// The larger and the smaller of two; NaN when either is NaN. At kinks: ties share in halves; where the
/// result is NaN, both get the cotangent.
Var maximum(Arg x, Arg y);
Var minimum(Arg x, Arg y);

/// sqrt(x^2 + y^2), without overflow on the way. At kinks: both derivatives are 0 where x = y = 0.
Var hypot(Arg x, Arg y);
/// The angle of the point (x, y) to the x axis, in [-pi, pi]. At kinks: both derivatives are 0 where
/// x = y = 0.
Var atan2(Arg y, Arg x);

/// -x
Var neg(Arg x);
/// The square root. Domain: x >= 0.
Var sqrt(Arg x);
/// 1 / sqrt(x). Domain: x > 0.
Var rsqrt(Arg x);
/// 1 / x. Domain: x is not 0.
Var reciprocal(Arg x);
/// x x
Var square(Arg x);
/// |x|. At kinks: 0 at 0.
Var abs(Arg x);
/// The whole number below, above, and the nearest one, half to even. Their derivative is zero.
Var floor(Arg x);
Var ceil(Arg x);
Var round(Arg x);
/// -1, 0 or 1. Its derivative is zero.
Var sign(Arg x);
/// 1 where x > 0, 0 elsewhere. Its derivative is zero.
Var step(Arg x);
/// x limited to [low, high]. At kinks: 1 at the limits. @throws Error when low > high.
Var clamp(Arg x, double low, double high);
/// 1 where low <= x <= high, 0 elsewhere. Its derivative is zero.
Var in_range(Arg x, double low, double high);

/// e to the power of x.
Var exp(Arg x);
/// exp(x) - 1, exact for small x.
Var expm1(Arg x);
/// The natural logarithm. Domain: x > 0.
Var log(Arg x);
/// log(1 + x), exact for small x. Domain: x > -1.
Var log1p(Arg x);
/// The logarithm to the base of 2. Domain: x > 0.
Var log2(Arg x);

/// The trigonometric functions, of angles in radians.
Var sin(Arg x);
Var cos(Arg x);
Var tan(Arg x);
/// Their inverses; the derivatives are infinite at -1 and 1. Domain: -1 <= x <= 1.
Var asin(Arg x);
Var acos(Arg x);
/// The inverse of tan.
Var atan(Arg x);
/// The hyperbolic functions.
Var sinh(Arg x);
Var cosh(Arg x);
Var tanh(Arg x);

/// The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x, and 1 - erf(x), exact also
/// where that is small.
Var erf(Arg x);
Var erfc(Arg x);
/// log |gamma(x)|. Domain: not 0, -1, -2, ..., where it is infinite.
Var lgamma(Arg x);
/// The derivative of lgamma. Domain: not 0, where it is infinite, nor -1, -2, ..., where it is NaN.
Var digamma(Arg x);
/// The n-th derivative of digamma. Domain: not 0, -1, -2, ..., where it is infinite or NaN. @throws Error
/// when n < 0.
Var polygamma(int n, Arg x);

/// Comparisons, as bool tensors. Their derivative is zero. The operands may be of any one dtype.
Var equal(Arg x, Arg y);
Var not_equal(Arg x, Arg y);
Var less(Arg x, Arg y);
Var less_equal(Arg x, Arg y);
Var greater(Arg x, Arg y);
Var greater_equal(Arg x, Arg y);

/// x where `condition` (bool), y elsewhere; all three broadcast. The branch that is not taken gets a
/// cotangent of zero, and from a cotangent of zero the elementwise functions, reductions and softmax make
/// zero whatever their values: in where(x > 0, sqrt(x), 0) nothing infinite or NaN reaches x.
Var where(Arg condition, Arg x, Arg y);

/// For derivatives that keep this up: u x and u / x, but 0 where u is 0, be x infinite, NaN or a divisor of
/// 0.
Var cotangent_mul(Arg u, Arg x);
Var cotangent_div(Arg u, Arg x);
/// u v of two cotangents: 0 where either is 0, be the other infinite or NaN.
Var cotangent_product(Arg u, Arg v);

// Operators, also with a number on either side, which takes the tensor's dtype.
inline Var operator+(Arg x, Arg y) { return add(x, y); }
inline Var operator-(Arg x, Arg y) { return sub(x, y); }
inline Var operator*(Arg x, Arg y) { return mul(x, y); }
inline Var operator/(Arg x, Arg y) { return div(x, y); }
inline Var operator-(Arg x) { return neg(x); }
Var operator+(Arg x, double y);
Var operator-(Arg x, double y);
Var operator*(Arg x, double y);
Var operator/(Arg x, double y);
Var operator+(double x, Arg y);
Var operator-(double x, Arg y);
Var operator*(double x, Arg y);
Var operator/(double x, Arg y);

}  // namespace xgrad
