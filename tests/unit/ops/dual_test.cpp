// Dual numbers against derivatives by hand and by finite differences.
#include "xgrad/ops/dual.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

using namespace xgrad;

namespace {

using D = Dual<double>;
using D2 = Dual<D>;

/// f, f' and f'' at x.
template <class F>
std::vector<double> derivatives(F f, double x) {
  const D2 y = f(D2(D(x, 1), D(1)));
  return {y.value.value, y.value.slope, y.slope.slope};
}

template <class F>
void check(const std::string& name, F f, double x) {
  INFO(name << " at " << x);
  const double h = 1e-4;
  const std::vector<double> got = derivatives(f, x);
  CHECK(got[0] == doctest::Approx(f(x)));
  CHECK(got[1] == doctest::Approx((f(x + h) - f(x - h)) / (2 * h)).epsilon(1e-6));
  CHECK(got[2] == doctest::Approx((f(x + h) - 2 * f(x) + f(x - h)) / (h * h)).epsilon(1e-5));
  CHECK(f(D(x, 1)).slope == got[1]);
  CHECK(static_cast<double>(f(Dual<float>(static_cast<float>(x), 1)).slope) ==
        doctest::Approx(got[1]).epsilon(1e-5));
}

#define CHECK_FUNCTION(fn, x) \
  check(                      \
      #fn,                    \
      [](auto v) {            \
        using std::fn;        \
        return fn(v);         \
      },                      \
      x)

}  // namespace

TEST_CASE("dual: functions of one number") {
  for (double x : {0.3, 0.8}) {
    CHECK_FUNCTION(abs, x);
    CHECK_FUNCTION(abs, -x);
    CHECK_FUNCTION(fabs, -x);
    CHECK_FUNCTION(floor, x);
    CHECK_FUNCTION(ceil, x);
    CHECK_FUNCTION(trunc, x);
    CHECK_FUNCTION(round, x);
    CHECK_FUNCTION(nearbyint, x);
    CHECK_FUNCTION(sqrt, x);
    CHECK_FUNCTION(cbrt, x);
    CHECK_FUNCTION(exp, x);
    CHECK_FUNCTION(exp2, x);
    CHECK_FUNCTION(expm1, x);
    CHECK_FUNCTION(log, x);
    CHECK_FUNCTION(log1p, x);
    CHECK_FUNCTION(log2, x);
    CHECK_FUNCTION(log10, x);
    CHECK_FUNCTION(sin, x);
    CHECK_FUNCTION(cos, x);
    CHECK_FUNCTION(tan, x);
    CHECK_FUNCTION(asin, x);
    CHECK_FUNCTION(acos, x);
    CHECK_FUNCTION(atan, x);
    CHECK_FUNCTION(sinh, x);
    CHECK_FUNCTION(cosh, x);
    CHECK_FUNCTION(tanh, x);
    CHECK_FUNCTION(asinh, x);
    CHECK_FUNCTION(acosh, x + 1);
    CHECK_FUNCTION(atanh, x);
    CHECK_FUNCTION(erf, x);
    CHECK_FUNCTION(erfc, x);
  }
}

TEST_CASE("dual: arithmetic and functions of two numbers, also with plain numbers on either side") {
  const auto all = [](auto each) {
    each("+ -", [](auto x) { return 3 + x - 2 - (1 - x) + +x - -x; });
    each("* /", [](auto x) { return 2 * x * x / (1 + x) + 3 / x + x / 4; });
    each("+= -= *= /=", [](auto x) {
      auto y = x;
      y += 2, y *= x, y -= x * x * x, y /= x + 1;
      return y;
    });
    each("pow", [](auto x) {
      using std::pow;
      return pow(x, 3) + pow(2, x) + pow(x, x) + pow(x, -0.5);
    });
    each("hypot", [](auto x) {
      using std::hypot;
      return hypot(x, 2.0) + hypot(x * x, x);
    });
    each("atan2", [](auto x) {
      using std::atan2;
      return atan2(x, 2.0) + atan2(decltype(x)(1), x) + atan2(x * x, x + 1);
    });
    each("max min", [](auto x) {
      using std::max, std::min;
      return max(x * x, x) * min(x * x, x);
    });
    each("branches", [](auto x) { return x > 0.5 && x <= 10 && x != 3 ? x * x : 1 / x; });
  };
  for (double x : {0.3, 0.8, 2.5}) {
    all([&](const char* name, auto f) { check(name, f, x); });
  }
}

TEST_CASE("dual: kinks, ties and edges of domains") {
  const D zero(0, 1);
  CHECK(abs(zero).slope == 0);
  CHECK(max(zero, D(0)).slope == 0.5);
  CHECK(min(zero, D(0)).slope == 0.5);
  CHECK(hypot(zero, D(0, 1)).slope == 0);
  CHECK(atan2(zero, D(0, 1)).slope == 0);
  CHECK(pow(zero, 0).slope == 0);
  CHECK(pow(zero, 1).slope == 1);
  CHECK(pow(zero, 2).slope == 0);
  CHECK(pow(D(0), zero).slope == 0);
  CHECK(pow(D(-2, 1), 3).slope == 12);
  CHECK(derivatives([](auto x) { return pow(x, 2); }, 0) == std::vector<double>{0, 0, 2});
  // What does not change stays unchanged where the slope is infinite.
  CHECK(sqrt(D(0)).slope == 0);
  CHECK(log(D(0)).slope == 0);
  CHECK((D(1) / D(0)).slope == 0);
  CHECK((D(INFINITY) * D(2)).slope == 0);
  CHECK(std::isinf(sqrt(zero).slope));
  CHECK(isnan(D(NAN)));
  CHECK(isfinite(D2(1)));
  CHECK_FALSE(D(NAN) < D(1));
}
