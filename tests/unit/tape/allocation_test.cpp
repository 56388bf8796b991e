// A program of its own, whose operator new counts and can be told to fail: training steps after the second
// allocate nothing, and running out of memory at any place leaks nothing and breaks nothing.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <execinfo.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "tests/replaced_new.hpp"
#include "xgrad/nn/conv.hpp"
#include "xgrad/nn/layers.hpp"
#include "xgrad/nn/norm.hpp"
#include "xgrad/nn/sequential.hpp"
#include "xgrad/ops/activation.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/loss.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/optim/optimizer.hpp"
#include "xgrad/support/threads.hpp"
#include "xgrad/tape/grad.hpp"
#include "xgrad/tape/profile.hpp"

namespace {

std::atomic<std::int64_t> allocations = 0, living = 0;
std::atomic<std::int64_t> fail_in = -1;  // this many more succeed; below 0, all do
std::atomic<bool> show = false;          // where an allocation comes from, for whoever looks for one

}  // namespace

void xgrad::test::before_allocation() {
  if (fail_in >= 0 && fail_in-- == 0) throw std::bad_alloc();
  ++allocations;
  if (!show) return;
  show = false;
  void* frames[32];
  backtrace_symbols_fd(frames, backtrace(frames, 32), 2);
  show = true;
}
void xgrad::test::note_block(void*, int change) noexcept { living += change; }

using namespace xgrad;

namespace {

/// Data like MNIST's, small.
struct Data {
  xt::xarray<float> pixels = xt::zeros<float>({50, 60}), one_hot = xt::zeros<float>({50, 10});
  xt::xarray<std::int64_t> labels = xt::zeros<std::int64_t>({50});
  Data() {
    Generator random(1);
    for (float& v : pixels) v = static_cast<float>(random.uniform());
    for (std::size_t r = 0; r < 50; ++r) {
      const std::uint32_t label = random.below(10);
      labels(r) = label;
      one_hot(r, label) = 1;
    }
  }
};

const Data& data() {
  static const Data d;
  return d;
}

/// How many allocations each of five steps makes.
template <class Step>
std::vector<std::int64_t> count(Step&& step) {
  std::vector<std::int64_t> made(5);
  show = false;
  for (std::size_t i = 0; i < made.size(); ++i) {
    const std::int64_t before = allocations;
    show = i >= 2 && std::getenv("XGRAD_TEST_BACKTRACE");
    step();
    show = false;
    made[i] = allocations - before;
  }
  return made;
}

template <class Step>
void check_steps(Step&& step) {
  const std::vector<std::int64_t> made = count(step);
  CHECK(made[0] > 0);  // the counter counts
  for (std::size_t i = 2; i < made.size(); ++i) {
    CAPTURE(i);
    CHECK(made[i] == 0);
  }
}

nn::DenseOptions with_l2(double l2) {
  return {.weight = nn::Init::kaiming(), .bias = nn::Init::constant(0), .l2 = l2};
}

}  // namespace

TEST_CASE("allocations: the network of MNIST, SGD") {
  Generator random(1);
  const Data& d = data();
  for (const optim::SGDOptions& options :
       {optim::SGDOptions{.lr = 0.1}, optim::SGDOptions{.lr = 0.1, .momentum = 0.9, .nesterov = true}}) {
    nn::Dense first(60, 32, random), second(32, 10, random);
    nn::Dropout dropout(0.5, random);
    std::vector<Parameter> all;
    for (const Parameter* p : {&first.weight, &first.bias, &second.weight, &second.bias})
      all.push_back(p->share());
    optim::SGD sgd(std::move(all), options);
    Tape tape;
    double total = 0;
    check_steps([&] {
      sgd.zero_grad();
      const Var logits = second(dropout(relu(first(tape.constant(d.pixels)))));
      const Var loss = softmax_cross_entropy(logits, tape.constant(d.labels));
      backward(loss);
      sgd.step();
      total += static_cast<double>(loss.item<float>());
    });
    CHECK(total > 0);
  }
}

