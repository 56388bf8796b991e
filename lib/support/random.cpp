// The numbers of a Generator.
#include "xgrad/support/random.hpp"

#include <cmath>
#include <numbers>

namespace xgrad {

std::uint32_t Generator::bits() {
  const auto lane = static_cast<std::size_t>(position_ % 4);
  if (lane == 0) block_ = random_block(key_, position_ / 4);
  ++position_;
  return block_[lane];
}

double Generator::uniform() {
  const std::uint64_t high = bits(), low = bits();
  return static_cast<double>(((high << 32) | low) >> 11) * 0x1p-53;
}

double Generator::normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));  // 1 - u is in (0, 1]
  const double angle = 2 * std::numbers::pi * uniform();
  spare_ = radius * std::sin(angle);
  has_spare_ = true;
  return radius * std::cos(angle);
}

std::uint32_t Generator::below(std::uint32_t bound) {
  std::uint64_t product = std::uint64_t{bits()} * bound;
  if (static_cast<std::uint32_t>(product) < bound) {
    const std::uint32_t threshold = (0u - bound) % bound;
    while (static_cast<std::uint32_t>(product) < threshold) product = std::uint64_t{bits()} * bound;
  }
  return static_cast<std::uint32_t>(product >> 32);
}

}  // namespace xgrad
