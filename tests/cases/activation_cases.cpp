// Rows of the case table: activation functions.
#include "xgrad/ops/activation.hpp"

#include <algorithm>
#include <cmath>

#include "tests/cases/op_cases.hpp"

namespace xgrad::cases {
namespace {

/// log(1 + exp(x))
double soft(double x) { return x > 100 ? x : std::log(1 + std::exp(x)); }
/// x times a weight that vanishes at -inf, where the product does too.
double weighted(double x, double weight) { return weight == 0 ? 0 : x * weight; }

}  // namespace

// By hand: clang-format spreads lambdas that hold braces over many lines.
// clang-format off
std::vector<OpCase> activation_cases() {
  return {
      unary("relu", relu, [](double x) { return std::max(x, 0.0); }, nonzero),
      unary("leaky_relu", [](Arg x) { return leaky_relu(x); },
            [](double x) { return std::max(x, 0.01 * x); }, nonzero),
      without_errors(unary("leaky_relu of slope 0.3", [](Arg x) { return leaky_relu(x, 0.3); },
                           [](double x) { return std::max(x, 0.3 * x); }, nonzero)),
      unary("elu", [](Arg x) { return elu(x); },
            [](double x) { return x > 0 ? x : std::exp(x) - 1; }, nonzero),
      without_errors(unary("elu with alpha", [](Arg x) { return elu(x, 0.5); },
                           [](double x) { return x > 0 ? x : 0.5 * (std::exp(x) - 1); }, nonzero)),
      unary("selu", selu, [](double x) {
              const double scale = 1.0507009873554805, alpha = 1.6732632423543772;
              return scale * (x > 0 ? x : alpha * (std::exp(x) - 1));
            }, nonzero),
      with_errors(without_errors(unary("hardtanh", [](Arg x) { return hardtanh(x); },
                                       [](double x) { return std::clamp(x, -1.0, 1.0); }, {-2, 2, {-1, 1}})),
                  {fails_when<Error>([](Tape& t) { hardtanh(ones(t, {2}), 2, 1); },
                                     "hardtanh: low 2 must be at most high 1")}),

      unary("sigmoid", sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }),
      unary("log_sigmoid", log_sigmoid, [](double x) { return -soft(-x); }),
      with_errors(unary("softplus", [](Arg x) { return softplus(x); },
                        soft),
                  {fails_when<Error>([](Tape& t) { softplus(ones(t, {2}), 0); },
                                     "softplus: beta 0 must be positive")}),
      without_errors(unary("softplus with beta", [](Arg x) { return softplus(x, 3); },
                           [](double x) { return soft(3 * x) / 3; })),
      unary("gelu", [](Arg x) { return gelu(x); },
            [](double x) { return weighted(x, (1 + std::erf(x / std::sqrt(2.0))) / 2); }),
      without_errors(unary("gelu by tanh", [](Arg x) { return gelu(x, GeluForm::tanh); }, [](double x) {
              return weighted(x, (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x))) / 2);
            })),
      unary("silu", silu, [](double x) { return weighted(x, 1 / (1 + std::exp(-x))); }),
      unary("mish", mish, [](double x) { return weighted(x, std::tanh(soft(x))); }),
  };
}

}  // namespace xgrad::cases
