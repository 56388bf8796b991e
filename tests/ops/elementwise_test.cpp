#include "xgrad/ops/elementwise.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "xgrad/ops/reduce.hpp"
#include "xgrad/tape/grad.hpp"

using namespace xgrad;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kHalfPi = 1.5707963267948966;
const std::vector<double> kSpecial = {0.0, -0.0, 0.001, -0.001, 1,    -1,    kHalfPi, -kHalfPi,
                                      501, -501, 1e20,  -1e20,  kInf, -kInf, kNaN};

template <class T>
Var enter(Tape& tape, const std::vector<T>& x) {
  xt::xarray<T> value(std::vector<std::size_t>{x.size()});
  std::copy(x.begin(), x.end(), value.begin());
  return tape.input(value);
}

template <class T>
std::vector<T> list(const Var& v) {
  return {v.view().as<T>(), v.view().as<T>() + v.size()};
}

/// The derivative of the sum of y.
template <class T>
std::vector<T> gradient(const Var& y, const Var& x, bool create_graph = false) {
  return list<T>(grad(sum(y), {x}, {.create_graph = create_graph, .cotangent = {}})[0]);
}

/// Whether two results agree: to a few units in the last place, exactly where they are not finite or zero.
template <class T>
bool agree(T got, T wanted) {
  if (std::isnan(wanted)) return std::isnan(got);
  if (!std::isfinite(wanted) || wanted == 0) return got == wanted;
  return std::abs(got - wanted) <= 4 * std::numeric_limits<T>::epsilon() * std::abs(wanted);
}

struct Unary {
  std::string name;
  Var (*f)(const Var&);
  double (*value)(double);
  double (*derivative)(double);
  bool keeps_sign = false;  // of a zero
};

double sign_of(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }
double zero(double) { return 0; }

const std::vector<Unary> kUnary = {
    {"neg", neg, [](double x) { return -x; }, [](double) { return -1.0; }, true},
    {"exp", exp, std::exp, std::exp},
    {"log", log, std::log, [](double x) { return 1 / x; }},
    {"sqrt", sqrt, std::sqrt, [](double x) { return 0.5 / std::sqrt(x); }, true},
    {"square", square, [](double x) { return x * x; }, [](double x) { return 2 * x; }},
    {"abs", abs, std::abs, sign_of, true},
    {"sign", sign, sign_of, zero},
    {"step", step, [](double x) { return x > 0 ? 1.0 : 0.0; }, zero},
    {"sigmoid", sigmoid, sigmoid_of, [](double x) { return sigmoid_of(x) * sigmoid_of(-x); }},
    {"tanh", tanh, std::tanh, [](double x) { return 1 / std::cosh(x) / std::cosh(x); }, true},
    {"relu", relu, [](double x) { return x > 0           ? x
                                         : std::isnan(x) ? x
                                                         : 0.0; },
     [](double x) { return x > 0 ? 1.0 : 0.0; }},
    {"clamp", [](const Var& x) { return clamp(x, -1, 2); },
     [](double x) { return x < -1  ? -1.0
                           : x > 2 ? 2.0
                                   : x; },
     [](double x) { return x >= -1 && x <= 2 ? 1.0 : 0.0; }},
    {"in_range", [](const Var& x) { return in_range(x, -1, 2); },
     [](double x) { return x >= -1 && x <= 2 ? 1.0 : 0.0; }, zero},
};

