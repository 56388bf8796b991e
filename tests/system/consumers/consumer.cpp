// What a user's first program does with xgrad, whichever way it found the library.
#include <cmath>
#include <iostream>

#include <xgrad/xgrad.hpp>

using namespace xgrad;

int main() {
  Generator random(0);
  nn::Sequential network(nn::Dense(2, 8, random), nn::Tanh{}, nn::Dense(8, 2, random));
  optim::SGD sgd(nn::parameters(network), {.lr = 0.5});
  Tape tape;
  float first = 0, last = 0;
  for (int step = 0; step < 50; ++step) {
    const Var x = tape.constant(xt::xarray<float>{{0, 0}, {0, 1}, {1, 0}, {1, 1}});
    const Var loss = softmax_cross_entropy(network(x), tape.constant(xt::xarray<std::int64_t>{0, 1, 1, 1}));
    sgd.zero_grad();
    backward(loss);
    sgd.step();
    last = loss.item<float>();
    if (step == 0) first = last;
  }
  std::cout << "consumer: loss " << first << " to " << last << " on " << blas_summary() << '\n';
  return std::isfinite(last) && last < first / 2 ? 0 : 1;
}
