// The optimisers against their formulas, written down once more for single numbers.
#include "xgrad/optim/optimizer.hpp"

#include <optional>
#include <type_traits>

#include "tests/unit/tape/helpers.hpp"

using namespace xgrad;
using namespace xgrad::test;
using optim::Adam;
using optim::SGD;

namespace {

constexpr int kSteps = 20;
constexpr std::size_t kSize = 37;  // whole batches of every instruction set and a tail

/// Some function's gradient, different at each step and each element.
template <class T>
T gradient_at(T w, int step, std::size_t i) {
  return static_cast<T>(std::cos(0.7 * step + 0.3 * static_cast<double>(i)) + 0.5 * static_cast<double>(w));
}

template <class T>
Parameter start() {
  xt::xarray<T> value = xt::zeros<T>({kSize});
  for (std::size_t i = 0; i < kSize; ++i) value(i) = static_cast<T>(std::sin(static_cast<double>(i)));
  return Parameter(value, "w");
}

/// Sets a parameter's gradient through a tape: the loss is linear in it.
template <class T>
void set_gradient(Tape& tape, const Parameter& p, int step) {
  xt::xarray<T> g = xt::zeros<T>({kSize});
  const auto w = p.value<T>();
  for (std::size_t i = 0; i < kSize; ++i) g(i) = gradient_at(static_cast<T>(w(i)), step, i);
  backward(sum(tape.leaf(p) * tape.constant(g)));
}

/// Runs `optimizer` beside update(w, g, i, step), which changes one number.
template <class T, class Optimizer, class Update>
double worst_difference(const typename std::type_identity<decltype(Optimizer::options)>::type& options,
                        Update&& update) {
  const Parameter p = start<T>();
  std::vector<Parameter> all;
  all.push_back(p.share());
  Optimizer optimizer(std::move(all), options);
  Values expected = value_of(p);
  Tape tape;
  double worst = 0;
  for (int step = 1; step <= kSteps; ++step) {
    optimizer.zero_grad();
    // Each follows its own weights, so that errors show and do not cancel.
    set_gradient<T>(tape, p, step);
    for (std::size_t i = 0; i < kSize; ++i) update(expected[i], gradient_at(expected[i], step, i), i, step);
    optimizer.step();
    worst = std::max(worst, difference(value_of(p), expected));
  }
  return worst;
}

template <class T>
double sgd_difference(const optim::SGDOptions& o) {
  std::vector<double> v(kSize, 0);
  return worst_difference<T, SGD>(o, [&](double& w, double g, std::size_t i, int) {
    g += o.weight_decay * w;
    v[i] = o.momentum * v[i] + g;
    w -= o.lr * (o.nesterov ? g + o.momentum * v[i] : o.momentum > 0 ? v[i] : g);
  });
}

template <class T>
double adam_difference(const optim::AdamOptions& o) {
  std::vector<double> m(kSize, 0), v(kSize, 0);
  return worst_difference<T, Adam>(o, [&](double& w, double g, std::size_t i, int step) {
    g += o.weight_decay * w;
    m[i] = o.beta1 * m[i] + (1 - o.beta1) * g;
    v[i] = o.beta2 * v[i] + (1 - o.beta2) * g * g;
    const double mean = m[i] / (1 - std::pow(o.beta1, step)), square = v[i] / (1 - std::pow(o.beta2, step));
    w -= o.lr * mean / (std::sqrt(square) + o.epsilon);
  });
}

std::vector<Parameter> handles(std::initializer_list<const Parameter*> parameters) {
  std::vector<Parameter> all;
  for (const Parameter* p : parameters) all.push_back(p->share());
  return all;
}

}  // namespace

TEST_CASE("sgd: 20 steps of every variant") {
  for (const optim::SGDOptions& o :
       {optim::SGDOptions{.lr = 0.1}, optim::SGDOptions{.lr = 0.1, .weight_decay = 0.3},
        optim::SGDOptions{.lr = 0.05, .momentum = 0.9},
        optim::SGDOptions{.lr = 0.05, .momentum = 0.9, .nesterov = true},
        optim::SGDOptions{.lr = 0.05, .momentum = 0.5, .nesterov = true, .weight_decay = 0.1}}) {
    CAPTURE(o.momentum);
    CAPTURE(o.nesterov);
    CAPTURE(o.weight_decay);
    CHECK(sgd_difference<double>(o) < 1e-12);
    CHECK(sgd_difference<float>(o) < 1e-5);
  }
}

