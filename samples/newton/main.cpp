// Newton's method: where the gradient g and the Hessian H are known, the step -H^-1 g goes to the minimum of
// the parabola that touches the function. Near the minimum the number of right digits doubles with every
// step, which shows in the printed norms of the gradient. Once for a function of a vector, Rosenbrock's, and
// once for the parameters of a model: logistic regression, where the method is known as iteratively
// reweighted least squares. Run it without arguments: newton
#include <cmath>
#include <cstdio>
#include <functional>

#include "xgrad/xgrad.hpp"

using namespace xgrad;

constexpr double kConverged = 1e-10;
constexpr int kMostSteps = 20;

/// A valley along the parabola b = a^2, with its lowest point at (1, 1).
Var rosenbrock(const Var& x) {
  const Var a = slice(x, 0, 0, 1), b = slice(x, 0, 1, 2);
  return sum(square(1 - a) + 100 * square(b - square(a)));
}

/// The end of Newton's path from x. Derivatives are taken with respect to constants, so nothing is recorded
/// from one step to the next.
Var minimize(const UnaryFunction& f, Var x) {
  for (int step = 0;; ++step) {
    const auto [value, gradient] = value_and_grad(f, x);
    const double slope = norm(gradient[0]).item<double>();
    std::printf("step %d: f = %.3e, |gradient| = %.1e\n", step, value.item<double>(), slope);
    if (slope < kConverged || step == kMostSteps) return x;
    x = x - solve(hessian(f, x), gradient[0]);
  }
}

/// One step for a model: the blocks of the Hessian, one for each pair of parameters, become one matrix, and
/// the solution is cut into the parameters again. Returns the norm of the gradient before.
double newton_step(Tape& tape, std::vector<Parameter>& parameters, const std::function<Var()>& loss) {
  const auto f = [&](std::span<const Var>) { return loss(); };
  const std::vector<Var> w = leaves(tape, parameters);
  const auto [value, gradients] = value_and_grad(f, w);
  const auto blocks = hessian(f, w);
  std::vector<Var> g, rows;
  std::vector<std::int64_t> sizes;
  for (std::size_t i = 0; i < w.size(); ++i) {
    std::vector<Var> row;
    for (std::size_t j = 0; j < w.size(); ++j)
      row.push_back(reshape(blocks[i][j], {w[i].size(), w[j].size()}));
    rows.push_back(concat(row, 1));
    g.push_back(flatten(gradients[i]));
    sizes.push_back(w[i].size());
  }
  const Var gradient = concat(g);
  const std::vector<Var> steps = split(solve(concat(rows), gradient), sizes);
  for (std::size_t i = 0; i < w.size(); ++i) {
    parameters[i].assign((w[i] - reshape(steps[i], w[i].shape())).array<double>());
  }
  return norm(gradient).item<double>();
}

int main() {
  Tape tape;
  std::puts("Rosenbrock's function, from (-1.2, 1)");
  const Var x = minimize(rosenbrock, tape.constant(xt::xarray<double>{-1.2, 1}));
  std::printf("minimum at (%.12f, %.12f)\n\n", x.value<double>()(0), x.value<double>()(1));

  // Who passes an exam: hours of study and of sleep, and whether it was enough (mostly).
  const xt::xarray<double> hours{{1, 6}, {2, 8}, {2, 5}, {3, 7}, {4, 4},
                                 {4, 8}, {5, 6}, {6, 5}, {6, 8}, {8, 7}};
  const xt::xarray<double> passed{0, 0, 0, 1, 0, 0, 1, 0, 1, 1};
  Generator random(1);
  nn::Dense model(2, 1, random, {.weight = nn::Init::constant(0), .dtype = DType::float64});
  auto parameters = nn::parameters(model);
  std::puts("Logistic regression, from zero");
  double slope = 1;
  for (int step = 0; slope > kConverged && step < kMostSteps; ++step) {
    tape.clear();
    const auto loss = [&] {
      return binary_cross_entropy_with_logits(flatten(model(tape.constant(hours))), tape.constant(passed));
    };
    slope = newton_step(tape, parameters, loss);
    std::printf("step %d: |gradient| = %.1e\n", step, slope);
  }
  const auto w = model.weight.value<double>();
  std::printf("odds of passing: times %.3f for an hour of study, times %.3f for one of sleep\n",
              std::exp(w(0, 0)), std::exp(w(1, 0)));
}