template <class T>
void check_unary_at_special_values() {
  const std::vector<T> x(kSpecial.begin(), kSpecial.end());
  for (const Unary& f : kUnary) {
    Tape tape;
    const Var v = enter(tape, x), y = f.f(v);
    const std::vector<T> values = list<T>(y);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const T wanted = static_cast<T>(f.value(x[i]));
      CHECK_MESSAGE(agree(values[i], wanted), f.name, "(", x[i], ") is ", values[i], ", not ", wanted);
      if (wanted == 0 && f.keeps_sign) {
        CHECK_MESSAGE(std::signbit(values[i]) == std::signbit(wanted), f.name, "(", x[i],
                      ") has the wrong sign");
      }
    }
    const std::vector<T> slopes = gradient<T>(y, v);
    for (std::size_t i = 0; i + 1 < x.size(); ++i) {  // all but NaN
      const T wanted = static_cast<T>(f.derivative(x[i]));
      // Made from y, of which a rounding error is left where y is close to 1.
      const bool close = std::abs(slopes[i] - wanted) < 4 * std::numeric_limits<T>::epsilon();
      CHECK_MESSAGE((agree(slopes[i], wanted) || close), f.name, "'(", x[i], ") is ", slopes[i], ", not ",
                    wanted);
    }
  }
}

struct Binary {
  std::string name;
  Var (*f)(const Var&, const Var&);
  double (*value)(double, double);
};

const std::vector<Binary> kBinary = {
    {"add", add, [](double x, double y) { return x + y; }},
    {"sub", sub, [](double x, double y) { return x - y; }},
    {"mul", mul, [](double x, double y) { return x * y; }},
    {"div", div, [](double x, double y) { return x / y; }},
    {"pow", pow, std::pow},
    {"maximum", maximum,
     [](double x, double y) { return std::isnan(x) || std::isnan(y) ? kNaN : std::max(x, y); }},
    {"minimum", minimum,
     [](double x, double y) { return std::isnan(x) || std::isnan(y) ? kNaN : std::min(x, y); }},
};

template <class T>
void check_binary_at_special_values() {
  const std::vector<T> special(kSpecial.begin(), kSpecial.end());
  std::vector<T> x, y;
  for (T a : special) {
    for (T b : special) x.push_back(a), y.push_back(b);
  }
  for (const Binary& f : kBinary) {
    Tape tape;
    const auto check = [&](T a, T b, T got) {
      const T wanted = static_cast<T>(f.value(a, b));
      CHECK_MESSAGE(agree(got, wanted), f.name, "(", a, ", ", b, ") is ", got, ", not ", wanted);
    };
    const std::vector<T> pairs = list<T>(f.f(enter(tape, x), enter(tape, y)));
    for (std::size_t i = 0; i < x.size(); ++i) check(x[i], y[i], pairs[i]);
    const Var vector = enter(tape, special);
    for (T b : special) {
      const Var scalar = tape.input(b);
      const std::vector<T> right = list<T>(f.f(vector, scalar)), left = list<T>(f.f(scalar, vector));
      for (std::size_t i = 0; i < special.size(); ++i)
        check(special[i], b, right[i]), check(b, special[i], left[i]);
    }
  }
}

template <class T>
void check_comparisons() {
  const std::vector<std::pair<Var (*)(const Var&, const Var&), bool (*)(T, T)>> all = {
      {equal, [](T a, T b) { return a == b; }},  {not_equal, [](T a, T b) { return a != b; }},
      {less, [](T a, T b) { return a < b; }},    {less_equal, [](T a, T b) { return a <= b; }},
      {greater, [](T a, T b) { return a > b; }}, {greater_equal, [](T a, T b) { return a >= b; }}};
  for (const auto& [f, reference] : all) {
    for (double a : kSpecial) {
      for (double b : kSpecial) {
        Tape tape;
        const T x = static_cast<T>(a), y = static_cast<T>(b);
        CHECK(f(tape.input(x), tape.input(y)).template item<bool>() == reference(x, y));
      }
    }
  }
}

