// A network that solves a differential equation without having seen its solution (Lagaris et al. 1998; today
// "physics-informed"). For u'' = -u, u(0) = 0, u'(0) = 1 let u = s + s^2 N(t) with s = tanh(t), which meets
// the initial conditions whatever the network N is, and train N until u'' + u is small at points all over the
// interval. u'' is a derivative of the network by its input, and the training differentiates it by the
// weights: a third derivative in all. The solution is sin(t). Run it without arguments: pinn
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numbers>

#include "xgrad/xgrad.hpp"

using namespace xgrad;

constexpr std::int64_t kPoints = 48;
constexpr int kSteps = 2000;
constexpr double kEnd = 2 * std::numbers::pi, kRate = 0.01, kTolerance = 0.01;

/// t [points, 1] -> u [points, 1]
struct Solution {
  nn::Dense in, middle, out;

  explicit Solution(Generator& random, const nn::DenseOptions& o = {.weight = nn::Init::glorot()})
      : in(1, 24, random, o), middle(24, 24, random, o), out(24, 1, random, o) {}
  Var operator()(const Var& t) const {
    const Var s = tanh(t);
    return s + square(s) * out(tanh(middle(tanh(in(t)))));
  }
  void visit(nn::Visitor& v) { v("in", in), v("middle", middle), v("out", out); }
};

/// du/dt at every point: each u depends on its own t alone, so the gradient of their sum is all of them.
Var derivative(const Var& u, const Var& t) { return grad(sum(u), {t}, {.create_graph = true})[0]; }

int main() {
  Generator random(1);
  Solution solution(random);
  optim::Adam adam(nn::parameters(solution));
  Tape tape;

  const xt::xarray<float> grid = xt::linspace<float>(0, static_cast<float>(kEnd), kPoints);
  const xt::xarray<float> points = xt::reshape_view(grid, {kPoints, std::int64_t{1}});
  for (int step = 0; step < kSteps; ++step) {
    const Var t = tape.input(points);
    const Var u = solution(t);
    const Var loss = mean(square(derivative(derivative(u, t), t) + u));
    adam.zero_grad();
    backward(loss);
    adam.options.lr =
        kRate * (1 + std::cos(std::numbers::pi * step / kSteps)) / 2;  // down to 0 along a cosine
    adam.step();
    if (step % 200 == 0)
      std::printf("step %4d: mean square of u'' + u = %.2e\n", step, static_cast<double>(loss.item<float>()));
  }

  const auto pause = tape.no_grad();
  const Var u = solution(tape.constant(points));
  double worst = 0;
  for (std::size_t i = 0; i < kPoints; ++i) {
    const double t = static_cast<double>(grid(i)), value = static_cast<double>(u.value<float>()(i, 0));
    worst = std::max(worst, std::abs(value - std::sin(t)));
    if (i % 8 == 0) std::printf("u(%.3f) = %+.4f   sin = %+.4f\n", t, value, std::sin(t));
  }
  std::printf("largest error: %.5f\n", worst);
  return worst < kTolerance ? EXIT_SUCCESS : EXIT_FAILURE;
}
