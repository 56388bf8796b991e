// The gamma function's relatives, by series and recurrences.
#include "lib/tensor/special.hpp"

#include <math.h>  // lgamma_r

#include <cmath>
#include <iterator>
#include <limits>
#include <numbers>

namespace xgrad::special {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// The distance of x from the nearest integer, in [-1/2, 1/2].
double beyond_integer(double x) { return x - std::nearbyint(x); }

/// digamma by its Taylor series about its positive root: the relative error stays small there.
double digamma_near_root(double x) {
  constexpr double kRoot = 1.4616321449683622, kRootRest = 9.549995429965697e-17;
  constexpr double kCoefficients[] = {0.96767224544762117,   -0.44276316898359211,   0.25849976095565101,
                                      -0.16394270540244053,  0.10782405069126237,    -0.072199561256454711,
                                      0.048804288164143107,  -0.033161126474847359,  0.022597648232218105,
                                      -0.015424765904948959, 0.010538791616612175,   -0.0072045343863568682,
                                      0.0049267813957298534, -0.0033698016554393281, 0.0023051263267349278};
  const double d = (x - kRoot) - kRootRest;
  double sum = 0;
  for (auto c = std::rbegin(kCoefficients); c != std::rend(kCoefficients); ++c) sum = sum * d + *c;
  return sum * d;
}

/// n! / x^(n+1)
double leading_term(int n, double x) {
  double term = 1 / x;
  for (int k = 1; k <= n; ++k) term *= k / x;
  return term;
}

/// n! (x^-s + (x+1)^-s + ...) for s = n + 1, n > 0 and x > 0: term by term up to a, the remainder by the
/// formula of Euler and Maclaurin. All terms are divided by the first one, so that nothing overflows on the
/// way.
double factorial_times_zeta(int n, double x) {
  if (std::isinf(x)) return 0;
  const double s = n + 1;
  double sum = 0, a = x;
  while (a < 10 + s) sum += std::pow(x / a++, s);
  // B_2j / (2j)!
  constexpr double kCoefficients[] = {1. / 12,          -1. / 720,
                                      1. / 30240,       -1. / 1209600,
                                      1. / 47900160,    -691. / 1307674368000,
                                      1. / 74724249600, -3617. / 10670622842880000.};
  double rest = a / n + 0.5, factor = s / a, k = s;
  for (const double c : kCoefficients) {
    rest += c * factor;
    factor *= (k + 1) / a * ((k + 2) / a);
    k += 2;
  }
  return leading_term(n, x) * (sum + std::pow(x / a, s) * rest);
}

}  // namespace

double lgamma(double x) {
  int sign;
  return ::lgamma_r(x, &sign);
}

double digamma(double x) {
  if (x == 0) return -1 / x;
  if (x < 0) {
    const double r = beyond_integer(x);
    return r == 0 ? kNaN : digamma(1 - x) - std::numbers::pi / std::tan(std::numbers::pi * r);
  }
  if (std::abs(x - 1.46) < 0.1) return digamma_near_root(x);
  double sum = 0;
  while (x < 10) sum -= 1 / x++;
  // B_2j / 2j
  constexpr double kCoefficients[] = {1. / 12,  -1. / 120,      1. / 252, -1. / 240,
                                      1. / 132, -691. / 32760., 1. / 12,  -3617. / 8160};
  double power = 1, rest = 0;
  for (const double c : kCoefficients) rest += c * (power /= x * x);
  return sum + std::log(x) - 0.5 / x - rest;
}

double polygamma(int n, double x) {
  if (n == 0) return digamma(x);
  const double sign = n % 2 ? 1 : -1;  // (-1)^(n+1)
  if (x > 0) return sign * factorial_times_zeta(n, x);
  // The sum over x + k, k >= 0, is that over all integers k, which has period 1, without those below x.
  const double r = beyond_integer(x);
  if (r == 0) return sign > 0 ? kInfinity : x == 0 ? -1 / x : kNaN;
  return sign * (leading_term(n, r) + factorial_times_zeta(n, 1 + r)) + factorial_times_zeta(n, 1 - r) -
         factorial_times_zeta(n, 1 - x);
}

}  // namespace xgrad::special