TEST_CASE("allocations: packed parameters, a profile that is attached and not") {
  Generator random(1);
  const Data& d = data();
  nn::Sequential net(nn::Dense(60, 32, random), nn::ReLU{}, nn::Dense(32, 10, random));
  nn::pack(net);
  optim::Adam adam(nn::parameters(net));
  Tape tape;
  Profile profile;
  const auto step = [&] {
    adam.zero_grad();
    backward(softmax_cross_entropy(net(tape.constant(d.pixels)), tape.constant(d.labels)));
    adam.step();
  };
  SUBCASE("not") { check_steps(step); }
  SUBCASE("attached") {
    const auto on = tape.profile(&profile);
    check_steps(step);
  }
}

TEST_CASE("allocations: the composed loss, Sequential, an L2 penalty, Adam") {
  Generator random(1);
  const Data& d = data();
  nn::Sequential net(nn::Dense(60, 32, random, with_l2(1e-3)), nn::ReLU{}, nn::Dropout(0.5, random),
                     nn::Dense(32, 10, random), nn::Softmax{});
  optim::Adam adam(nn::parameters(net));
  Tape tape;
  const auto step_on = [&](const auto& targets) {
    return [&] {
      adam.zero_grad();
      const Var loss = categorical_cross_entropy(net(tape.constant(d.pixels)), tape.constant(targets));
      backward(loss + nn::penalty(net, tape));
      adam.step();
    };
  };
  SUBCASE("one-hot targets") { check_steps(step_on(d.one_hot)); }
  SUBCASE("labels") { check_steps(step_on(d.labels)); }
}

TEST_CASE("allocations: losses with options") {
  Generator random(1);
  const Data& d = data();
  nn::Dense layer(60, 10, random);
  std::vector<Parameter> all;
  for (const Parameter* p : {&layer.weight, &layer.bias}) all.push_back(p->share());
  optim::SGD sgd(std::move(all), {.lr = 0.1});
  const xt::xarray<float> weights = xt::ones<float>({10});
  Tape tape;
  const auto step_on = [&](auto&& loss) {
    return [&, loss] {
      sgd.zero_grad();
      backward(loss(layer(tape.constant(d.pixels))));
      sgd.step();
    };
  };
  SUBCASE("softmax_cross_entropy") {
    check_steps(step_on([&](const Var& y) {
      return softmax_cross_entropy(y, tape.constant(d.labels),
                                   {.class_weights = tape.constant(weights),
                                    .ignore_index = 3,
                                    .label_smoothing = 0.1,
                                    .reduction = Reduction::mean});
    }));
  }
  SUBCASE("binary_cross_entropy_with_logits") {
    check_steps(step_on([&](const Var& y) {
      return binary_cross_entropy_with_logits(y, tape.constant(d.one_hot),
                                              {.pos_weight = tape.constant(weights)});
    }));
  }
  SUBCASE("huber") {
    check_steps(step_on([&](const Var& y) { return huber(y, tape.constant(d.one_hot)); }));
  }
}

TEST_CASE("allocations: a convolutional network with batch normalisation") {
  Generator random(1);
  const Data& d = data();
  nn::Sequential net(nn::Conv2d(1, 4, 3, random, {.padding = 1}), nn::BatchNorm2d(4), nn::ReLU{},
                     nn::MaxPool2d{{.window = 2}}, nn::Conv2d(4, 6, 2, random), nn::Tanh{},
                     nn::AvgPool2d{{.window = 2, .stride = 1}}, nn::Flatten{}, nn::LayerNorm(Shape{18}),
                     nn::Dense(18, 10, random));
  optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
  Tape tape;
  check_steps([&] {
    sgd.zero_grad();
    const Var images = tape.constant({DType::float32, Shape{50, 1, 6, 10}},
                                     [&](View v) { std::copy_n(d.pixels.data(), v.size(), v.as<float>()); });
    backward(softmax_cross_entropy(net(images), tape.constant(d.labels)));
    sgd.step();
  });
}

