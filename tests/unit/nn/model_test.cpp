// Models: visiting, Sequential, penalties, and whole training runs.
#include <optional>
#include <type_traits>

#include "tests/unit/tape/helpers.hpp"
#include "xgrad/nn/layers.hpp"
#include "xgrad/nn/sequential.hpp"
#include "xgrad/ops/activation.hpp"
#include "xgrad/ops/loss.hpp"
#include "xgrad/optim/optimizer.hpp"
#include "xgrad/support/threads.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

/// A user's own layers: with parameters and children, with a switch, with nothing.
struct Block {
  nn::Dense in, out;
  Parameter scale;
  explicit Block(Generator& random)
      : in(4, 4, random, {.l2 = 0.5}), out(4, 4, random), scale(xt::xarray<float>{2}, "my scale") {}
  Var operator()(const Var& x) const { return x + out(relu(in(x))) * x.tape().leaf(scale); }
  void visit(nn::Visitor& v) { v("in", in), v("out", out), v("scale", scale); }
};
struct Negate {
  Var operator()(const Var& x) const { return -x; }
};

std::vector<std::string> names(const std::vector<Parameter>& parameters) {
  std::vector<std::string> all;
  for (const Parameter& p : parameters) all.push_back(p.name());
  return all;
}

}  // namespace

TEST_CASE("model: parameters are named by their paths, in order, shared ones once") {
  Generator random(1);
  nn::Sequential net(nn::Dense(4, 4, random), nn::ReLU{}, Block(random), Negate{},
                     nn::Sequential(nn::Dropout(0.5, random), nn::Dense(4, 2, random)),
                     [](const Var& x) { return x * 2.0; });
  CHECK(net.size() == 6);
  std::vector<Parameter> all = nn::parameters(net);
  CHECK(names(all) == std::vector<std::string>{"0.weight", "0.bias", "2.in.weight", "2.in.bias",
                                               "2.out.weight", "2.out.bias", "my scale", "4.1.weight",
                                               "4.1.bias"});
  CHECK(nn::parameter_count(net) == 3 * (16 + 4) + 1 + 8 + 2);
  // Handles, not copies; and names given once stay.
  all[0].set_name("first");
  CHECK(nn::parameters(net)[0].name() == "first");
  CHECK(nn::parameters(net)[0].is(all[0]));
  Tape tape;
  const Var y = net(tape.constant(xt::xarray<float>{{1, 2, 3, 4}}));
  CHECK(y.shape() == Shape{1, 2});

  nn::Dense shared(4, 4, random), tied(4, 4, random);
  tied.weight = shared.weight.share();
  nn::Sequential twice(std::move(shared), std::move(tied));
  CHECK(names(nn::parameters(twice)) == std::vector<std::string>{"0.weight", "0.bias", "1.bias"});
  CHECK(nn::parameter_count(twice) == 24);
  nn::Sequential empty;
  CHECK(nn::parameters(empty).empty());
  const Var x = tape.input(1.0);
  CHECK(empty(x).item<double>() == 1);
}

TEST_CASE("model: set_training reaches every switch") {
  Generator random(1);
  nn::Sequential net(nn::Dropout(0.5, random), nn::Sequential(nn::Dropout(0.5, random)), Negate{});
  Tape tape;
  const Var x = tape.constant(xt::xarray<float>(xt::ones<float>({100})));
  nn::set_training(net, false);
  CHECK(values(net(x)) == Values(100, -1));
  nn::set_training(net, true);
  CHECK(values(net(x)) != Values(100, -1));
}

TEST_CASE("model: add makes a Sequential longer") {
  Generator random(1);
  nn::Sequential net;
  net.add(nn::Dense(2, 3, random)).add(nn::Tanh{}).add(Negate{});
  CHECK(net.size() == 3);
  CHECK(nn::parameters(net).size() == 2);
  nn::Sequential moved = std::move(net);
  nn::Sequential chained = nn::Sequential().add(nn::ReLU{}).add(nn::Tanh{});
  static_assert(std::is_same_v<decltype(nn::Sequential().add(nn::ReLU{})), nn::Sequential>);
  CHECK(chained.size() == 2);
  Tape tape;
  CHECK(moved(tape.constant(xt::xarray<float>{{1, 2}})).shape() == Shape{1, 3});
}

TEST_CASE("model: the L2 penalty is on weights, not on biases, with the gradient 2 l2 w") {
  Generator random(1);
  nn::Sequential net(
      nn::Dense(3, 4, random, {.bias = nn::Init::constant(1), .l2 = 0.1, .dtype = DType::float64}),
      nn::Dense(4, 2, random, {.dtype = DType::float64}),
      nn::Dense(2, 2, random, {.l2 = 0.01, .dtype = DType::float64}));
  const std::vector<Parameter> p = nn::parameters(net);
  Tape tape;
  const Var penalty = nn::penalty(net, tape);
  double expected = 0;
  for (double w : value_of(p[0])) expected += 0.1 * w * w;
  for (double w : value_of(p[4])) expected += 0.01 * w * w;
  CHECK(penalty.item<double>() == doctest::Approx(expected).epsilon(1e-14));
  backward(penalty);
  for (std::size_t i : {std::size_t{0}, std::size_t{4}}) {
    Values slope = value_of(p[i]);
    for (double& w : slope) w *= 2 * (i == 0 ? 0.1 : 0.01);
    CHECK(difference(grad_of(p[i]), slope) < 1e-15);
  }
  for (std::size_t i : {1, 2, 3, 5}) CHECK_FALSE(p[i].has_grad());
  nn::Sequential without(nn::Dense(3, 4, random), nn::ReLU{});
  CHECK_FALSE(nn::penalty(without, tape).defined());
}