/// f over n numbers is f of each, whatever n, in value, gradient, and where the gradient is added to another.
template <class T>
void check_lengths() {
  for (const Unary& f : kUnary) {
    for (std::size_t n = 1; n <= 70; ++n) {
      std::vector<T> x;
      for (std::size_t i = 0; i < n; ++i)
        x.push_back(static_cast<T>(0.1 + 0.07 * static_cast<double>((i * 37 + n) % 53)));
      Tape tape;
      const Var v = enter(tape, x), y = f.f(v);
      const std::vector<T> values = list<T>(y), once = gradient<T>(y, v),
                           twice = gradient<T>(3 * f.f(v) + y, v);
      for (std::size_t i = 0; i < n; ++i) {
        INFO(f.name << " of " << n << " numbers, at " << x[i]);
        CHECK(agree(values[i], static_cast<T>(f.value(x[i]))));
        const T slope = static_cast<T>(f.derivative(x[i]));
        CHECK(std::abs(once[i] - slope) <=
              8 * std::numeric_limits<T>::epsilon() * std::max(T(1), std::abs(slope)));
        CHECK(std::abs(twice[i] - 4 * slope) <=
              32 * std::numeric_limits<T>::epsilon() * std::max(T(1), std::abs(slope)));
      }
    }
  }
}

}  // namespace

TEST_SUITE_BEGIN("ops");

TEST_CASE("elementwise: special values of functions of one operand, as std's") {
  check_unary_at_special_values<double>();
  check_unary_at_special_values<float>();
}

TEST_CASE("elementwise: special values of functions of two operands, as std's") {
  check_binary_at_special_values<double>();
  check_binary_at_special_values<float>();
}

TEST_CASE("elementwise: comparisons of special values") {
  check_comparisons<double>();
  check_comparisons<float>();
}

TEST_CASE("elementwise: every length from 1 to 70") {
  check_lengths<double>();
  check_lengths<float>();
}

TEST_CASE("elementwise: comparisons of integers and bools") {
  Tape tape;
  const Var x = tape.constant(xt::xarray<std::int64_t>{1, 2, 3}),
            y = tape.constant(xt::xarray<std::int64_t>{3, 2, 1});
  CHECK(less(x, y).array<bool>() == xt::xarray<bool>{true, false, false});
  CHECK(greater_equal(x, y).array<bool>() == xt::xarray<bool>{false, true, true});
  CHECK(equal(less(x, y), less(y, x)).array<bool>() == xt::xarray<bool>{false, true, false});
  CHECK_FALSE(less(x, y).requires_grad());
}

TEST_CASE("elementwise: derivatives at kinks") {
  Tape tape;
  const std::vector<double> x = {-2, -0.0, 0.0, 1, 2};
  const Var v = enter(tape, x);
  using List = std::vector<double>;
  CHECK(gradient<double>(relu(v), v) == List{0, 0, 0, 1, 1});
  CHECK(gradient<double>(abs(v), v) == List{-1, 0, 0, 1, 1});
  CHECK(gradient<double>(clamp(v, -2, 1), v) == List{1, 1, 1, 1, 0});
  CHECK(gradient<double>(clamp(v, 1, 1), v) == List{0, 0, 0, 1, 0});
  CHECK(gradient<double>(maximum(v, v), v) == List{1, 1, 1, 1, 1});
  const Var zero = tape.input(0.0);
  CHECK(gradient<double>(maximum(v, zero), v) == List{0, 0.5, 0.5, 1, 1});
  CHECK(gradient<double>(maximum(v, zero), zero) == List{2});
  CHECK(gradient<double>(minimum(v, zero), v) == List{1, 0.5, 0.5, 0, 0});
  CHECK(gradient<double>(minimum(zero, v), v) == List{1, 0.5, 0.5, 0, 0});
}

