// The gamma function's relatives for one number.
#pragma once

namespace xgrad::special {

/// log |gamma(x)|. As std::lgamma, which writes a global variable.
double lgamma(double x);

/// The derivative of lgamma. Infinite at 0, NaN at negative integers.
double digamma(double x);

/// The n-th derivative of digamma, n >= 0. At 0 and negative integers infinite for odd n; for even n, where
/// the two sides differ, NaN, but infinite at a zero that has a sign.
double polygamma(int n, double x);

}  // namespace xgrad::special
