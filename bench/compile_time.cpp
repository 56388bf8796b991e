// A user's file that trains a network on MNIST: compile_time DATA. bench/run measures how long it takes
// to compile beside the like of it for libtorch.
#include <cstdio>

#include "xgrad/xgrad.hpp"

using namespace xgrad;

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const data::Mnist mnist = data::load_mnist(argv[1]);
  Generator random(0);
  nn::Sequential net(nn::Dense(784, 128, random), nn::ReLU{}, nn::Dropout(0.5, random),
                     nn::Dense(128, 10, random));
  optim::SGD sgd(nn::parameters(net), {.lr = 0.01});
  Tape tape;
  data::Batches batches(mnist.train.size(), 50);
  for (int epoch = 1; epoch <= 3; ++epoch) {
    double loss = 0;
    batches.shuffle(random);
    for (const auto rows : batches) {
      const auto n = std::ssize(rows);
      const Var images = tape.constant({DType::float32, Shape{n, 784}}, [&](View v) {
        data::gather_scaled(mnist.train.pixels, 784, rows, {}, v);
      });
      const Var labels = tape.constant({DType::int64, Shape{n}},
                                       [&](View v) { data::gather_labels(mnist.train.labels, rows, v); });
      const Var mean = softmax_cross_entropy(net(images), labels);
      sgd.zero_grad();
      backward(mean);
      sgd.step();
      loss += static_cast<double>(mean.item<float>());
    }
    std::printf("epoch %d: loss %.4f\n", epoch, loss / static_cast<double>(batches.size()));
  }
}
