// Hamiltonian Monte Carlo (Duane et al. 1987): samples from a density of which only the logarithm, up to a
// constant, and its gradient are known. A sample is the place of a ball that rolls over the landscape
// -log p(x): pushed in a random direction, left to roll for a while, and put back where it was when the
// simulation was inaccurate. The target is a banana, a ~ N(0, 1) and b ~ N(a^2, 1/4), whose moments are
// known: means 0 and 1, variances 1 and 2.25. Many chains run side by side, as the rows of x. Run it without
// arguments: hmc
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>

#include "xgrad/xgrad.hpp"

using namespace xgrad;

constexpr std::int64_t kChains = 500;
constexpr int kWarmUp = 100, kRounds = 1000, kLeaps = 30;
constexpr double kStep = 0.05, kTolerance = 0.05;

/// log p(x) of every chain, x [chains, 2] to [chains, 1].
Var log_density(const Var& x) {
  const auto ab = split(x, 2, 1);
  return -0.5 * square(ab[0]) - 2 * square(ab[1] - square(ab[0]));
}

/// The gradient of log p at every chain: of the sum, as chains do not depend on each other.
Var force(const Var& x) {
  return value_and_grad([](const Var& y) { return sum(log_density(y)); }, x).grads[0];
}

/// The energy of every chain, which the motion conserves.
Var energy(const Var& x, const Var& momentum) { return sum(square(momentum), 1, true) / 2 - log_density(x); }

/// A constant of numbers that `draw()` makes.
Var draws(Tape& tape, const Shape& shape, const std::function<double()>& draw) {
  return tape.constant({DType::float64, shape},
                       [&](View v) { std::generate_n(v.as<double>(), v.size(), draw); });
}

struct Move {
  Var x;              ///< where the chains are now
  double acceptance;  ///< the share of those that moved
};

Move move(const Var& x, Generator& random) {
  const Var push = draws(x.tape(), x.shape(), [&] { return random.normal(); });
  Var y = x, momentum = push + kStep / 2 * force(x);  // leapfrog: momenta between places
  for (int leap = 1; leap <= kLeaps; ++leap) {
    y = y + kStep * momentum;
    momentum = momentum + (leap < kLeaps ? kStep : kStep / 2) * force(y);
  }
  const Var u = draws(x.tape(), {kChains, 1}, [&] { return random.uniform(); });
  const Var accepted = less(log(u), energy(x, push) - energy(y, momentum));
  const auto moved = accepted.value<bool>();
  return {where(accepted, y, x), static_cast<double>(std::count(moved.begin(), moved.end(), true)) / kChains};
}

int main() {
  Generator random(1);
  Tape tape;
  Var x = draws(tape, {kChains, 2}, [&] { return random.normal(); });
  Var total = tape.constant(xt::xarray<double>{0, 0}), squares = total;
  double acceptance = 0;
  for (int round = -kWarmUp; round < kRounds; ++round) {
    const Move next = move(x, random);
    x = next.x;
    if (round < 0) continue;
    total = total + mean(x, 0), squares = squares + mean(square(x), 0);
    acceptance += next.acceptance / kRounds;
  }
  const Var means = total / kRounds, variances = squares / kRounds - square(means);
  std::cout << "share of moves accepted: " << acceptance << "\nmeans: " << means
            << " (exact: [0, 1])\nvariances: " << variances << " (exact: [1, 2.25])\n";
  const xt::xarray<double> exact{{0, 1}, {1, 2.25}};
  const double error = max(abs(stack({means, variances}) - tape.constant(exact))).item<double>();
  std::printf("largest error: %.3f\n", error);
  return error < kTolerance ? EXIT_SUCCESS : EXIT_FAILURE;
}
