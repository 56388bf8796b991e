// gradcheck and gradgradcheck: that they find what is wrong, and say where.
#include "xgrad/tape/gradcheck.hpp"

#include "tests/unit/tape/helpers.hpp"
#include "xgrad/ops/custom.hpp"
#include "xgrad/ops/linalg.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

using Inputs = std::vector<Array>;

/// x y, whose derivative is off by `error` for one element of operand 1.
struct WrongMul {
  static constexpr const char* name = "wrong_mul";
  static constexpr Reads reads[] = {reads_x(1), reads_x(0)};
  double error;
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View y, Write write) const {
    for (std::int64_t i = 0; i < y.size(); ++i) {
      store(y.as<double>()[i], x[0].as<double>()[i] * x[1].as<double>()[i], write);
    }
  }
  void vjp(Backward& b) const {
    b.dx(0) += b.dy() * b.x(1);
    b.dx(1) += b.dy() * (b.x(0) + b.dy().tape().constant(Array{0, error, 0}));
  }
};

/// x x, right in the first derivative, wrong in the second.
struct SquareGrad {
  static constexpr const char* name = "square_grad";
  static constexpr Reads reads[] = {reads_x(1), reads_x(0)};
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View y, Write write) const {
    for (std::int64_t i = 0; i < y.size(); ++i) {
      store(y.as<double>()[i], 2 * x[0].as<double>()[i] * x[1].as<double>()[i], write);
    }
  }
  void vjp(Backward& b) const {
    b.dx(0) += b.dy() * b.x(1) * 2;
    b.dx(1) += b.dy() * b.x(0) * 3;  // should be 2
  }
};
struct Square {
  static constexpr const char* name = "square";
  static constexpr Reads reads[] = {reads_x(0)};
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View y, Write write) const {
    for (std::int64_t i = 0; i < y.size(); ++i) {
      store(y.as<double>()[i], x[0].as<double>()[i] * x[0].as<double>()[i], write);
    }
  }
  void vjp(Backward& b) const { b.dx(0) += apply(SquareGrad{}, b.dy(), b.x(0)); }
};

/// Its derivative is not linear in the cotangent, or is another one at every call.
struct Odd {
  static constexpr const char* name = "odd";
  static constexpr Reads reads[] = {kReadsNothing};
  int* calls;
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View y, Write write) const {
    for (std::int64_t i = 0; i < y.size(); ++i) store(y.as<double>()[i], x[0].as<double>()[i], write);
  }
  void vjp(Backward& b) const {
    if (calls) {
      b.dx(0) += b.dy() * (1 + 1e-9 * ++*calls);
    } else {
      b.dx(0) += b.dy() + 1e-7;
    }
  }
};

}  // namespace

TEST_CASE("gradcheck: what is right") {
  const auto f = [](std::span<const Var> x) { return matmul(tanh(x[0]), x[1]) + x[2]; };
  const Inputs inputs{{{0.1, 0.2, 0.3}, {0.4, 0.5, 0.6}}, {{1, -1}, {0.5, 2}, {0, 1}}, {0.3, 0.4}};
  const GradcheckReport report = gradcheck(f, inputs);
  CHECK(static_cast<bool>(report));
  CHECK(report.entries == 4 * 14 + 2 * 3);  // the Jacobian; zero cotangent and repetition for each operand
  CHECK(report.text() == "all 62 entries agree");
  const GradcheckReport second = gradgradcheck(f, inputs);
  CHECK_MESSAGE(static_cast<bool>(second), second.text());
  const GradcheckReport fast = gradcheck(f, inputs, {.fast = true});
  CHECK_MESSAGE(static_cast<bool>(fast), fast.text());
  CHECK(fast.entries == 1 + 6);
  CHECK(static_cast<bool>(gradgradcheck(f, inputs, {.fast = true})));
  // An input without influence has zeros of the right shape on both sides; none and empty ones are no
  // problem.
  CHECK(static_cast<bool>(gradcheck([](std::span<const Var> x) { return exp(x[1]); }, {{1, 2}, {3, 4}})));
  CHECK(static_cast<bool>(
      gradcheck([](std::span<const Var> x) { return exp(x[0]); }, {Array(xt::zeros<double>({0, 3}))})));
}

