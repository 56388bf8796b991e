// dropout: its mask, its mean, its edges.
#include "xgrad/ops/random.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "xgrad/ops/reduce.hpp"
#include "xgrad/tape/grad.hpp"

using namespace xgrad;

namespace {

/// The mask as documented: elements in groups of 64, number e of a group is word e / 16 of the group's block
/// e % 16.
bool kept(std::size_t i, double p, Key key) {
  const std::size_t group = i / 64, e = i % 64;
  return random_block(key, 16 * group + e % 16)[e / 16] < (1 - p) * 0x1p32;
}

template <class T>
xt::xarray<T> dropped(const xt::xarray<T>& x, double p, Key key) {
  Tape tape;
  return dropout(tape.input(x), p, key).template array<T>();
}

template <class T>
void check_mask() {
  for (std::size_t n : {1, 2, 15, 16, 17, 63, 64, 65, 128, 1000}) {
    for (double p : {0.1, 0.5, 0.9}) {
      const Key key{n, 3};
      const xt::xarray<T> x = xt::arange<T>(static_cast<T>(1), static_cast<T>(n + 1));
      Tape tape;
      const Var v = tape.input(x), y = dropout(v, p, key);
      const xt::xarray<T> values = y.template array<T>(), slopes = grad(sum(y), {v})[0].template array<T>();
      const T scale = static_cast<T>(1 / (1 - p));
      for (std::size_t i = 0; i < n; ++i) {
        CHECK(values(i) == (kept(i, p, key) ? x(i) * scale : T(0)));
        CHECK(slopes(i) == (kept(i, p, key) ? scale : T(0)));
      }
    }
  }
}

}  // namespace

TEST_SUITE_BEGIN("ops");

TEST_CASE("dropout: the mask is the documented function of the key, forward and backward") {
  check_mask<float>();
  check_mask<double>();
}

TEST_CASE("dropout: a key names its mask, and keeps the mean") {
  const std::size_t n = 200000;
  const double p = 0.3;
  const xt::xarray<float> x = xt::ones<float>({n});
  Generator random(1);
  const Key first = random.key(), second = random.key();
  const xt::xarray<float> y = dropped(x, p, first), again = dropped(x, p, first),
                          other = dropped(x, p, second);
  CHECK(y == again);
  CHECK(y != other);
  double count = 0, both = 0, neighbours = 0;
  for (std::size_t i = 0; i < n; ++i) {
    count += y(i) != 0, both += y(i) != 0 && other(i) != 0;
    neighbours += i > 0 && y(i) != 0 && y(i - 1) != 0;
  }
  // Five standard errors each; masks of different keys and of neighbours are independent.
  const double keep = 1 - p, total = static_cast<double>(n), joint = keep * keep;
  CHECK(std::abs(count / total - keep) < 5 * std::sqrt(keep * p / total));
  CHECK(std::abs(both / total - joint) < 5 * std::sqrt(joint * (1 - joint) / total));
  CHECK(std::abs(neighbours / total - joint) < 5 * std::sqrt(joint / total));
}

TEST_CASE("dropout: nothing and everything") {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  const xt::xarray<double> x{1, -2, inf, -inf, nan, 6};
  const xt::xarray<double> all = dropped(x, 0, Key{}), none = dropped(x, 1, Key{});
  for (std::size_t i = 0; i < x.size(); ++i) {
    CHECK((all(i) == x(i) || (std::isnan(all(i)) && std::isnan(x(i)))));
    CHECK(none(i) == 0);
  }
}

TEST_CASE("dropout: what is dropped is zero, infinities and NaN included") {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  xt::xarray<double> x = xt::ones<double>({300});
  for (std::size_t i = 0; i < x.size(); ++i) x(i) = i % 3 == 0 ? inf : i % 3 == 1 ? -inf : nan;
  const Key key{5, 6};
  const xt::xarray<double> y = dropped(x, 0.5, key);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (kept(i, 0.5, key)) {
      CHECK((y(i) == x(i) || std::isnan(x(i))));
    } else {
      CHECK(y(i) == 0);
    }
  }
}

TEST_SUITE_END();
