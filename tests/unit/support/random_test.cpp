// Random numbers: known answers, streams, moments.
#include "xgrad/support/random.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

using namespace xgrad;
using Block = std::array<std::uint32_t, 4>;

// The known answers that the authors of Philox publish with Random123 1.14 (tests/kat_vectors).
static_assert(philox4x32({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
static_assert(philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}) ==
              Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
static_assert(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
              Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});

TEST_CASE("random: a seed names a sequence, and keys and splits differ") {
  Generator a(7), b(7), c(8);
  std::vector<std::uint32_t> x, y, z;
  for (int i = 0; i < 100; ++i) x.push_back(a.bits()), y.push_back(b.bits()), z.push_back(c.bits());
  CHECK(x == y);
  CHECK(x != z);
  std::set<std::uint64_t> streams;
  for (int i = 0; i < 1000; ++i) streams.insert(a.key().stream);
  CHECK(streams.size() == 1000);
  Generator child = a.split(), other = a.split();
  CHECK(child.bits() != other.bits());
}

TEST_CASE("random: moments of the distributions") {
  Generator g(1);
  const int n = 200000;
  double mean = 0, square = 0, uniform = 0;
  for (int i = 0; i < n; ++i) {
    const double v = g.normal();
    mean += v, square += v * v, uniform += g.uniform();
  }
  // Five standard errors each.
  CHECK(std::abs(mean / n) < 5 / std::sqrt(n));
  CHECK(std::abs(square / n - 1) < 5 * std::sqrt(2.0 / n));
  CHECK(std::abs(uniform / n - 0.5) < 5 * std::sqrt(1.0 / 12 / n));
}

TEST_CASE("random: below is uniform, shuffle is a permutation") {
  Generator g(3);
  std::vector<int> count(7);
  for (int i = 0; i < 70000; ++i) ++count[g.below(7)];
  for (int c : count) CHECK(std::abs(c - 10000) < 500);
  std::vector<int> items(1000), sorted;
  std::iota(items.begin(), items.end(), 0);
  sorted = items;
  g.shuffle(std::span(items));
  CHECK(items != sorted);
  std::sort(items.begin(), items.end());
  CHECK(items == sorted);
}