TEST_CASE("gradcheck: a wrong derivative is found and named") {
  const auto f = [](std::span<const Var> x) { return apply(WrongMul{0.5}, x[0], x[1]); };
  const Inputs inputs{{1, 2, 3}, {4, 5, 6}};
  const GradcheckReport report = gradcheck(f, inputs);
  REQUIRE(report.failures.size() == 1);
  const GradcheckFailure& failure = report.failures[0];
  CHECK(failure.operand == 1);
  CHECK(failure.input == 1);
  CHECK(failure.result == 0);
  CHECK(failure.output == 1);
  CHECK(failure.analytic == doctest::Approx(2.5));
  CHECK(failure.numeric == doctest::Approx(2));
  CHECK(failure.what.empty());
  CHECK(report.text() ==
        "1 of 22 entries do not agree\n"
        "  result 0 [1], operand 1 [1]: analytic 2.5, numeric 2");
  // A random projection may hide an error in one element, but not often.
  int found = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed)
    found += !gradcheck(f, inputs, {.fast = true, .seed = seed});
  CHECK(found >= 40);
  // Below the tolerance it is not an error, and NaN is never right.
  CHECK(gradcheck([](std::span<const Var> x) { return apply(WrongMul{1e-6}, x[0], x[1]); }, inputs));
  CHECK_FALSE(gradcheck([](std::span<const Var> x) { return apply(WrongMul{NAN}, x[0], x[1]); }, inputs));
  CHECK_FALSE(gradcheck(f, inputs, {.atol = 0.1}));
  CHECK(gradcheck(f, inputs, {.atol = 0.6}));
}

TEST_CASE("gradcheck: the report of a fast check") {
  const auto f = [](std::span<const Var> x) { return apply(WrongMul{0.5}, x[0], x[1]); };
  const GradcheckReport report = gradcheck(f, {{1, 2, 3}, {4, 5, 6}}, {.fast = true});
  REQUIRE(report.failures.size() == 1);
  CHECK(report.failures[0].operand == -1);
  CHECK(report.failures[0].analytic != doctest::Approx(report.failures[0].numeric));
  CHECK(report.text().find("1 of 5 entries do not agree\n  result 0, a random projection: analytic ") == 0);
}

TEST_CASE("gradgradcheck: a wrong second derivative is found where the first is right") {
  const auto f = [](std::span<const Var> x) { return apply(Square{}, x[0]); };
  CHECK(gradcheck(f, {{1, 2}}));
  const GradcheckReport report = gradgradcheck(f, {{1, 2}});
  REQUIRE(report.failures.size() == 2);
  for (const GradcheckFailure& failure : report.failures) {
    CHECK(failure.operand == 0);
    CHECK(failure.result == 0);
    CHECK(failure.input == failure.output);
    CHECK(failure.analytic == doctest::Approx(1.5 * failure.numeric));
  }
  CHECK_FALSE(gradgradcheck(f, {{1, 2}}, {.fast = true}));
}

TEST_CASE("gradcheck: cotangents of zero, and the same again") {
  const GradcheckReport zero =
      gradcheck([](std::span<const Var> x) { return apply(Odd{nullptr}, x[0]); }, {{1, 2}});
  REQUIRE(zero.failures.size() == 1);
  CHECK(zero.failures[0].what == "a zero cotangent gives a gradient that is not zero");
  CHECK(zero.text() ==
        "1 of 6 entries do not agree\n"
        "  result 0 [0], operand 0 [0]: a zero cotangent gives a gradient that is not zero");
  int calls = 0;
  const GradcheckReport repeated =
      gradcheck([&](std::span<const Var> x) { return apply(Odd{&calls}, x[0]); }, {{1, 2}});
  REQUIRE(repeated.failures.size() == 1);
  CHECK(repeated.failures[0].what == "the same backward twice gives different results");
}

TEST_CASE("gradcheck: many failures are counted, the first ten told") {
  const GradcheckReport report = gradcheck([](std::span<const Var> x) { return tanh(x[0]); },
                                           {Array(xt::ones<double>({30}))}, {.atol = -1, .rtol = 0});
  CHECK(report.failures.size() == 900);
  const std::string text = report.text();
  CHECK(std::count(text.begin(), text.end(), '\n') == 10);
  CHECK(text.find("900 of 902 entries do not agree") == 0);
}

TEST_CASE("gradcheck: what the function throws, and what it may return") {
  const auto fails = [](std::span<const Var> x) { return x[0] + x[1]; };
  CHECK_ERROR(gradcheck(fails, {{1, 2}, {1, 2, 3}}), ShapeError, "add: shapes [2] and [3] do not broadcast");
  const auto single = [](std::span<const Var> x) { return x[0].tape().constant(1, DType::float32); };
  CHECK_ERROR(gradcheck(single, {{1, 2}}), DTypeError, "gradcheck: the result is float32, not float64");
}
