// Ops that a user writes: from scalar lambdas, and as structs.
#include "xgrad/ops/custom.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <sstream>

#include "xgrad/ops/reduce.hpp"
#include "xgrad/ops/shape.hpp"
#include "xgrad/tape/grad.hpp"
#include "xgrad/tape/gradcheck.hpp"

using namespace xgrad;

namespace {

using Array = xt::xarray<double>;
using Vars = std::span<const Var>;

const auto softsign = elementwise<"softsign">(
    [](auto x) {
      using std::abs;
      return x / (1 + abs(x));
    },
    [](auto x, auto) {
      using std::abs;
      return 1 / ((1 + abs(x)) * (1 + abs(x)));
    });
/// Without a formula for its second derivative.
const auto sine =
    elementwise<"sine">([](auto x) { return std::sin(x); }, [](double x, double) { return std::cos(x); });

/// Sums up along the last axis, forwards or backwards: each is the other's derivative.
struct CumulativeSum {
  static constexpr const char* name = "cumulative_sum";
  static constexpr Reads reads[] = {kReadsNothing};
  bool reversed;
  TensorType infer(Operands x) const {
    if (x[0].shape().rank() == 0) throw ShapeError("cumulative_sum: x must not be a scalar");
    return {x[0].dtype, x[0].shape()};
  }
  void eval(Operands x, View y, Write write) const {
    detail::with_float_type(y.dtype, [&](auto zero) {
      using T = decltype(zero);
      const std::int64_t n = y.shape()[y.shape().rank() - 1];
      T total = 0;
      for (std::int64_t k = 0; k < y.size(); ++k) {
        if (k % n == 0) total = 0;
        const std::int64_t i = reversed ? k / n * n + n - 1 - k % n : k;
        total += x[0].as<T>()[i];
        detail::put_element(y.as<T>()[i], total, write);
      }
    });
  }
  void vjp(Backward& b) const { b.dx(0) += apply(CumulativeSum{!reversed}, b.dy()); }
};

/// d^2 / 2 of the difference d of its operands where |d| < width, width (|d| - width / 2) beyond.
struct Huber {
  static constexpr const char* name = "huber";
  static constexpr Reads reads[] = {reads_x(0) | reads_x(1)};
  double width;
  TensorType infer(Operands x) const {
    if (x[0].shape() != x[1].shape()) {
      throw ShapeError(
          detail::text("huber: x ", x[0].shape(), " and y ", x[1].shape(), " must have the same shape"));
    }
    return {x[0].dtype, x[0].shape()};
  }
  void eval(Operands x, View y, Write write) const {
    for (std::int64_t i = 0; i < y.size(); ++i) {
      const double d = std::abs(x[0].as<double>()[i] - x[1].as<double>()[i]);
      detail::put_element(y.as<double>()[i], d < width ? d * d / 2 : width * (d - width / 2), write);
    }
  }
  void vjp(Backward& b) const {
    const Var slope = b.dy() * clamp(b.x(0) - b.x(1), -width, width);
    b.dx(0) += slope;
    b.dx(1) += -slope;
  }
  void describe(std::ostream& out) const { out << "width=" << width; }
};

/// x^3 with a slip in its derivative: 3 x instead of 3 x^2, or no derivative, or one that reads what it did
/// not name.
enum class Slip { wrong_slope, unnamed_value, wrong_shape };
template <Slip kSlip>
struct SlippedCube {
  static constexpr const char* name = "slipped_cube";
  static constexpr Reads reads[] = {kSlip == Slip::unnamed_value ? kReadsNothing : reads_x(0)};
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View y, Write write) const {
    for (std::int64_t i = 0; i < y.size(); ++i) {
      const double v = x[0].as<double>()[i];
      detail::put_element(y.as<double>()[i], v * v * v, write);
    }
  }
  void vjp(Backward& b) const {
    if constexpr (kSlip == Slip::wrong_shape) {
      b.dx(0) += sum(b.dy() * 3 * square(b.x(0)));
    } else {
      b.dx(0) += b.dy() * 3 * b.x(0);
    }
  }
};

struct NoDerivative {
  static constexpr const char* name = "no_derivative";
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands, View, Write) const {}
};

}  // namespace

TEST_SUITE_BEGIN("ops");

TEST_CASE("custom: an elementwise op from two lambdas") {
  const TensorFunction f = [](Vars x) { return softsign(x[0]); };
  const Array x{{0.5, -1.5, 2}, {-0.2, 0.7, -3}};
  CHECK_MESSAGE(gradcheck(f, {x}), gradcheck(f, {x}).text());
  CHECK_MESSAGE(gradgradcheck(f, {x}), gradgradcheck(f, {x}).text());
  Tape tape;
  const Var v = tape.input(xt::xarray<float>{3, -1});
  const Var y = softsign(v);
  CHECK(y.array<float>() == xt::xarray<float>{0.75f, -0.5f});
  CHECK(grad(sum(y), {v})[0].array<float>() == xt::xarray<float>{0.0625f, 0.25f});
  std::ostringstream recording;
  tape.print(recording);
  CHECK(recording.str().find("softsign(%") != std::string::npos);
  CHECK_THROWS_WITH_AS(softsign(tape.constant(xt::xarray<int>{1})),
                       "softsign: operand 0 is int32, not floating", DTypeError);
}

