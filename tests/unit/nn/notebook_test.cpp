// The notebook's wrong gradient, put in on purpose: the losses it printed come back, and gradcheck sees it.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "xgrad/xgrad.hpp"

using namespace xgrad;

namespace {

/// Inverted dropout whose backward pass forgets to divide by 1 - p, as the notebook's does.
struct NotebookDropout {
  static constexpr const char* name = "notebook_dropout";
  static constexpr Reads reads[] = {kReadsNothing};
  double p;
  Key key;
  bool scaled;

  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View y, Write write) const {
    detail::with_float_type(y.dtype, [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t i = 0; i < y.size(); ++i) {
        const auto number =
            random_block(key, static_cast<std::uint64_t>(i) / 4)[static_cast<std::size_t>(i % 4)];
        const double factor = number * 0x1p-32 < p ? 0 : scaled ? 1 / (1 - p) : 1;
        detail::put_element(y.as<T>()[i], static_cast<T>(x[0].as<T>()[i] * static_cast<T>(factor)), write);
      }
    });
  }
  void vjp(Backward& b) const { b.dx(0) += apply(NotebookDropout{p, key, false}, b.dy()); }
};

}  // namespace

TEST_CASE("notebook: gradcheck catches its dropout") {
  const auto f = [](std::span<const Var> x) { return apply(NotebookDropout{0.5, Key{1, 2}, true}, x[0]); };
  const auto report = gradcheck(f, {xt::xarray<double>{1, 2, 3, 4, 5, 6}});
  REQUIRE_FALSE(report);
  for (const GradcheckFailure& failure : report.failures) {
    CHECK(failure.input == failure.output);
    CHECK(failure.analytic == doctest::Approx(1));
    CHECK(failure.numeric == doctest::Approx(2));
  }
}

namespace {

/// The notebook's training with its dropout; the test loss after each epoch.
std::vector<double> train(const data::Mnist& mnist, int epochs, std::uint64_t seed) {
  const auto range = data::MinMax::fit(mnist.train.pixels);
  Generator random(seed);
  nn::Dense hidden(784, 128, random, nn::notebook_dense()), output(128, 10, random, nn::notebook_dense());
  optim::SGD sgd(nn::parameters(hidden, output));
  data::Batches batches(mnist.train.size(), 50);
  Tape tape;
  const auto images = [&](const data::ImageSet& set, std::span<const std::int32_t> rows) {
    return tape.constant({DType::float32, Shape{std::ssize(rows), 784}},
                         [&](View out) { data::gather_scaled(set.pixels, 784, rows, range, out); });
  };
  const auto labels = [&](const data::ImageSet& set, std::span<const std::int32_t> rows) {
    return tape.constant({DType::int64, Shape{std::ssize(rows)}},
                         [&](View out) { data::gather_labels(set.labels, rows, out); });
  };
  std::vector<double> losses;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    batches.shuffle(random);
    for (const auto rows : batches) {
      const Var h = apply(NotebookDropout{0.5, random.key(), true}, relu(hidden(images(mnist.train, rows))));
      const Var loss = categorical_cross_entropy(softmax(output(h)), labels(mnist.train, rows));
      sgd.zero_grad();
      backward(loss);
      sgd.step();
    }
    const auto pause = tape.no_grad();
    double loss = 0;
    for (const auto rows : data::Batches(mnist.test.size(), 1000)) {
      const Var logits = output(relu(hidden(images(mnist.test, rows))));
      loss += static_cast<double>(softmax_cross_entropy(logits, labels(mnist.test, rows)).item<float>()) / 10;
    }
    losses.push_back(loss);
  }
  return losses;
}

}  // namespace

TEST_CASE("notebook: with its dropout, the test losses that it printed") {
  const char* folder = std::getenv("XGRAD_TEST_MNIST");
  if (!folder) {
    MESSAGE("skipped: XGRAD_TEST_MNIST does not name a folder with MNIST");
    return;
  }
  const data::Mnist mnist = data::load_mnist(folder);
  // One run's loss after the first epoch has a deviation of 0.015, so the mean of three is compared.
  constexpr int kSeeds = 3;
  double mean[5] = {};
  for (int seed = 0; seed < kSeeds; ++seed) {
    const auto losses = train(mnist, 5, static_cast<std::uint64_t>(seed));
    for (std::size_t i = 0; i < 5; ++i) mean[i] += losses[i] / kSeeds;
  }
  CAPTURE(mean[0]);
  CAPTURE(mean[1]);
  CAPTURE(mean[4]);
  CHECK(std::abs(mean[0] - 1.175688) < 0.03);
  CHECK(std::abs(mean[1] - 0.593485) < 0.03);
  CHECK(std::abs(mean[4] - 0.355588) < 0.03);
}
