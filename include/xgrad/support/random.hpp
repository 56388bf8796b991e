// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as
// easy as 1, 2, 3", SC 2011). A number is a function of (seed, stream, position), so a kernel can make the
// numbers of any part of a tensor on any thread, and make them again in the backward pass instead of
// storing them. There is no global state: a Key is passed in, or drawn from a Generator.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace xgrad {

/// Names one sequence of random numbers.
struct Key {
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;
  friend bool operator==(const Key&, const Key&) = default;
};

/// One block of Philox4x32-10: four 32-bit numbers for a 128-bit counter and a 64-bit key.
constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                  std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key = {key[0] + 0x9E3779B9, key[1] + 0xBB67AE85};
  }
  return counter;
}

/// The four numbers at positions 4*block to 4*block + 3 of the sequence that `key` names.
constexpr std::array<std::uint32_t, 4> random_block(Key key, std::uint64_t block) {
  return philox4x32({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                     static_cast<std::uint32_t>(key.stream), static_cast<std::uint32_t>(key.stream >> 32)},
                    {static_cast<std::uint32_t>(key.seed), static_cast<std::uint32_t>(key.seed >> 32)});
}

/// A source of keys and numbers. Equal seeds give equal sequences; copying copies the position.
class Generator {
 public:
  explicit Generator(std::uint64_t seed = 0) : key_{seed, 0} {}

  /// A key for a sequence of its own, different at each call.
  Key key() { return {key_.seed, ++keys_}; }
  /// An independent generator, different at each call.
  Generator split() {
    Generator child(key_.seed);
    // The seed is drawn, the stream is a fresh one; the child's keys derive from its seed.
    child.key_ = {(std::uint64_t{bits()} << 32) | bits(), key().stream};
    return child;
  }
  /// 32 random bits.
  std::uint32_t bits();
  /// Uniform in [0, 1), 53 bits.
  double uniform();
  /// Uniform in [low, high).
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Normal with mean 0 and deviation 1 (Box and Muller 1958).
  double normal();
  /// Uniform in [0, bound), without bias (Lemire 2019). `bound` must be positive.
  std::uint32_t below(std::uint32_t bound);
  /// Puts the items in random order (Fisher and Yates).
  template <class T>
  void shuffle(std::span<T> items) {
    for (std::size_t n = items.size(); n > 1; --n) {
      std::swap(items[n - 1], items[below(static_cast<std::uint32_t>(n))]);
    }
  }

 private:
  Key key_;
  std::uint64_t keys_ = 0;
  std::uint64_t position_ = 0;
  std::array<std::uint32_t, 4> block_{};
  double spare_ = 0;  // the second number of normal()'s last pair
  bool has_spare_ = false;
};

}  // namespace xgrad
