// Elementwise functions at special values, kinks and every length.
#include "xgrad/ops/elementwise.hpp"

#include "tests/unit/ops/unary_checks.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

double sign_of(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
double exp_minus_square(double x) { return std::exp(-x * x); }
double zero(double) { return 0; }

const std::vector<Unary> kUnary = {
    {"neg", neg, [](double x) { return -x; }, [](double) { return -1.0; }, true},
    {"sqrt", sqrt, std::sqrt, [](double x) { return 0.5 / std::sqrt(x); }, true},
    {"rsqrt", rsqrt, [](double x) { return 1 / std::sqrt(x); },
     [](double x) { return -0.5 / std::sqrt(x) / std::sqrt(x) / std::sqrt(x); }, true},
    {"reciprocal", reciprocal, [](double x) { return 1 / x; }, [](double x) { return -1 / x / x; }, true},
    {"square", square, [](double x) { return x * x; }, [](double x) { return 2 * x; }},
    {"abs", abs, std::abs, sign_of, true},
    {"sign", sign, sign_of, zero},
    {"heaviside", heaviside, [](double x) { return x > 0 ? 1.0 : 0.0; }, zero},
    {"floor", floor, std::floor, zero},
    {"ceil", ceil, std::ceil, zero},
    {"round", round, std::nearbyint, zero},
    {"exp", exp, std::exp, std::exp},
    {"expm1", expm1, std::expm1, std::exp, true},
    {"log", log, std::log, [](double x) { return 1 / x; }},
    {"log1p", log1p, std::log1p, [](double x) { return 1 / (1 + x); }, true},
    {"log2", log2, std::log2, [](double x) { return 1 / (x * std::log(2.0)); }},
    {"sin", sin, std::sin, std::cos, true},
    {"cos", cos, std::cos, [](double x) { return -std::sin(x); }},
    {"tan", tan, std::tan, [](double x) { return 1 / std::cos(x) / std::cos(x); }, true},
    {"asin", asin, std::asin, [](double x) { return 1 / std::sqrt(1 - x * x); }, true},
    {"acos", acos, std::acos, [](double x) { return -1 / std::sqrt(1 - x * x); }},
    {"atan", atan, std::atan, [](double x) { return 1 / (1 + x * x); }, true},
    {"sinh", sinh, std::sinh, std::cosh, true},
    {"cosh", cosh, std::cosh, std::sinh},
    {"tanh", tanh, std::tanh, [](double x) { return 1 / std::cosh(x) / std::cosh(x); }, true},
    {"erf", erf, std::erf, [](double x) { return 2 / std::sqrt(2 * kHalfPi) * exp_minus_square(x); }, true},
    {"erfc", erfc, std::erfc, [](double x) { return -2 / std::sqrt(2 * kHalfPi) * exp_minus_square(x); }},
    {"clamp", [](Arg x) { return clamp(x, -1, 2); }, [](double x) { return x < -1  ? -1.0
                                                                           : x > 2 ? 2.0
                                                                                   : x; },
     [](double x) { return x >= -1 && x <= 2 ? 1.0 : 0.0; }},
    {"in_range", [](Arg x) { return in_range(x, -1, 2); },
     [](double x) { return x >= -1 && x <= 2 ? 1.0 : 0.0; }, zero},
};

struct Binary {
  std::string name;
  Var (*f)(Arg, Arg);
  double (*value)(double, double);
};

const std::vector<Binary> kBinary = {
    {"add", add, [](double x, double y) { return x + y; }},
    {"sub", sub, [](double x, double y) { return x - y; }},
    {"mul", mul, [](double x, double y) { return x * y; }},
    {"div", div, [](double x, double y) { return x / y; }},
    {"pow", pow, std::pow},
    {"hypot", hypot, std::hypot},
    {"atan2", atan2, std::atan2},
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
  const std::vector<std::pair<Var (*)(Arg, Arg), bool (*)(T, T)>> all = {
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

}  // namespace

TEST_SUITE_BEGIN("ops");

TEST_CASE("elementwise: special values of functions of one operand, as std's") {
  check_special_values<double>(kUnary);
  check_special_values<float>(kUnary);
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
  check_lengths<double>(kUnary);
  check_lengths<float>(kUnary);
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

TEST_CASE("elementwise: a maximum or minimum that is NaN hands its cotangent to both operands") {
  Tape tape;
  const Var number = tape.input(1.0), nan = tape.input(kNaN);
  for (auto* f : {maximum, minimum}) {
    for (const Var& y : {f(number, nan), f(nan, number)}) {
      for (const Var& g : grad(y, {number, nan})) CHECK(g.item<double>() == 1);
    }
  }
  CHECK(grad(maximum(nan, nan), {nan})[0].item<double>() == 2);
}

TEST_CASE("elementwise: rounding is half to even") {
  Tape tape;
  const Var x =
      enter<double>(tape, {-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.49999999999999994, 2251799813685248.5});
  using List = std::vector<double>;
  CHECK(list<double>(round(x)) == List{-2, -2, 0, 0, 2, 2, 0, 2251799813685248});
  CHECK(list<double>(floor(x)) == List{-3, -2, -1, 0, 1, 2, 0, 2251799813685248});
  CHECK(list<double>(ceil(x)) == List{-2, -1, 0, 1, 2, 3, 1, 2251799813685249});
}

TEST_CASE("elementwise: large results do not overflow before their time") {
  Tape tape;
  const Var x = enter<double>(tape, {710, -710}), y = enter<float>(tape, {89, -89});
  for (const Var& v : {sinh(x), cosh(x)})
    for (double value : list<double>(v)) CHECK(std::isfinite(value));
  for (const Var& v : {sinh(y), cosh(y)})
    for (float value : list<float>(v)) CHECK(std::isfinite(value));
  CHECK(gradient<double>(cosh(x), x)[0] == doctest::Approx(std::sinh(710.0)));
  CHECK(hypot(tape.input(3e200), tape.input(4e200)).item<double>() == doctest::Approx(5e200));
}

TEST_CASE("elementwise: derivatives of hypot and atan2 far out, close to the origin, and at it") {
  for (double scale : {1e-200, 1.0, 1e200}) {
    CAPTURE(scale);
    Tape tape;
    const Var x = tape.input(3 * scale), y = tape.input(4 * scale);
    const auto radius = grad(hypot(x, y), {x, y}), angle = grad(atan2(y, x), {x, y});
    CHECK(radius[0].item<double>() == doctest::Approx(0.6));
    CHECK(radius[1].item<double>() == doctest::Approx(0.8));
    CHECK(angle[0].item<double>() * scale == doctest::Approx(-0.16));
    CHECK(angle[1].item<double>() * scale == doctest::Approx(0.12));
  }
  Tape tape;
  const Var x = tape.input(0.0), y = tape.input(0.0);
  for (const Var& f : {hypot(x, y), atan2(y, x)}) {
    const auto first = grad(f, {x, y}, {.create_graph = true, .cotangent = {}});
    for (const Var& g : first) {
      CHECK(g.item<double>() == 0);
      for (const Var& second : grad(g, {x, y})) CHECK(second.item<double>() == 0);
    }
  }
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
      {"rsqrt",
       [](const Var& x, const Var& o) { return where(greater(x, o), rsqrt(x), o); },
       {0, -1, 4},
       -1.0 / 16,
       3.0 / 128},
      {"log1p",
       [](const Var& x, const Var& o) { return where(greater(x, o), log1p(x), o); },
       {-1, -2, 1},
       0.5,
       -0.25},
      {"asin",
       [](const Var& x, const Var& o) { return where(less(abs(x), 1 + o), asin(x), o); },
       {-1, 1, 2, 0},
       1,
       0},
      {"acos",
       [](const Var& x, const Var& o) { return where(less(abs(x), 1 + o), acos(x), o); },
       {-1, 1, 2, 0},
       -1,
       0},
      {"sinh",
       [](const Var& x, const Var& o) { return where(less(x, 1 + o), sinh(x), o); },
       {1000, kInf, 0},
       1,
       0},
      {"lgamma",
       [](const Var& x, const Var& o) { return where(greater(x, o), lgamma(x), o); },
       {0, -1, 1},
       -0.5772156649015329,
       1.6449340668482264},
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