TEST_CASE("allocations: batches filled in place, a ragged one among them, and threads") {
  set_num_threads(2);
  Generator random(1);
  const Data& d = data();
  nn::Dense first(60, 2000, random), second(2000, 10, random);
  std::vector<Parameter> all;
  for (const Parameter* p : {&first.weight, &first.bias, &second.weight, &second.bias})
    all.push_back(p->share());
  optim::SGD sgd(std::move(all), {.lr = 0.1});
  Tape tape;
  const auto step = [&](std::int64_t rows) {
    const Var x = tape.constant({DType::float32, Shape{rows, 60}},
                                [&](View v) { std::copy_n(d.pixels.data(), rows * 60, v.as<float>()); });
    const Var labels = tape.constant({DType::int64, Shape{rows}}, [&](View v) {
      std::copy_n(d.labels.data(), rows, v.as<std::int64_t>());
    });
    sgd.zero_grad();
    backward(softmax_cross_entropy(second(relu(first(x))), labels));
    sgd.step();
  };
  check_steps([&] {
    step(50);
    step(50);
    step(7);
  });
  set_num_threads(1);
}

TEST_CASE("allocations: evaluating in between") {
  Generator random(1);
  const Data& d = data();
  nn::Sequential net(nn::Dense(60, 32, random), nn::ReLU{}, nn::Dense(32, 10, random));
  optim::SGD sgd(nn::parameters(net), {.lr = 0.1});
  Tape tape;
  check_steps([&] {
    sgd.zero_grad();
    backward(softmax_cross_entropy(net(tape.constant(d.pixels)), tape.constant(d.labels)));
    sgd.step();
    const Tape::Pause pause = tape.no_grad();
    (void)softmax_cross_entropy(net(tape.constant(d.pixels)), tape.constant(d.labels)).item<float>();
  });
}

TEST_CASE("allocations: one recording differentiated again and again") {
  Generator random(1);
  const Data& d = data();
  const nn::Dense layer(60, 10, random);
  Tape tape;
  const Var loss = softmax_cross_entropy(layer(tape.constant(d.pixels)), tape.constant(d.labels));
  check_steps([&] {
    for (int i = 0; i < 1000; ++i) backward(loss, {.keep_recording = true});
  });
}

TEST_CASE("out of memory: wherever it happens, nothing leaks and the tape goes on") {
  const Data& d = data();
  {
    // Let everything that is made once be made.
    Generator random(1);
    nn::Dense warm(60, 10, random);
    Tape tape;
    backward(softmax_cross_entropy(warm(tape.constant(d.pixels)), tape.constant(d.labels)));
  }
  bool done = false;
  int failures = 0;
  for (std::int64_t at = 0; !done && at < 10000; ++at) {
    const std::int64_t before = living;
    bool sound = true;
    {
      Generator random(1);
      nn::Dense first(60, 5, random), second(5, 10, random), late(5, 10, random);
      std::vector<Parameter> all;
      for (const Parameter* p : {&first.weight, &first.bias, &second.weight, &second.bias})
        all.push_back(p->share());
      optim::SGD sgd(std::move(all), {.lr = 0.1, .momentum = 0.9});
      Tape tape;
      const auto step = [&](const nn::Dense& last) {
        const Var logits = last(tanh(first(tape.constant(d.pixels))));
        Var loss = softmax_cross_entropy(logits, tape.constant(d.labels));
        const Var x = tape.leaf(first.weight);
        const Var g = grad(loss, {x}, {.create_graph = true, .cotangent = {}})[0];
        loss = loss + sum(g * g);
        backward(loss);
        sgd.step();
      };
      fail_in = at;
      try {
        step(second);
        step(late);
        done = true;
      } catch (const std::bad_alloc&) {
        ++failures;
      }
      fail_in = -1;
      tape.clear();
      sound = tape.statistics().slots == 0 && tape.statistics().instructions == 0 &&
              tape.statistics().bytes_in_use == 0;
      first.weight.zero_grad();
      step(second);
      sound = sound && first.weight.has_grad() && tape.statistics().slots == 0;
    }
    const std::int64_t leaked = living - before;
    if (!sound || leaked) MESSAGE("when allocation ", at, " fails");
    REQUIRE(sound);
    REQUIRE(leaked == 0);
  }
  CHECK(done);
  CHECK(failures > 15);
}
