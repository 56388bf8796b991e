// Ops that work element by element, with NumPy's broadcasting.
//
// Derivatives at kinks are the minimum-norm subgradient: relu'(0) = 0, abs'(0) = 0; ties of maximum and
// minimum share the cotangent in halves. Outside a function's domain the result is IEEE's: sqrt(-1) and
// log(-1) are NaN, log(0) is -inf, x / 0 is infinite.
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
/// The larger and the smaller of two; NaN when either is NaN. At kinks: ties share in halves.
Var maximum(const Var& x, const Var& y);
Var minimum(const Var& x, const Var& y);

/// -x
Var neg(const Var& x);
/// e to the power of x.
Var exp(const Var& x);
/// The natural logarithm. Domain: x > 0.
Var log(const Var& x);
/// The square root. Domain: x >= 0.
Var sqrt(const Var& x);
/// x x
Var square(const Var& x);
/// |x|. At kinks: 0 at 0.
Var abs(const Var& x);
/// -1, 0 or 1. Its derivative is zero.
Var sign(const Var& x);
/// 1 where x > 0, 0 elsewhere. Its derivative is zero.
Var step(const Var& x);
/// x limited to [low, high]. At kinks: 1 at the limits. @throws Error when low > high.
Var clamp(const Var& x, double low, double high);
/// 1 where low <= x <= high, 0 elsewhere. Its derivative is zero.
Var in_range(const Var& x, double low, double high);
/// 1 / (1 + exp(-x))
Var sigmoid(const Var& x);
/// The hyperbolic tangent.
Var tanh(const Var& x);
/// max(x, 0). At kinks: 0 at 0.
Var relu(const Var& x);

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
