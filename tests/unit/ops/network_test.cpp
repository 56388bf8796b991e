// Convolution, pooling, normalisation and attention: what the case table does not ask.
#include "tests/unit/tape/helpers.hpp"
#include "xgrad/ops/attention.hpp"
#include "xgrad/ops/conv.hpp"
#include "xgrad/ops/norm.hpp"
#include "xgrad/ops/pool.hpp"
#include "xgrad/support/random.hpp"
#include "xgrad/support/threads.hpp"

using namespace xgrad;
using namespace xgrad::test;

TEST_SUITE_BEGIN("ops");

TEST_CASE("conv2d: the same bits for every number of threads") {
  const auto run = [](int threads) {
    set_num_threads(threads);
    Tape tape;
    const Var x = tape.input(drawn({21, 4, 12, 11}, 1)), w = tape.input(drawn({6, 2, 3, 3}, 2)),
              b = tape.input(drawn({6}, 3));
    const Var y = max_pool2d(conv2d(x, w, b, {.stride = {1, 2}, .padding = 1, .groups = 2}), {.window = 2});
    Values all = values(y);
    for (const Var& g : grad(sum(square(y)), {x, w, b})) {
      const Values v = values(g);
      all.insert(all.end(), v.begin(), v.end());
    }
    set_num_threads(1);
    return all;
  };
  const Values one = run(1);
  CHECK(same_bits(run(2), one));
  CHECK(same_bits(run(3), one));
}

TEST_CASE("conv2d: a third derivative") {
  // y = w^2 x: the weight passed through itself twice.
  Tape tape;
  const Var x = tape.input(Array(xt::ones<double>({1, 1, 1, 1}) * 3.0)),
            w = tape.input(Array(xt::ones<double>({1, 1, 1, 1}) * 5.0));
  const Var y = sum(square(conv2d(conv2d(x, w), w)));  // w^4 x^2
  const Var g = sum(grad(y, {w}, recorded())[0]), h = sum(grad(g, {w}, recorded())[0]);
  CHECK(g.item<double>() == doctest::Approx(4 * 125 * 9));
  CHECK(h.item<double>() == doctest::Approx(12 * 25 * 9));
  CHECK(values(grad(h, {w})[0])[0] == doctest::Approx(24 * 5 * 9));
}

TEST_CASE("max_pool2d: the first of ties, NaN, and a window of -inf") {
  Tape tape;
  const auto pooled = [&](const Array& window) {
    const Var x = tape.input(window);
    const Var y = max_pool2d(x, {.window = 2});
    return std::pair(values(y)[0], values(grad(sum(y), {x})[0]));
  };
  CHECK(pooled(Array{{{{1, 2}, {2, 2}}}}) == std::pair(2.0, Values{0, 1, 0, 0}));
  CHECK(pooled(Array{{{{0.0, -0.0}, {0, 0}}}}).second == Values{1, 0, 0, 0});
  CHECK(pooled(Array{{{{-INFINITY, -INFINITY}, {-INFINITY, -INFINITY}}}}) ==
        std::pair(-double{INFINITY}, Values{1, 0, 0, 0}));
  const auto [value, gradient] = pooled(Array{{{{1, NAN}, {NAN, 3}}}});
  CHECK(std::isnan(value));
  CHECK(gradient == Values{0, 1, 0, 0});
}

TEST_CASE("max_pool2d: rows longer than a kernel's block, the margin never chosen") {
  Tape tape;
  const Array image = drawn({1, 1, 3, 301}, 4) - 2.0;
  const Var x = tape.input(image);
  const Var y = max_pool2d(x, {.window = 3, .stride = {1, 2}, .padding = 1});
  REQUIRE(y.shape() == Shape{1, 1, 3, 151});
  for (int r = 0; r < 3; ++r) {
    for (int c = 0; c < 151; ++c) {
      double largest = -INFINITY;
      for (int i = std::max(0, r - 1); i < std::min(3, r + 2); ++i) {
        for (int j = std::max(0, 2 * c - 1); j < std::min(301, 2 * c + 2); ++j) {
          largest = std::max(largest, image(0, 0, static_cast<std::size_t>(i), static_cast<std::size_t>(j)));
        }
      }
      CHECK(values(y)[static_cast<std::size_t>(r * 151 + c)] == largest);
    }
  }
}

TEST_CASE("normalisation: a large mean costs no accuracy, a constant row gives zero") {
  Tape tape;
  const xt::xarray<float> x{{10001, 10002, 10003}, {7, 7, 7}};
  const Values y = values(layer_norm(tape.constant(x)));
  const double one = std::sqrt(1.5);
  CHECK(difference(y, {-one, 0, one, 0, 0, 0}) < 1e-4);
  const Moments m = batch_moments(tape.constant(x));
  CHECK(values(m.mean)[0] == 5004);
}

TEST_CASE("attention: a row that may look nowhere is NaN, the others are not touched") {
  Tape tape;
  const Var q = tape.input(drawn({2, 3}, 5)), k = tape.input(drawn({2, 3}, 6)),
            v = tape.input(drawn({2, 1}, 7));
  const Var mask = tape.constant(xt::xarray<bool>{{false, false}, {false, true}});
  const Values y = values(scaled_dot_product_attention(q, k, v, {.mask = mask}));
  CHECK(std::isnan(y[0]));
  CHECK(y[1] == values(v)[1]);
}

TEST_SUITE_END();
