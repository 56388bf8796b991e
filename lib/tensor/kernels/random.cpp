// Dropout: Philox blocks sixteen at a time, in plain loops that the compiler turns into vector code.
#include "lib/tensor/kernels/simd.hpp"

namespace xgrad::kernels {
namespace {

constexpr int kBlocks = 16;
constexpr int kGroup = 4 * kBlocks;

/// The 64 numbers of a group: word w of block first + i is at w * kBlocks + i.
void random_group(Key key, std::uint64_t first, std::uint32_t* out) {
  std::uint32_t c0[kBlocks], c1[kBlocks], c2[kBlocks], c3[kBlocks];
  for (int i = 0; i < kBlocks; ++i) {
    const std::uint64_t block = first + static_cast<std::uint64_t>(i);
    c0[i] = static_cast<std::uint32_t>(block);
    c1[i] = static_cast<std::uint32_t>(block >> 32);
    c2[i] = static_cast<std::uint32_t>(key.stream);
    c3[i] = static_cast<std::uint32_t>(key.stream >> 32);
  }
  auto k0 = static_cast<std::uint32_t>(key.seed), k1 = static_cast<std::uint32_t>(key.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < kBlocks; ++i) {
      const std::uint64_t a = std::uint64_t{0xD2511F53} * c0[i];
      const std::uint64_t b = std::uint64_t{0xCD9E8D57} * c2[i];
      c0[i] = static_cast<std::uint32_t>(b >> 32) ^ c1[i] ^ k0;
      c1[i] = static_cast<std::uint32_t>(b);
      c2[i] = static_cast<std::uint32_t>(a >> 32) ^ c3[i] ^ k1;
      c3[i] = static_cast<std::uint32_t>(a);
    }
    k0 += 0x9E3779B9, k1 += 0xBB67AE85;
  }
  for (int i = 0; i < kBlocks; ++i) {
    out[i] = c0[i], out[kBlocks + i] = c1[i], out[2 * kBlocks + i] = c2[i], out[3 * kBlocks + i] = c3[i];
  }
}

template <class T>
void dropout(const T* x, T* y, std::int64_t n, Key key, std::uint64_t threshold, T scale, Write write) {
  std::uint32_t numbers[kGroup];
  T factor[kGroup];
  // The threshold is in [0, 2^32]; keeping everything is the one case that 32 bits cannot compare.
  const bool all = threshold > 0xFFFFFFFFu;
  const auto limit = static_cast<std::uint32_t>(threshold);
  for (std::int64_t first = 0; first < n; first += kGroup) {
    random_group(key, static_cast<std::uint64_t>(first) / 4, numbers);
    for (int i = 0; i < kGroup; ++i) factor[i] = all || numbers[i] < limit ? scale : T(0);
    const std::int64_t count = n - first < kGroup ? n - first : kGroup;
    // A dropped element is 0 whatever it was, infinite and NaN included.
    if (write == Write::assign) {
      for (std::int64_t i = 0; i < count; ++i)
        y[first + i] = factor[i] != 0 ? x[first + i] * factor[i] : T(0);
    } else {
      for (std::int64_t i = 0; i < count; ++i)
        y[first + i] += factor[i] != 0 ? x[first + i] * factor[i] : T(0);
    }
  }
}

}  // namespace

void XGRAD_KERNEL_ISA::fill_random(Table<float>& f, Table<double>& d) {
  f.dropout = dropout<float>, d.dropout = dropout<double>;
}

}  // namespace xgrad::kernels