namespace {

/// Trains a small network on made-up data; what comes back are its weights and its losses.
Values train(std::uint64_t seed, int threads, std::int64_t hidden, bool adam, int steps) {
  set_num_threads(threads);
  Generator random(seed);
  nn::Sequential net(nn::Dense(100, hidden, random, {.l2 = 1e-4}), nn::ReLU{}, nn::Dropout(0.3, random),
                     nn::Dense(hidden, 10, random));
  std::optional<optim::SGD> sgd;
  std::optional<optim::Adam> other;
  if (adam) {
    other.emplace(nn::parameters(net));
  } else {
    sgd.emplace(nn::parameters(net), optim::SGDOptions{.lr = 0.1, .momentum = 0.9, .nesterov = true});
  }
  Generator data(5);
  xt::xarray<float> x = xt::zeros<float>({600, 100});
  xt::xarray<std::int64_t> labels = xt::zeros<std::int64_t>({600});
  for (std::size_t r = 0; r < 600; ++r) {
    labels(r) = static_cast<std::int64_t>(r % 10);
    for (std::size_t c = 0; c < 100; ++c)
      x(r, c) = static_cast<float>(data.uniform() + (c % 10 == r % 10 ? 1 : 0));
  }
  Tape tape;
  Values result;
  for (int i = 0; i < steps; ++i) {
    adam ? other->zero_grad() : sgd->zero_grad();
    const Var loss =
        softmax_cross_entropy(net(tape.constant(x)), tape.constant(labels)) + nn::penalty(net, tape);
    backward(loss);
    adam ? other->step() : sgd->step();
    result.push_back(static_cast<double>(loss.item<float>()));
  }
  for (const Parameter& p : nn::parameters(net)) {
    const Values w = value_of(p);
    result.insert(result.end(), w.begin(), w.end());
  }
  set_num_threads(1);
  return result;
}

}  // namespace

TEST_CASE("training: the same bits at every run, with every number of threads (threads)") {
  for (const bool adam : {false, true}) {
    CAPTURE(adam);
    const Values once = train(1, 1, 400, adam, 6);
    CHECK(same_bits(train(1, 1, 400, adam, 6), once));
    CHECK(same_bits(train(1, 2, 400, adam, 6), once));
    CHECK(same_bits(train(1, 3, 400, adam, 6), once));
    CHECK_FALSE(same_bits(train(2, 1, 400, adam, 6), once));
  }
}

TEST_CASE("training: it learns") {
  for (const bool adam : {false, true}) {
    const Values run = train(1, 1, 32, adam, 60);
    CHECK(run[0] > 2);
    CHECK(run[59] < (adam ? 1.2 : 0.3));
  }
}

namespace {

template <class Optimizer>
Values trained(bool packed, const typename std::type_identity<decltype(Optimizer::options)>::type& options) {
  Generator random(3);
  nn::Sequential net(nn::Dense(12, 33, random, {.l2 = 1e-3}), nn::ReLU{}, nn::Dropout(0.5, random),
                     nn::Dense(33, 7, random));
  if (packed) nn::pack(net);
  Optimizer optimizer(nn::parameters(net), options);
  xt::xarray<float> x = xt::zeros<float>({20, 12});
  xt::xarray<std::int64_t> labels = xt::zeros<std::int64_t>({20});
  for (float& v : x) v = static_cast<float>(random.normal());
  for (std::int64_t& label : labels) label = random.below(7);
  Tape tape;
  for (int step = 0; step < 30; ++step) {
    optimizer.zero_grad();
    backward(softmax_cross_entropy(net(tape.constant(x)), tape.constant(labels)) + nn::penalty(net, tape));
    optimizer.step();
  }
  Values result;
  for (const Parameter& p : nn::parameters(net)) {
    for (double v : value_of(p)) result.push_back(v);
  }
  return result;
}

}  // namespace

TEST_CASE("pack: a network of packed parameters trains to the same bits") {
  CHECK(same_bits(trained<optim::SGD>(true, {.lr = 0.1, .momentum = 0.9}),
                  trained<optim::SGD>(false, {.lr = 0.1, .momentum = 0.9})));
  CHECK(same_bits(trained<optim::Adam>(true, {.lr = 0.01}), trained<optim::Adam>(false, {.lr = 0.01})));
}

TEST_CASE("pack: layers that share a parameter, models together") {
  Generator random(1);
  nn::Dense shared(4, 4, random), tied(4, 4, random);
  tied.weight = shared.weight.share();
  nn::Sequential net(std::move(shared), std::move(tied)), other(nn::Dense(4, 1, random));
  nn::pack(net, other);
  const std::vector<Parameter> all = nn::parameters(net, other);
  REQUIRE(all.size() == 5);
  for (std::size_t i = 1; i < all.size(); ++i) CHECK(all[i - 1].precedes(all[i]));
}
