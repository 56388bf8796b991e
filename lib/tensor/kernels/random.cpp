// Dropout. Philox needs products of 32 by 32 bits, which every instruction set has for the even 32-bit lanes
// of a register. So even and odd blocks are computed apart, in 64-bit lanes, and interleaved at the end.
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "lib/tensor/kernels/simd.hpp"

namespace xgrad::kernels {
namespace {

constexpr int kBlocks = 16;
constexpr int kGroup = 4 * kBlocks;

// A register of 64-bit lanes and its operations.
#if defined(__AVX512F__)
using Lanes = __m512i;
Lanes every_other(std::uint64_t x) {
  return _mm512_add_epi64(_mm512_set1_epi64(static_cast<long long>(x)),
                          _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0));
}
Lanes all(std::uint64_t x) { return _mm512_set1_epi64(static_cast<long long>(x)); }
Lanes product(Lanes a, Lanes b) { return _mm512_mul_epu32(a, b); }
Lanes high(Lanes a) { return _mm512_srli_epi64(a, 32); }
Lanes raised(Lanes a) { return _mm512_slli_epi64(a, 32); }
void save(std::uint32_t* p, Lanes a) { _mm512_storeu_si512(p, a); }
#elif defined(__AVX2__)
using Lanes = __m256i;
Lanes every_other(std::uint64_t x) {
  return _mm256_add_epi64(_mm256_set1_epi64x(static_cast<long long>(x)), _mm256_set_epi64x(6, 4, 2, 0));
}
Lanes all(std::uint64_t x) { return _mm256_set1_epi64x(static_cast<long long>(x)); }
Lanes product(Lanes a, Lanes b) { return _mm256_mul_epu32(a, b); }
Lanes high(Lanes a) { return _mm256_srli_epi64(a, 32); }
Lanes raised(Lanes a) { return _mm256_slli_epi64(a, 32); }
void save(std::uint32_t* p, Lanes a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a); }
#elif defined(__SSE2__)
using Lanes = __m128i;
Lanes every_other(std::uint64_t x) {
  return _mm_add_epi64(_mm_set1_epi64x(static_cast<long long>(x)), _mm_set_epi64x(2, 0));
}
Lanes all(std::uint64_t x) { return _mm_set1_epi64x(static_cast<long long>(x)); }
Lanes product(Lanes a, Lanes b) { return _mm_mul_epu32(a, b); }
Lanes high(Lanes a) { return _mm_srli_epi64(a, 32); }
Lanes raised(Lanes a) { return _mm_slli_epi64(a, 32); }
void save(std::uint32_t* p, Lanes a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), a); }
#else
using Lanes = std::uint64_t;
Lanes every_other(std::uint64_t x) { return x; }
Lanes all(std::uint64_t x) { return x; }
Lanes product(Lanes a, Lanes b) { return (a & 0xFFFFFFFF) * (b & 0xFFFFFFFF); }
Lanes high(Lanes a) { return a >> 32; }
Lanes raised(Lanes a) { return a << 32; }
void save(std::uint32_t* p, Lanes a) {
  p[0] = static_cast<std::uint32_t>(a), p[1] = static_cast<std::uint32_t>(a >> 32);
}
#endif

/// Philox blocks first, first + 2, ... in the low halves of the lanes; the high halves have no meaning.
struct Words {
  Lanes c0, c1, c2, c3;

  Words(Key key, std::uint64_t first)
      : c0(every_other(first)), c1(high(c0)), c2(all(key.stream)), c3(all(key.stream >> 32)) {
    auto k0 = static_cast<std::uint32_t>(key.seed), k1 = static_cast<std::uint32_t>(key.seed >> 32);
    for (int round = 0; round < 10; ++round) {
      const Lanes a = product(c0, all(0xD2511F53)), b = product(c2, all(0xCD9E8D57));
      c0 = high(b) ^ c1 ^ all(k0);
      c1 = b;
      c2 = high(a) ^ c3 ^ all(k1);
      c3 = a;
      k0 += 0x9E3779B9, k1 += 0xBB67AE85;
    }
  }
};

Lanes interleaved(Lanes even, Lanes odd) { return (even & all(0xFFFFFFFF)) | raised(odd); }

/// The 64 numbers of a group: word w of block first + i is at w * kBlocks + i.
void random_group(Key key, std::uint64_t first, std::uint32_t* out) {
  constexpr int kAtOnce = sizeof(Lanes) / 4;
  for (int i = 0; i < kBlocks; i += kAtOnce) {
    const Words even(key, first + static_cast<std::uint64_t>(i)),
        odd(key, first + static_cast<std::uint64_t>(i) + 1);
    save(out + i, interleaved(even.c0, odd.c0));
    save(out + kBlocks + i, interleaved(even.c1, odd.c1));
    save(out + 2 * kBlocks + i, interleaved(even.c2, odd.c2));
    save(out + 3 * kBlocks + i, interleaved(even.c3, odd.c3));
  }
}

}  // namespace

template <class T>
void XGRAD_KERNEL_ISA::dropout(const T* x, T* y, std::int64_t begin, std::int64_t n, Key key,
                               std::uint64_t threshold, T scale, Write write) {
  std::uint32_t numbers[kGroup];
  T factor[kGroup];
  // The threshold is in [0, 2^32]. 32 bits cannot hold 2^32, which keeps all.
  const bool all = threshold > 0xFFFFFFFFu;
  const auto limit = static_cast<std::uint32_t>(threshold);
  for (std::int64_t first = begin; first < begin + n; first += kGroup) {
    random_group(key, static_cast<std::uint64_t>(first) / 4, numbers);
    for (int i = 0; i < kGroup; ++i) factor[i] = all || numbers[i] < limit ? scale : T(0);
    const std::int64_t left = begin + n - first, count = left < kGroup ? left : kGroup;
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
XGRAD_INSTANTIATE(dropout)

}  // namespace xgrad::kernels
