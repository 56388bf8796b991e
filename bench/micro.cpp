// Small workloads, each of which peers can be given too: `name: value unit`, the best of several runs, one a
// line. scripts/bench pairs the lines with those of the same work in libtorch.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "xgrad/xgrad.hpp"

using namespace xgrad;

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <class Body>
double best(Body&& body, int runs = 15) {
  double seconds = 1e9;
  for (int i = 0; i < runs; ++i) {
    const double start = now();
    body();
    seconds = std::min(seconds, now() - start);
  }
  return seconds;
}

void report(const char* name, double value, const char* unit) {
  std::printf("%s: %.4g %s\n", name, value, unit);
  std::fflush(stdout);
}

Parameter random_parameter(const Shape& shape, Generator& random) {
  Parameter p({DType::float32, shape});
  nn::Init::uniform(1).fill(p.value_view(), 1, 1, random);
  return p;
}

/// y = y * a + a, `length` times, on n floats: nanoseconds an op.
void chains(Generator& random) {
  for (const std::int64_t n : {1, 64, 4096, 1 << 20}) {
    const int length = n > 100000 ? 50 : 2000;
    Parameter x = random_parameter({n}, random), half = random_parameter({n}, random);
    Tape tape;
    const auto run = [&](bool differentiated) {
      const Var a = tape.constant(half.value<float>());
      Var y = tape.leaf(x);
      for (int i = 0; i < length; ++i) y = y * a + a;
      if (differentiated) backward(sum(y));
    };
    const double unrecorded = best([&] {
      const auto pause = tape.no_grad();
      run(false);
    });
    const double recorded = best([&] { run(false); }), both = best([&] {
                                                         x.zero_grad();
                                                         run(true);
                                                       });
    const double ops = 2e-9 * length;
    char name[64];
    const auto line = [&](const char* what, double seconds) {
      std::snprintf(name, sizeof name, "chain of %lld %s", static_cast<long long>(n), what);
      report(name, seconds / ops, "ns");
    };
    line("unrecorded", unrecorded);
    line("recorded", recorded);
    line("forward and backward", both);
  }
}

void long_chain() {
  const double seconds = best(
      [] {
        Parameter x({DType::float32, Shape{}});
        Tape tape;
        const Var a = tape.constant(0.5, DType::float32);
        Var y = tape.leaf(x);
        for (int i = 0; i < 500000; ++i) y = y * a + a;
        backward(y);
      },
      5);
  report("chain of 1000000 scalar ops", seconds, "s");
}

void matrices(Generator& random) {
  Parameter x = random_parameter({128, 1000}, random), bias = random_parameter({1000}, random);
  Parameter w = random_parameter({64, 64}, random), h = random_parameter({64, 64}, random);
  Tape tape;
  const auto step = [&](const char* name, auto&& loss, double share = 1) {
    report(name,
           best([&] {
             for (Parameter* p : {&x, &bias, &w, &h}) p->zero_grad();
             backward(loss());
           }) * 1e6 *
               share,
           "us");
  };
  step(
      "tanh(matmul 64)",
      [&] {
        Var y = tape.constant(h.value<float>());
        for (int i = 0; i < 200; ++i) y = tanh(matmul(y, tape.leaf(w)));
        return sum(y);
      },
      1.0 / 200);
  const auto labels = [&] {
    return tape.constant({DType::int64, Shape{128}}, [&](View v) {
      for (std::int64_t i = 0; i < v.size(); ++i) v.as<std::int64_t>()[i] = 37 * i % 1000;
    });
  };
  step("softmax cross entropy 128x1000", [&] { return softmax_cross_entropy(tape.leaf(x), labels()); });
  step("sum(log(softmax)) 128x1000", [&] { return sum(log(softmax(tape.leaf(x)))); });
  step("sum over axis 0 128x1000", [&] { return sum(exp(sum(square(tape.leaf(x)), 0))); });
  step("sum over axis 1 128x1000", [&] { return sum(exp(sum(square(tape.leaf(x)), 1))); });
  step("relu of bias 128x1000", [&] { return sum(relu(tape.leaf(x) + tape.leaf(bias))); });
}

/// One step of 784-1024-1024-10 with Adam at batch 256.
void large_network(Generator& random) {
  nn::Sequential net(nn::Dense(784, 1024, random), nn::ReLU{}, nn::Dense(1024, 1024, random), nn::ReLU{},
                     nn::Dense(1024, 10, random));
  optim::Adam adam(nn::parameters(net));
  const Parameter images = random_parameter({256, 784}, random);
  Tape tape;
  const double seconds = best(
      [&] {
        const Var labels = tape.constant({DType::int64, Shape{256}}, [](View v) {
          for (std::int64_t i = 0; i < v.size(); ++i) v.as<std::int64_t>()[i] = i % 10;
        });
        adam.zero_grad();
        backward(softmax_cross_entropy(net(tape.constant(images.value<float>())), labels));
        adam.step();
      },
      8);
  const double flops = 256.0 * (784 * 1024 * 4 + 1024 * 1024 * 6 + 1024 * 10 * 6);
  report("784-1024-1024-10 Adam step", seconds * 1e3, "ms");
  report("784-1024-1024-10 Adam step", flops / seconds * 1e-9, "GFLOP/s");
}

/// What derivatives of the notebook's network cost beside its forward pass, at batch 50.
void derivatives(Generator& random) {
  nn::Sequential net(nn::Dense(784, 128, random), nn::ReLU{}, nn::Dense(128, 10, random));
  const auto parameters = nn::parameters(net);
  const Parameter images = random_parameter({50, 784}, random);
  Tape tape;
  const Var x = tape.constant(images.value<float>());
  const Var labels = tape.constant({DType::int64, Shape{50}}, [](View v) {
    for (std::int64_t i = 0; i < v.size(); ++i) v.as<std::int64_t>()[i] = i % 10;
  });
  const auto p = leaves(tape, parameters);
  std::vector<Var> v;
  for (const Parameter& q : parameters) v.push_back(tape.constant(q.value<float>()));
  const TensorFunction loss = [&](std::span<const Var>) { return softmax_cross_entropy(net(x), labels); };
  const double forward = best([&] { loss(p); }, 200), gradient = best([&] { value_and_grad(loss, p); }, 200),
               product = best([&] { hvp(loss, p, v); }, 200);
  report("gradient of 784-128-10 in forward passes", gradient / forward, "times");
  report("hvp of 784-128-10 in gradients", product / gradient, "times");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) set_num_threads(std::atoi(argv[1]));
  std::printf("BLAS: %s; kernels: %s; threads: %d\n", blas_summary().c_str(), kernel_isa(), num_threads());
  Generator random(1);
  chains(random);
  long_chain();
  matrices(random);
  large_network(random);
  derivatives(random);
}
