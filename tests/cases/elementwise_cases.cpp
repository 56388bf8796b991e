// Rows of the case table: elementwise functions and comparisons.
#include "xgrad/ops/elementwise.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "tests/cases/op_cases.hpp"

namespace xgrad::cases {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity(),
                 kNaN = std::numeric_limits<double>::quiet_NaN();

double sign_of(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
double larger(double x, double y) { return std::isnan(x) || std::isnan(y) ? kNaN : x > y ? x : y; }
double smaller(double x, double y) { return -larger(-x, -y); }
double length(double x, double y) { return std::isinf(x) || std::isinf(y) ? kInf : std::sqrt(x * x + y * y); }

const Domain between_halves{-2, 2, {-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2}};

bool is_negative_integer(double x) { return x < 0 && x == std::floor(x); }

/// n! times the sum of (x + k)^-(n+1): very many terms, and the integral of the rest.
template <int n>
double polygamma_of(double x) {
  if (is_negative_integer(x)) return n % 2 && !std::isinf(x) ? kInf : kNaN;
  long double sum = 0, a = x, factorial = 1;
  for (; a < 3000; ++a) sum += std::pow(a, -1.0L - n);
  sum += std::pow(a, -static_cast<long double>(n)) * (1.0L / n + 0.5L / a + (n + 1) / (12 * a * a));
  for (int k = 2; k <= n; ++k) factorial *= k;
  return static_cast<double>(n % 2 ? factorial * sum : -factorial * sum);
}
double digamma_of(double x) {
  if (is_negative_integer(x)) return kNaN;
  long double sum = 0, a = x;
  for (; a < 3000; ++a) sum -= 1 / a;
  return static_cast<double>(sum + std::log(a) - 0.5L / a - 1 / (12 * a * a));
}

/// A condition for `where`: true at every third place.
bool is_third(std::size_t k) { return k % 3 == 0; }
Var thirds(const Var& like) {
  return like.tape().constant({DType::boolean, like.shape()}, [](View v) {
    for (std::int64_t i = 0; i < v.size(); ++i) v.as<bool>()[i] = is_third(static_cast<std::size_t>(i));
  });
}

/// The condition takes the shape of operand 0, whose values do not matter.
OpCase where_case() {
  return {.name = "where",
          .f = [](Vars x) { return where(thirds(x[0]), x[1], x[2]); },
          .reference =
              [](const Arrays& x) {
                Array condition = x[0];
                for (std::size_t k = 0; k < condition.size(); ++k) condition.data()[k] = is_third(k);
                return naive::generate(naive::broadcast(x), [&](const naive::Index& i) {
                  return naive::at(condition, i) != 0 ? naive::at(x[1], i) : naive::at(x[2], i);
                });
              },
          .sets = {{{20}, {20}, {20}},
                   {{20}, {20}, {}},
                   {{}, {5}, {}},
                   {{5, 1}, {5}, {1}},
                   {{3, 1, 2}, {1, 3, 2}, {}},
                   {{4}, {3, 1}, {2, 1, 1}},
                   {{10, 5}, {}, {5, 10, 5}},
                   {{0, 1, 3}, {0, 10, 3}, {3}}},
          .elementwise = true,
          .errors = {fails<ShapeError>({{2}, {3}, {2}}, "where: shapes [3] and [2] do not broadcast"),
                     fails<ShapeError>({{4}, {3}, {3}}, "where: shapes [3] and [4] do not broadcast"),
                     fails_when<DTypeError>([](Tape& t) { where(ones(t, {2}), ones(t, {2}), ones(t, {2})); },
                                            "where: the condition is float64, not bool"),
                     fails_when<DTypeError>(
                         [](Tape& t) {
                           const Var x = ones(t, {2});
                           where(equal(x, x), x, ones(t, {2}, DType::float32));
                         },
                         "where: dtypes differ, float64 and float32")}};
}

/// An operator, whose errors are those of the function it stands for.
OpCase binary_operator(const char* name, Var (*f)(Arg, Arg), double (*reference)(double, double),
                       const Domain& domain = anything) {
  return without_errors(binary(name, f, reference, {domain}));
}

}  // namespace

// By hand: clang-format spreads lambdas that hold braces over many lines.
// clang-format off
std::vector<OpCase> elementwise_cases() {
  return {
      unary("neg", neg, [](double x) { return -x; }),
      unary("sqrt", sqrt, std::sqrt, positive),
      unary("rsqrt", rsqrt, [](double x) { return 1 / std::sqrt(x); }, positive),
      without_errors(unary("reciprocal", reciprocal, [](double x) { return std::pow(x, -1); }, positive)),
      unary("square", square, [](double x) { return x * x; }),
      unary("abs", abs, std::abs, nonzero),
      constant(unary("sign", sign, sign_of, nonzero)),
      constant(unary("heaviside", heaviside, [](double x) { return x > 0 ? 1.0 : 0.0; }, nonzero)),
      constant(unary("floor", floor, std::floor, between_halves)),
      constant(unary("ceil", ceil, std::ceil, between_halves)),
      constant(unary("round", round, std::round, between_halves)),
      with_errors(unary("clamp", [](Arg x) { return clamp(x, -0.5, 1.25); },
                        [](double x) { return std::clamp(x, -0.5, 1.25); }, {-2, 2, {-0.5, 1.25}}),
                  {fails_when<Error>([](Tape& t) { clamp(ones(t, {2}), 2, 1); },
                                     "clamp: low 2 must be at most high 1")}),
      constant(unary("in_range", [](Arg x) { return in_range(x, -1, 1); },
                     [](double x) { return x >= -1 && x <= 1 ? 1.0 : 0.0; }, whole)),

      unary("exp", exp, std::exp),
      unary("expm1", expm1, std::expm1),
      unary("log", log, std::log, positive),
      unary("log1p", log1p, std::log1p, {-0.5, 2}),
      unary("log2", log2, std::log2, positive),
      unary("sin", sin, std::sin, {-10, 10}),
      unary("cos", cos, std::cos, {-10, 10}),
      unary("tan", tan, std::tan, {-1.2, 1.2}),
      unary("asin", asin, std::asin, {-0.9, 0.9}),
      unary("acos", acos, std::acos, {-0.9, 0.9}),
      unary("atan", atan, std::atan),
      unary("sinh", sinh, std::sinh),
      unary("cosh", cosh, std::cosh),
      unary("tanh", tanh, std::tanh),

      unary("erf", erf, std::erf),
      unary("erfc", erfc, std::erfc),
      unary("lgamma", lgamma, std::lgamma, {0.3, 4}),
      unary("digamma", digamma, digamma_of, {0.3, 4}),
      with_errors(unary("polygamma", [](Arg x) { return polygamma(1, x); }, polygamma_of<1>, {0.5, 4}),
                  {fails_when<Error>([](Tape& t) { polygamma(-1, ones(t, {2})); },
                                     "polygamma: order -1 is negative")}),
      without_errors(unary("polygamma of order 2", [](Arg x) { return polygamma(2, x); }, polygamma_of<2>,
                           {0.8, 4})),
      without_errors(unary("lgamma of negative numbers", lgamma, std::lgamma, {-1.7, -1.3})),
      without_errors(unary("digamma of negative numbers", digamma, digamma_of, {-1.7, -1.3})),
      without_errors(unary("polygamma of negative numbers", [](Arg x) { return polygamma(3, x); },
                           polygamma_of<3>, {-1.75, -1.6})),

      binary("add", add, [](double x, double y) { return x + y; }),
      binary("sub", sub, [](double x, double y) { return x - y; }),
      binary("mul", mul, [](double x, double y) { return x * y; }),
      binary("div", div, [](double x, double y) { return x / y; }, {anything, positive}),
      binary("pow", pow, std::pow, {positive, anything}),
      without_errors(unary("pow with a number", [](Arg x) { return pow(x, 3); },
                           [](double x) { return x * x * x; })),
      binary("maximum", maximum, larger, {distinct}),
      binary("minimum", minimum, smaller, {distinct}),

      binary("hypot", hypot, length, {nonzero}),
      binary("atan2", atan2, std::atan2, {nonzero}),

      comparison("equal", equal, [](double x, double y) { return x == y; }),
      comparison("not_equal", not_equal, [](double x, double y) { return x != y; }),
      comparison("less", less, [](double x, double y) { return x < y; }),
      comparison("less_equal", less_equal, [](double x, double y) { return x <= y; }),
      comparison("greater", greater, [](double x, double y) { return x > y; }),
      comparison("greater_equal", greater_equal, [](double x, double y) { return x >= y; }),
      where_case(),

      binary_operator("operator+", [](Arg x, Arg y) { return 2 + x + 3 + y; },
                      [](double x, double y) { return 5 + x + y; }),
      binary_operator("operator-", [](Arg x, Arg y) { return 2 - x - 3 - -y; },
                      [](double x, double y) { return -1 - x + y; }),
      binary_operator("operator*", [](Arg x, Arg y) { return 2 * x * 3 * y; },
                      [](double x, double y) { return 6 * x * y; }),
      binary_operator("operator/", [](Arg x, Arg y) { return 2 / x / 3 / y; },
                      [](double x, double y) { return 2 / (3 * x * y); }, positive),

      binary("multiply_no_nan", multiply_no_nan, [](double x, double u) { return u == 0 ? 0 : x * u; }, {anything, nonzero}),
      binary("xdivy", xdivy, [](double u, double x) { return u == 0 ? 0 : u / x; }, {nonzero, positive}),
      binary("strong_zero_product", strong_zero_product, [](double u, double v) { return u == 0 || v == 0 ? 0 : u * v; },
             {nonzero}),
  };
}

}  // namespace xgrad::cases
