// A small convolutional network on MNIST: 0.985 of the test images right within three epochs, and a model in
// five lines. For a training program with everything around it see samples/mnist. convnet --help
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cxxopts.hpp>

#include "xgrad/xgrad.hpp"

using namespace xgrad;

namespace {

nn::Sequential make_network(Generator& random) {
  return nn::Sequential(nn::Conv2d(1, 8, 5, random), nn::ReLU{}, nn::MaxPool2d{{.window = 2}},  // 8 x 12 x 12
                        nn::Conv2d(8, 16, 5, random), nn::ReLU{}, nn::MaxPool2d{{.window = 2}},  // 16 x 4 x 4
                        nn::Flatten{}, nn::Dense(256, 10, random));
}

/// Rows of a data set on a tape: images [N, 1, height, width] with pixels from 0 to 1, and labels [N].
struct Batch {
  Var images, labels;
  Batch(Tape& tape, const data::ImageSet& set, std::span<const std::int32_t> rows) {
    const Var pixels = tape.constant({DType::float32, {std::ssize(rows), set.features()}}, [&](View out) {
      data::gather_scaled(set.pixels, set.features(), rows, {}, out);
    });
    images = reshape(pixels, {std::ssize(rows), 1, set.height, set.width});
    labels = tape.constant({DType::int64, {std::ssize(rows)}},
                           [&](View out) { data::gather_labels(set.labels, rows, out); });
  }
};

/// One pass over the training set; the mean loss of its batches.
double train(Tape& tape, nn::Sequential& network, optim::Adam& adam, const data::ImageSet& set,
             const data::Batches& batches) {
  double loss_sum = 0;
  for (const auto rows : batches) {
    const Batch batch(tape, set, rows);
    const Var loss = softmax_cross_entropy(network(batch.images), batch.labels);
    adam.zero_grad();
    backward(loss);
    adam.step();
    loss_sum += static_cast<double>(loss.item<float>());
  }
  return loss_sum / static_cast<double>(batches.size());
}

/// The share of right answers.
double accuracy(Tape& tape, nn::Sequential& network, const data::ImageSet& set) {
  const auto pause = tape.no_grad();
  std::int64_t right = 0;
  for (const auto rows : data::Batches(set.size(), 500)) {
    const Batch batch(tape, set, rows);
    const Var hits = equal(argmax(network(batch.images), 1), batch.labels);
    const auto hit = hits.value<bool>();
    right += std::count(hit.begin(), hit.end(), true);
  }
  return static_cast<double>(right) / static_cast<double>(set.size());
}

data::Mnist load(const std::string& folder) {
  if (!folder.empty()) return data::load_mnist(folder);
  if (const auto found = data::find_mnist()) return data::load_mnist(*found);
  std::fputs("convnet: no MNIST found; training on 5000 drawn digits instead\n", stderr);
  return {data::draw_digits(4000, 1), data::draw_digits(1000, 2)};
}

void run(const cxxopts::ParseResult& given) {
  set_num_threads(given["threads"].as<int>());
  const data::Mnist mnist = load(given["data"].as<std::string>());
  const int epochs = given["epochs"].as<int>();
  const double lr = given["lr"].as<double>();
  Generator random(given["seed"].as<std::uint64_t>());
  nn::Sequential network = make_network(random);
  optim::Adam adam(nn::parameters(network), {.lr = lr});
  data::Batches batches(mnist.train.size(), given["batch-size"].as<std::int64_t>());
  Tape tape;
  std::printf("%lld parameters\n", static_cast<long long>(nn::parameter_count(network)));
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    adam.options.lr = lr * (epochs - epoch + 1) / epochs;  // long steps first, short ones at the end
    batches.shuffle(random);
    const auto start = std::chrono::steady_clock::now();
    const double loss = train(tape, network, adam, mnist.train, batches);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf("epoch %d: training loss %.4f, test accuracy %.4f (%.1f s)\n", epoch, loss,
                accuracy(tape, network, mnist.test), seconds);
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  cxxopts::Options options("convnet", "Trains a small convolutional network on MNIST.");
  const auto number = [](auto fallback) {
    return cxxopts::value<decltype(fallback)>()->default_value(std::to_string(fallback));
  };
  options.add_options()("data", "folder with the four IDX files; without it they are looked for",
                        cxxopts::value<std::string>()->default_value(""),
                        "DIR")("epochs", "passes over the training set", number(3), "N")(
      "batch-size", "images per step", number(std::int64_t{64}), "N")(
      "lr", "learning rate of the first epoch; it falls along a line", number(0.005), "X")(
      "seed", "of the weights and the order of the images", number(std::uint64_t{0}), "N")(
      "threads", "threads for large operations", number(num_threads()), "N")("help", "print this");
  const auto given = options.parse(argc, argv);
  given.count("help") ? (void)std::fputs(options.help().c_str(), stdout) : run(given);
} catch (const std::exception& error) {
  std::fprintf(stderr, "convnet: %s\n", error.what());
  return 2;
}
