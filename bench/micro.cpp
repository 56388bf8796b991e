// What an op costs beside its arithmetic, and what training steps cost: small workloads, each of which peers
// can be given too. The counter `seconds` is for one op of a chain, one layer or one step. bench/run
// takes the least of several repetitions, which is what its peers report.
#include <span>
#include <string>
#include <vector>

#include "measure.hpp"

using namespace xgrad;
using bench::measure, bench::random_parameter, bench::workload;

namespace {

/// y = y * a + a, again and again: `ops` ops.
Var chain(Var y, const Var& a, std::int64_t ops) {
  for (std::int64_t i = 0; i < ops / 2; ++i) y = y * a + a;
  return y;
}

enum class Pass { unrecorded, recorded, both };

void chain_of(benchmark::State& state, std::int64_t n, Pass pass) {
  Generator random(1);
  const std::int64_t ops = n > 100000 ? 100 : 4000;
  Parameter x = random_parameter({n}, random);
  const Parameter half = random_parameter({n}, random);
  Tape tape;
  measure(state, static_cast<double>(ops), [&] {
    const Var a = tape.constant(half.value<float>());
    x.zero_grad();
    if (pass == Pass::unrecorded) {
      const auto pause = tape.no_grad();
      chain(tape.leaf(x), a, ops);
    } else if (const Var y = chain(tape.leaf(x), a, ops); pass == Pass::both) {
      backward(sum(y));
    }
  });
}

/// A new tape each time, which has to grow.
void long_chain(benchmark::State& state, std::int64_t ops) {
  measure(state, static_cast<double>(ops), [&] {
    Parameter x({DType::float32, Shape{}});
    Tape tape;
    backward(chain(tape.leaf(x), tape.constant(0.5, DType::float32), ops));
  });
}

void chains() {
  for (const std::int64_t n : {1, 64, 4096, 1 << 20}) {
    const std::string name = "chain of " + std::to_string(n);
    workload(name + " unrecorded", [=](auto& state) { chain_of(state, n, Pass::unrecorded); });
    workload(name + " recorded", [=](auto& state) { chain_of(state, n, Pass::recorded); });
    workload(name + " forward and backward", [=](auto& state) { chain_of(state, n, Pass::both); });
  }
  for (const std::int64_t ops : {62500, 250000, 1000000})
    workload("chain of " + std::to_string(ops) + " scalar ops", [=](auto& state) { long_chain(state, ops); });
}

/// The gradient of a loss of x [128, 1000] and a bias [1000].
template <class Loss>
void gradient_of(const std::string& name, Loss loss) {
  workload(name + " 128x1000", [=](auto& state) {
    Generator random(1);
    Parameter x = random_parameter({128, 1000}, random), bias = random_parameter({1000}, random);
    Tape tape;
    measure(state, 1, [&] {
      x.zero_grad(), bias.zero_grad();
      backward(loss(tape.leaf(x), tape.leaf(bias)));
    });
  });
}

void matrices() {
  workload("tanh(matmul 64)", [](auto& state) {
    constexpr int kLayers = 200;
    Generator random(1);
    Parameter w = random_parameter({64, 64}, random);
    const Parameter h = random_parameter({64, 64}, random);
    Tape tape;
    measure(state, kLayers, [&] {
      w.zero_grad();
      Var y = tape.constant(h.value<float>());
      for (int i = 0; i < kLayers; ++i) y = tanh(matmul(y, tape.leaf(w)));
      backward(sum(y));
    });
  });
  gradient_of("softmax cross entropy", [](const Var& x, const Var&) {
    return softmax_cross_entropy(x, bench::make_labels(x.tape(), 128, 1000));
  });
  gradient_of("sum(log(softmax))", [](const Var& x, const Var&) { return sum(log(softmax(x))); });
  gradient_of("sum over axis 0", [](const Var& x, const Var&) { return sum(exp(sum(square(x), 0))); });
  gradient_of("sum over axis 1", [](const Var& x, const Var&) { return sum(exp(sum(square(x), 1))); });
  gradient_of("relu of bias", [](const Var& x, const Var& bias) { return sum(relu(x + bias)); });
}

/// What derivatives of the notebook's network cost beside its forward pass, at batch 50.
void derivatives() {
  enum class What { forward, gradient, hvp };
  const auto derivative = [](const std::string& name, What what) {
    workload("784-128-10 " + name, [=](auto& state) {
      Generator random(1);
      nn::Sequential net = bench::dense({784, 128, 10}, random);
      const auto parameters = nn::parameters(net);
      Tape tape;
      const Var x = tape.constant(random_parameter({50, 784}, random).value<float>());
      const Var labels = bench::make_labels(tape, 50, 10);
      const auto p = leaves(tape, parameters);
      std::vector<Var> v;
      for (const Parameter& q : parameters) v.push_back(tape.constant(q.value<float>()));
      const TensorFunction loss = [&](std::span<const Var>) { return softmax_cross_entropy(net(x), labels); };
      measure(state, 1, [&] {
        if (what == What::forward) loss(p);
        if (what == What::gradient) value_and_grad(loss, p);
        if (what == What::hvp) hvp(loss, p, v);
      });
    });
  };
  derivative("forward", What::forward);
  derivative("gradient", What::gradient);
  derivative("hvp", What::hvp);
}

}  // namespace

int main(int argc, char** argv) {
  chains();
  matrices();
  workload("784-128-10 SGD step", [](auto& state) { bench::train<optim::SGD>(state, {784, 128, 10}, 50); });
  workload("784-1024-1024-10 Adam step", [](auto& state) {
    bench::train<optim::Adam>(state, {784, 1024, 1024, 10}, 256);
  });
  derivatives();
  return bench::run(argc, argv);
}
