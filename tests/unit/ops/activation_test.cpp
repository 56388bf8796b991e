// Activation functions at special values, kinks and every length.
#include "xgrad/ops/activation.hpp"

#include "tests/unit/ops/unary_checks.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }
double softplus_of(double x) { return x > 40 ? x : std::log1p(std::exp(x)); }
double normal_of(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }
double density_of(double x) { return std::exp(-0.5 * x * x) / std::sqrt(4 * kHalfPi); }
/// The weight that gelu by tanh gives x, and its derivative times x.
double tanh_weight(double x) { return sigmoid_of(2 / std::sqrt(kHalfPi) * (x + 0.044715 * x * x * x)); }
double tanh_slope(double x) {
  if (std::abs(x) > 100) return 0;
  return tanh_weight(x) * tanh_weight(-x) * 2 / std::sqrt(kHalfPi) * (x + 3 * 0.044715 * x * x * x);
}
/// The weight w vanishes faster than x grows.
double weighted(double w, double x) { return w == 0 ? 0 : w * x; }

const std::vector<Unary> kActivations = {
    {"relu", relu, [](double x) { return x < 0 ? 0 : x; }, [](double x) { return x > 0 ? 1.0 : 0.0; }},
    {"leaky_relu", [](Arg x) { return leaky_relu(x, 0.25); }, [](double x) { return x < 0 ? 0.25 * x : x; },
     [](double x) { return x > 0 ? 1 : 0.25; }, true},
    {"elu", [](Arg x) { return elu(x, 0.5); }, [](double x) { return x < 0 ? 0.5 * std::expm1(x) : x; },
     [](double x) { return x > 0 ? 1 : 0.5 * std::exp(x); }},
    {"selu", selu,
     [](double x) { return 1.0507009873554805 * (x < 0 ? 1.6732632423543772 * std::expm1(x) : x); },
     [](double x) { return 1.0507009873554805 * (x < 0 ? 1.6732632423543772 * std::exp(x) : 1); }},
    {"hardtanh", [](Arg x) { return hardtanh(x); },
     [](double x) { return std::isnan(x) ? x : std::fmin(std::fmax(x, -1), 1); },
     [](double x) { return std::abs(x) <= 1 ? 1.0 : 0.0; }},
    {"sigmoid", sigmoid, sigmoid_of, [](double x) { return sigmoid_of(x) * sigmoid_of(-x); }},
    {"log_sigmoid", log_sigmoid, [](double x) { return -softplus_of(-x); },
     [](double x) { return sigmoid_of(-x); }},
    {"softplus", [](Arg x) { return softplus(x, 2); }, [](double x) { return softplus_of(2 * x) / 2; },
     [](double x) { return sigmoid_of(2 * x); }},
    {"gelu", [](Arg x) { return gelu(x); }, [](double x) { return weighted(normal_of(x), x); },
     [](double x) { return normal_of(x) + weighted(density_of(x), x); }},
    {"gelu by tanh", [](Arg x) { return gelu(x, GeluForm::tanh); },
     [](double x) { return weighted(tanh_weight(x), x); },
     [](double x) { return tanh_weight(x) + tanh_slope(x); }},
    {"silu", silu, [](double x) { return weighted(sigmoid_of(x), x); },
     [](double x) { return sigmoid_of(x) + weighted(sigmoid_of(x) * sigmoid_of(-x), x); }},
    {"mish", mish, [](double x) { return weighted(std::tanh(softplus_of(x)), x); },
     [](double x) {
       const double t = std::tanh(softplus_of(x));
       return t + weighted((1 - t * t) * sigmoid_of(x), x);
     }},
};

template <class T>
void check_derivatives_stay_finite() {
  const std::vector<T> x = {0, -0.0, 30, -30, 90, -90, 501, -501, 1e4, -1e4, 1e6, -1e6};
  for (const Unary& f : kActivations) {
    Tape tape;
    const Var v = enter(tape, x);
    Var y = sum(f.f(v));
    for (int order = 1; order <= 3; ++order) {
      const Var g = grad(y, {v}, {.create_graph = true, .cotangent = {}})[0];
      const std::vector<T> slopes = list<T>(g);
      for (std::size_t i = 0; i < x.size(); ++i) {
        CHECK_MESSAGE(std::isfinite(slopes[i]), f.name, ", derivative ", order, " at ", x[i], " is ",
                      slopes[i]);
        if (order > 1 && std::abs(x[i]) > 1000) CHECK_MESSAGE(slopes[i] == 0, f.name, " at ", x[i]);
      }
      y = sum(g);
      if (!y.requires_grad()) break;
    }
  }
}

}  // namespace

TEST_SUITE_BEGIN("ops");

TEST_CASE("activation: special values") {
  check_special_values<double>(kActivations);
  check_special_values<float>(kActivations);
}

TEST_CASE("activation: every length from 1 to 70") {
  check_lengths<double>(kActivations);
  check_lengths<float>(kActivations);
}

TEST_CASE("activation: no derivative overflows on the way") {
  check_derivatives_stay_finite<double>();
  check_derivatives_stay_finite<float>();
}

TEST_CASE("activation: derivatives at kinks") {
  Tape tape;
  const Var v = enter<double>(tape, {-0.0, 0});
  using List = std::vector<double>;
  constexpr double kScale = 1.0507009873554805;
  for (bool graph : {false, true}) {
    CHECK(gradient<double>(relu(v), v, graph) == List{0, 0});
    CHECK(gradient<double>(leaky_relu(v), v, graph) == List{0.01, 0.01});
    CHECK(gradient<double>(elu(v), v, graph) == List{1, 1});
    CHECK(gradient<double>(elu(v, 0.5), v, graph) == List{0.5, 0.5});
    CHECK(gradient<double>(selu(v), v, graph) == List{kScale, kScale});
    CHECK(gradient<double>(hardtanh(v, 0, 1), v, graph) == List{1, 1});
  }
}

TEST_CASE("activation: small values keep their precision") {
  Tape tape;
  const auto at = [&](double x) { return tape.input(x); };
  CHECK(agree(log_sigmoid(at(50)).item<double>(), -1.9287498479639178e-22));
  CHECK(agree(log_sigmoid(at(-800)).item<double>(), -800.0));
  CHECK(agree(softplus(at(-50)).item<double>(), 1.9287498479639178e-22));
  CHECK(agree(gelu(at(-10)).item<double>(), -7.6198530241605261e-23, 200.0));
  CHECK(agree(silu(at(-50)).item<double>(), -9.643749239819589e-21));
  CHECK(agree(mish(at(-50)).item<double>(), -9.643749239819589e-21));
  CHECK(agree(elu(at(-1e-20)).item<double>(), -1e-20));
}

TEST_SUITE_END();