TEST_CASE("custom: an elementwise op from one lambda, differentiated by dual numbers") {
  const auto op = elementwise<"wave">([](auto x) {
    using std::exp, std::sin, std::abs;
    return x > 1 ? exp(-x) * sin(3 * x) : x * x / (1 + abs(x));
  });
  const TensorFunction f = [&](Vars x) { return op(x[0]); };
  const Array x{{0.5, -1.5, 2}, {-0.2, 0.7, 3}};
  CHECK_MESSAGE(gradcheck(f, {x}), gradcheck(f, {x}).text());
  CHECK_MESSAGE(gradgradcheck(f, {x}), gradgradcheck(f, {x}).text());
  Tape tape;
  const Var v = tape.input(xt::xarray<float>{0.5f, -1}), y = op(v);
  CHECK(y.array<float>()(1) == 0.5f);
  const Var first = grad(sum(y), {v}, {.create_graph = true, .cotangent = {}})[0];
  CHECK(first.array<float>()(1) == -0.75f);
  const Var second = grad(sum(first), {v}, {.create_graph = true, .cotangent = {}})[0];
  CHECK(second.array<float>()(1) == 0.25f);
  CHECK_THROWS_WITH_AS(grad(sum(second), {v}), "wave: has no third derivative", NotDifferentiable);
  std::ostringstream recording;
  tape.print(recording);
  CHECK(recording.str().find("differentiated by 0 0") != std::string::npos);
  CHECK_THROWS_WITH_AS(op(tape.constant(xt::xarray<int>{1})), "wave: operand 0 is int32, not floating",
                       DTypeError);
}

TEST_CASE("custom: an elementwise op of several operands, which broadcast") {
  const auto op = elementwise<"power_over">([](auto x, auto y, auto z) {
    using std::pow;
    return pow(x, y) / (1 + z * z);
  });
  const TensorFunction f = [&](Vars x) { return op(x[0], x[1], x[2]); };
  const Array y{0.3, -1, 2}, z{0.4}, x = xt::reshape_view(Array{0.5, 1.5}, {2, 1});
  CHECK_MESSAGE(gradcheck(f, {x, y, z}), gradcheck(f, {x, y, z}).text());
  CHECK_MESSAGE(gradgradcheck(f, {x, y, z}), gradgradcheck(f, {x, y, z}).text());
  Tape tape;
  CHECK(f(std::vector{tape.input(x), tape.input(y), tape.input(z)}).array<double>()(1, 2) ==
        doctest::Approx(2.25 / 1.16));
  CHECK_THROWS_WITH_AS(op(tape.input(Array{1, 2}), tape.input(y), tape.input(z)),
                       "power_over: shapes [2] and [3] do not broadcast", ShapeError);
  CHECK_THROWS_WITH_AS(op(tape.input(1.0), tape.input(1.0f), tape.input(1.0)),
                       "power_over: dtypes differ, float64 and float32", DTypeError);
}

TEST_CASE("custom: nothing infinite leaks from a lambda's other operands") {
  const auto op = elementwise<"root_of_one">([](auto x, auto y) {
    using std::sqrt;
    return sqrt(x) + y * y;
  });
  Tape tape;
  const Var x = tape.input(Array{0, 4}), y = tape.input(Array{1, 2}), zero = tape.constant(0, DType::float64);
  CHECK(grad(sum(op(x, y)), {y})[0].array<double>() == Array{2, 4});
  const Var guarded = sum(where(greater(x, zero), op(x, y), zero));
  CHECK(grad(guarded, {x})[0].array<double>() == Array{0, 0.25});
}

TEST_CASE("custom: without a second derivative") {
  const TensorFunction f = [](Vars x) { return sine(x[0]); };
  const Array x{0.5, -1.5, 2};
  CHECK_MESSAGE(gradcheck(f, {x}), gradcheck(f, {x}).text());
  Tape tape;
  const Var v = tape.input(x);
  CHECK_THROWS_WITH_AS(grad(sum(sine(v)), {v}, {.create_graph = true, .cotangent = {}}),
                       "sine: has no second derivative; its derivative does not take a Var",
                       NotDifferentiable);
  CHECK(grad(sum(sine(v)), {v})[0].array<double>()(0) == doctest::Approx(std::cos(0.5)));
}

TEST_CASE("custom: lambdas may capture numbers") {
  for (double slope : {0.1, 0.3}) {
    const auto leaky =
        elementwise<"leaky">([=](auto x) { return x > 0 ? x : static_cast<decltype(x)>(slope) * x; },
                             [=](double x, double) { return x > 0 ? 1 : slope; });
    Tape tape;
    const Var x = tape.input(Array{2, -2});
    CHECK(leaky(x).array<double>() == Array{2, -2 * slope});
    CHECK(grad(sum(leaky(x)), {x})[0].array<double>() == Array{1, slope});
  }
}