TEST_CASE("elementwise: derivatives of pow at the edges of its domain") {
  Tape tape;
  const auto slopes = [&](double x, double y) {
    const Var a = tape.input(x), b = tape.input(y);
    const auto g = grad(pow(a, b), {a, b});
    return std::pair(g[0].item<double>(), g[1].item<double>());
  };
  CHECK(slopes(0, 0) == std::pair(0.0, 0.0));
  CHECK(slopes(0, 1) == std::pair(1.0, 0.0));
  CHECK(slopes(0, 2) == std::pair(0.0, 0.0));
  CHECK(slopes(0, 0.5) == std::pair(kInf, 0.0));
  CHECK(slopes(-2, 3).first == 12);
  CHECK(std::isnan(slopes(-2, 3).second));
  const Var x = tape.input(0.0);
  const Var first = grad(pow(x, 2), {x}, {.create_graph = true, .cotangent = {}})[0];
  CHECK(grad(first, {x})[0].item<double>() == 2);
}

TEST_CASE("elementwise: numbers on either side take the tensor's dtype") {
  Tape tape;
  const Var x = tape.input(xt::xarray<float>{1, 2});
  for (const Var& y : {x + 1, 1 + x, x - 1, 1 - x, x * 2, 2 * x, x / 2, 2 / x, pow(x, 2)})
    CHECK(y.dtype() == DType::float32);
  CHECK(list<float>(1 - x) == std::vector<float>{0, -1});
  CHECK(list<float>(2 / x) == std::vector<float>{2, 1});
}

TEST_CASE("elementwise: nothing leaks from the branch that where does not take") {
  struct Guarded {
    std::string name;
    Var (*f)(const Var& x, const Var& zero);
    std::vector<double> x;  // of which only the last is inside
    double slope, second;   // there
  };
  const std::vector<Guarded> all = {
      {"sqrt",
       [](const Var& x, const Var& o) { return where(greater(x, o), sqrt(x), o); },
       {0, -1, -kInf, 4},
       0.25,
       -1.0 / 32},
      {"log",
       [](const Var& x, const Var& o) { return where(greater(x, o), log(x), o); },
       {0, -1, -kInf, 2},
       0.5,
       -0.25},
      {"1 / x",
       [](const Var& x, const Var& o) { return where(not_equal(x, o), 1 / x, o); },
       {0, -0.0, 2},
       -0.25,
       0.25},
      {"x log(x)",
       [](const Var& x, const Var& o) { return where(greater(x, o), x * log(x), o); },
       {0, -1, 1},
       1,
       1},
      {"x / x", [](const Var& x, const Var& o) { return where(greater(x, o), x * x / x, o); }, {0, 3}, 1, 0},
      {"pow",
       [](const Var& x, const Var& o) { return where(greater(x, o), pow(x, 0.5), o); },
       {0, -1, 4},
       0.25,
       -1.0 / 32},
      {"pow of x to x",
       [](const Var& x, const Var& o) { return where(greater(x, o), pow(x, x), o); },
       {-1, -2.5, 1},
       1,
       2},
      {"exp",
       [](const Var& x, const Var& o) { return where(less(x, 1 + o), exp(x), o); },
       {1000, kInf, 0},
       1,
       1},
      {"square",
       [](const Var& x, const Var& o) { return where(less(x, 4 + o), square(x), o); },
       {kInf, 3},
       6,
       2},
  };
  for (const Guarded& guarded : all) {
    INFO(guarded.name);
    Tape tape;
    const Var x = enter(tape, guarded.x), zero = tape.constant(0, DType::float64);
    const Var y = guarded.f(x, zero);
    const std::vector<double> plain = gradient<double>(y, x);
    const Var recorded = grad(sum(y), {x}, {.create_graph = true, .cotangent = {}})[0];
    const std::vector<double> first = list<double>(recorded), second = gradient<double>(recorded, x);
    for (std::size_t i = 0; i < plain.size(); ++i) {
      const bool inside = i + 1 == plain.size();
      INFO("x = " << guarded.x[i]);
      CHECK(plain[i] == doctest::Approx(inside ? guarded.slope : 0));
      CHECK(first[i] == doctest::Approx(inside ? guarded.slope : 0));
      CHECK(second[i] == doctest::Approx(inside ? guarded.second : 0));
    }
  }
}

TEST_SUITE_END();
