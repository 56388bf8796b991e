// What the benchmarks train: a network on one batch of drawn images, a step at a time.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "xgrad/xgrad.hpp"

namespace bench {

/// Values from -1 to 1.
inline xgrad::Parameter random_parameter(const xgrad::Shape& shape, xgrad::Generator& random) {
  xgrad::Parameter p({xgrad::DType::float32, shape});
  xgrad::nn::Init::uniform(1).fill(p.value_view(), 1, 1, random);
  return p;
}

/// Labels of all classes.
inline xgrad::Var make_labels(xgrad::Tape& tape, std::int64_t count, std::int64_t classes) {
  return tape.constant({xgrad::DType::int64, xgrad::Shape{count}}, [&](xgrad::View v) {
    for (std::int64_t i = 0; i < count; ++i) v.as<std::int64_t>()[i] = 37 * i % classes;
  });
}

/// Dense layers from each width to the next, with ReLU between them.
inline xgrad::nn::Sequential dense(const std::vector<std::int64_t>& widths, xgrad::Generator& random) {
  xgrad::nn::Sequential net;
  for (std::size_t i = 1; i < widths.size(); ++i) {
    if (i > 1) net.add(xgrad::nn::ReLU{});
    net.add(xgrad::nn::Dense(widths[i - 1], widths[i], random));
  }
  return net;
}

/// Trains a network from widths.front() features to widths.back() classes.
template <class Optimizer>
struct Training {
  xgrad::Generator random{1};
  std::vector<std::int64_t> widths;
  std::int64_t batch;
  xgrad::nn::Sequential net = dense(widths, random);
  Optimizer optimizer{xgrad::nn::parameters(net)};
  xgrad::Parameter images = random_parameter({batch, widths.front()}, random);
  xgrad::Tape tape;

  Training(std::vector<std::int64_t> layers, std::int64_t rows) : widths(std::move(layers)), batch(rows) {}

  /// Forward and backward, from the images to the gradients.
  void differentiate() {
    optimizer.zero_grad();
    const xgrad::Var x = tape.constant(images.template value<float>());
    backward(softmax_cross_entropy(net(x), make_labels(tape, batch, widths.back())));
  }
  void step() {
    differentiate();
    optimizer.step();
  }
  /// Of the products of a step: three for each layer but the first, whose input has no gradient.
  double flops() const {
    double pairs = 0;
    for (std::size_t i = 1; i < widths.size(); ++i)
      pairs += static_cast<double>((i > 1 ? 3 : 2) * widths[i - 1] * widths[i]);
    return 2 * static_cast<double>(batch) * pairs;
  }
};

}  // namespace bench