TEST_CASE("custom: lambdas may own what they capture") {
  Tape tape;
  const Var x = tape.input(Array{2, 3});
  Var y;
  {
    const std::vector<double> coefficients{1, 2, 3};  // 1 + 2 x + 3 x^2
    y = elementwise<"polynomial">([coefficients](auto v) {
      decltype(v) value = 0;
      for (std::size_t i = coefficients.size(); i-- > 0;) value = value * v + coefficients[i];
      return value;
    })(x);
  }
  const Var g = grad(sum(y), {x}, {.create_graph = true, .cotangent = {}})[0];
  CHECK(g.array<double>() == Array{14, 20});
  CHECK(grad(sum(g), {x})[0].array<double>() == Array{6, 6});
}

TEST_CASE("custom: an op as a struct, a cumulative sum") {
  const TensorFunction f = [](Vars x) { return apply(CumulativeSum{false}, x[0]); };
  const Array x{{1, 2, 4}, {8, 16, 32}};
  Tape tape;
  CHECK(f(std::vector{tape.input(x)}).array<double>() == Array{{1, 3, 7}, {8, 24, 56}});
  for (const Array& input : {x, Array(Array::from_shape({0, 3})), Array(Array::from_shape({2, 0}))}) {
    CHECK_MESSAGE(gradcheck(f, {input}), gradcheck(f, {input}).text());
    CHECK_MESSAGE(gradgradcheck(f, {input}), gradgradcheck(f, {input}).text());
  }
  CHECK_THROWS_WITH_AS(f(std::vector{tape.input(1.0)}), "cumulative_sum: x must not be a scalar", ShapeError);
}

TEST_CASE("custom: an op as a struct, the Huber function") {
  const TensorFunction f = [](Vars x) { return apply(Huber{1.5}, x[0], x[1]); };
  const Array x{0.3, -4, 2, 7, 1}, y{0.1, 2, 1, 2, 1.5};
  CHECK_MESSAGE(gradcheck(f, {x, y}), gradcheck(f, {x, y}).text());
  CHECK_MESSAGE(gradgradcheck(f, {x, y}), gradgradcheck(f, {x, y}).text());
  Tape tape;
  const Var a = tape.input(x), b = tape.input(y), z = apply(Huber{1.5}, a, b);
  CHECK(grad(sum(z), {a, b})[1].array<double>()(1) == 1.5);
  std::ostringstream recording;
  tape.print(recording);
  CHECK(recording.str().find(", width=1.5) : float64 [5]") != std::string::npos);
  CHECK_THROWS_WITH_AS(apply(Huber{1}, a, tape.input(1.0)), "huber: x [5] and y [] must have the same shape",
                       ShapeError);
}

TEST_CASE("custom: nothing leaks into where from a user's op") {
  const auto root =
      elementwise<"root">([](auto x) { return std::sqrt(x); }, [](auto, auto y) { return 0.5 / y; });
  Tape tape;
  const Var x = tape.input(Array{-1, 0, 4}), zero = tape.constant(0, DType::float64);
  const Var y = where(greater(x, zero), root(x), zero);
  CHECK(grad(sum(y), {x})[0].array<double>() == Array{0, 0, 0.25});
  const Var recorded = grad(sum(y), {x}, {.create_graph = true, .cotangent = {}})[0];
  CHECK(recorded.array<double>() == Array{0, 0, 0.25});
}

TEST_CASE("custom: gradcheck catches a wrong derivative and says where") {
  const TensorFunction f = [](Vars x) { return apply(SlippedCube<Slip::wrong_slope>{}, x[0]); };
  const Array x{0.5, 1, -2};
  const GradcheckReport report = gradcheck(f, {x});
  REQUIRE(report.failures.size() == 2);  // at 1 the slip does not show
  CHECK(report.failures[0].input == 0);
  CHECK(report.failures[0].output == 0);
  CHECK(report.failures[0].analytic == doctest::Approx(1.5));
  CHECK(report.failures[0].numeric == doctest::Approx(0.75));
  CHECK(report.text().find("2 of ") == 0);
  CHECK(report.text().find("result 0 [2], operand 0 [2]: analytic -6, numeric 12") != std::string::npos);
  CHECK_FALSE(gradcheck(f, {x}, {.fast = true}));
  CHECK(gradcheck(f, {Array{1}}));
}

TEST_CASE("custom: slips that are caught without numbers") {
  Tape tape;
  const Var x = tape.input(Array{1, 2});
  CHECK_THROWS_WITH_AS(grad(sum(apply(SlippedCube<Slip::unnamed_value>{}, x)), {x}),
                       "slipped_cube: vjp reads x(0), which its `reads` does not name", Error);
  CHECK_THROWS_WITH_AS(grad(sum(apply(SlippedCube<Slip::wrong_shape>{}, x)), {x}),
                       "slipped_cube: vjp gives float64 [] for operand 0 of type float64 [2]", ShapeError);
  CHECK_THROWS_WITH_AS(grad(sum(apply(NoDerivative{}, x)), {x}), "no_derivative: has no derivative",
                       NotDifferentiable);
}

TEST_SUITE_END();