TEST_CASE("adam: 20 steps of every variant") {
  for (const optim::AdamOptions& o :
       {optim::AdamOptions{}, optim::AdamOptions{.lr = 0.1},
        optim::AdamOptions{.lr = 0.05, .beta1 = 0.5, .beta2 = 0.9},
        optim::AdamOptions{.lr = 0.05, .epsilon = 0.1}, optim::AdamOptions{.lr = 0.05, .weight_decay = 0.2},
        optim::AdamOptions{.lr = 0.05, .beta1 = 0, .beta2 = 0}}) {
    CAPTURE(o.lr);
    CAPTURE(o.epsilon);
    CAPTURE(o.weight_decay);
    CHECK(adam_difference<double>(o) < 1e-12);
    CHECK(adam_difference<float>(o) < 2e-5);
  }
}

TEST_CASE("optimizers: parameters without a gradient are left alone") {
  const Parameter with(Array{1, 2}, "with"), without(Array{3, 4}, "without");
  SGD sgd(handles({&with, &without}), {.lr = 0.5, .momentum = 0.9, .weight_decay = 0.1});
  Adam adam(handles({&with, &without}), {.weight_decay = 0.1});
  sgd.step();
  adam.step();
  CHECK(value_of(with) == Values{1, 2});
  Tape tape;
  backward(sum(tape.leaf(with)) + 0 * sum(tape.constant(Array{1, 2})));
  const std::uint64_t version = without.version(), moved = with.version();
  sgd.step();
  adam.step();
  CHECK(value_of(without) == Values{3, 4});
  CHECK(without.version() == version);
  CHECK(with.version() == moved + 2);
  CHECK(value_of(with)[0] < 1);
  sgd.zero_grad();
  CHECK_FALSE(with.has_grad());
  CHECK(sgd.parameters().size() == 2);
}

TEST_CASE("adam: each parameter counts its own steps") {
  const Parameter early(Array{1, 1}, "early"), late(Array{1, 1}, "late");
  Adam adam(handles({&early, &late}), {.lr = 0.1});
  Tape tape;
  for (int i = 0; i < 5; ++i) {
    adam.zero_grad();
    backward(sum(tape.leaf(early)));
    adam.step();
  }
  adam.zero_grad();
  backward(sum(tape.leaf(late)));
  adam.step();
  CHECK(value_of(late)[0] == doctest::Approx(0.9));  // a first step is of length lr
}

TEST_CASE("optimizers: options may change between steps") {
  const Parameter w(Array{1.0}, "w");
  Tape tape;
  const auto step = [&](auto& optimizer) {
    optimizer.zero_grad();
    backward(sum(tape.leaf(w)));
    optimizer.step();
    return value_of(w)[0];
  };
  SGD sgd(handles({&w}), {.lr = 0.5});
  CHECK(step(sgd) == 0.5);
  sgd.options.lr = 0.25;
  CHECK(step(sgd) == 0.25);
  sgd.options.momentum = 0.5;  // from now on
  CHECK(step(sgd) == 0);
  CHECK(step(sgd) == -0.375);
  sgd.options.momentum = 0;
  CHECK(step(sgd) == -0.625);
}

TEST_CASE("clip_grad_norm: all gradients together, values untouched") {
  const Parameter a(Array{1, 2}, "a"), b(xt::xarray<float>{3}, "b"), without(Array{4}, "without");
  SGD sgd(handles({&a, &b, &without}), {.lr = 1});
  Tape tape;
  const auto set = [&](double ga, float gb) {
    sgd.zero_grad();
    backward(sum(tape.leaf(a) * tape.constant(Array{ga, 0})));
    backward(sum(tape.leaf(b) * tape.constant(xt::xarray<float>{gb})));
  };
  set(3, 4);
  const std::uint64_t version = a.version();
  CHECK(sgd.clip_grad_norm(10) == 5);
  CHECK(a.grad<double>()(0) == 3);
  CHECK(sgd.clip_grad_norm(2.5) == 5);
  CHECK(a.grad<double>()(0) == 1.5);
  CHECK(b.grad<float>()(0) == 2);
  CHECK(sgd.clip_grad_norm(2.5) == 2.5);
  CHECK(a.version() == version);
  CHECK_FALSE(without.has_grad());

  set(INFINITY, 4);
  CHECK(sgd.clip_grad_norm(1) == INFINITY);
  CHECK(b.grad<float>()(0) == 4);
  set(NAN, 4);
  CHECK(std::isnan(sgd.clip_grad_norm(1)));
  CHECK(b.grad<float>()(0) == 4);
  CHECK_ERROR(sgd.clip_grad_norm(0), Error, "clip_grad_norm: the norm must be above 0, not 0");
  CHECK_ERROR(sgd.clip_grad_norm(NAN), Error, "clip_grad_norm: the norm must be above 0, not nan");
  sgd.zero_grad();
  CHECK(sgd.clip_grad_norm(1) == 0);
}

