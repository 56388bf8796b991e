// What a user's first program does with xgrad, whichever way it found the library.
#include <iostream>

#include <xgrad/tensor/shape.hpp>
#include <xgrad/tensor/xtensor.hpp>

int main() {
  const xt::xarray<float> x{{1, 2, 3}, {4, 5, 6}};
  const xgrad::Shape shape{static_cast<std::int64_t>(x.shape(0)), static_cast<std::int64_t>(x.shape(1))};
  std::cout << "consumer: " << xgrad::broadcast(shape, {3}).shape << '\n';
  return xgrad::broadcasts_to({3}, shape) ? 0 : 1;
}
