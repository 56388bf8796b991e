// The gamma function's relatives for one number.
#pragma once

namespace xgrad::special {

/// log |gamma(x)|, as std::lgamma, but without its write to a global variable.
double lgamma(double x);

/// The derivative of lgamma. Infinite at 0, NaN at negative integers.
double digamma(double x);

/// The n-th derivative of digamma, n >= 0. At negative integers it is infinite for odd n and NaN for even n,
/// where the two sides differ. At 0 it is infinite; for even n the sign of the zero selects the side.
double polygamma(int n, double x);

}  // namespace xgrad::special