TEST_CASE("optimizers: options out of range") {
  const auto sgd = [](const optim::SGDOptions& o) { SGD({}, o).step(); };
  const auto adam = [](const optim::AdamOptions& o) { Adam({}, o).step(); };
  sgd({.lr = 0});
  adam({.lr = 0});
  CHECK_ERROR(sgd({.lr = -1}), Error, "sgd: lr must be at least 0, not -1");
  CHECK_ERROR(sgd({.lr = NAN}), Error, "sgd: lr must be at least 0, not nan");
  CHECK_ERROR(sgd({.momentum = -0.5}), Error, "sgd: momentum must be at least 0, not -0.5");
  CHECK_ERROR(sgd({.weight_decay = -1}), Error, "sgd: weight_decay must be at least 0, not -1");
  CHECK_ERROR(sgd({.nesterov = true}), Error, "sgd: nesterov needs a momentum above 0, not 0");
  CHECK_ERROR(adam({.lr = -1}), Error, "adam: lr must be at least 0, not -1");
  CHECK_ERROR(adam({.beta1 = 1}), Error, "adam: beta1 must be in [0, 1), not 1");
  CHECK_ERROR(adam({.beta2 = -0.1}), Error, "adam: beta2 must be in [0, 1), not -0.1");
  CHECK_ERROR(adam({.epsilon = -1}), Error, "adam: epsilon must be at least 0, not -1");
  CHECK_ERROR(adam({.weight_decay = -1}), Error, "adam: weight_decay must be at least 0, not -1");
}

TEST_CASE("optimizers: they outlive the model's own handles") {
  std::optional<SGD> sgd;
  Tape tape;
  {
    const Parameter w(Array{1.0}, "w");
    sgd.emplace(handles({&w}), optim::SGDOptions{.lr = 1});
    backward(sum(tape.leaf(w)));
  }
  SGD moved = std::move(*sgd);
  sgd.reset();
  moved.step();
  CHECK(value_of(moved.parameters()[0]) == Values{0});
  const auto parameters = std::move(moved).parameters();  // not a reference into what is gone
  static_assert(std::is_same_v<decltype(parameters), const std::vector<Parameter>>);
  CHECK(value_of(parameters[0]) == Values{0});
}

namespace {

/// Values after steps in which some parameters have no gradient, of sizes with and without tails.
template <class Optimizer>
Values trained(Optimizer make(std::vector<Parameter>), bool packed) {
  std::vector<Parameter> all;
  for (const std::int64_t size : {37, 16, 1, 0, 200, 5}) {
    all.push_back(Parameter({size == 16 ? DType::float32 : DType::float64, Shape{size}}, "p"));
  }
  Optimizer optimizer = make(handles({&all[0], &all[1], &all[2], &all[3], &all[4], &all[5]}));
  if (packed) pack(all);
  Tape tape;
  for (int step = 0; step < kSteps; ++step) {
    optimizer.zero_grad();
    Var loss = tape.constant(0, DType::float64);
    for (std::size_t k = 0; k < all.size(); ++k) {
      if (k == 1 || (k == 4 && step % 3 == 0) || (k == 5 && step < 7)) continue;
      const Var w = tape.leaf(all[k]);
      loss = loss + sum(cos(w + 0.1 * step + static_cast<double>(k)) * (w - 3.0));
    }
    backward(loss);
    optimizer.step();
  }
  Values result;
  for (const Parameter& p : all) {
    for (double v : value_of(p)) result.push_back(v);
    result.push_back(static_cast<double>(p.version()));
  }
  return result;
}

}  // namespace

TEST_CASE("optimizers: packed parameters become the same to the bit") {
  using Parameters = std::vector<Parameter>;
  const auto check = [](auto make) { CHECK(same_bits(trained(+make, true), trained(+make, false))); };
  check([](Parameters p) { return SGD(std::move(p), {.lr = 0.1, .weight_decay = 0.01}); });
  check([](Parameters p) { return SGD(std::move(p), {.lr = 0.1, .momentum = 0.9, .nesterov = true}); });
  check([](Parameters p) { return Adam(std::move(p), {.lr = 0.1}); });
  check([](Parameters p) { return Adam(std::move(p), {.lr = 0.1, .epsilon = 0, .weight_decay = 0.1}); });
}
