// Layers: shapes, values, initial weights.
#include "xgrad/nn/layers.hpp"

#include "tests/unit/tape/helpers.hpp"
#include "xgrad/ops/linalg.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

struct Moments {
  double mean = 0, deviation = 0, low = INFINITY, high = -INFINITY;
};

Moments moments(const Parameter& p) {
  Moments m;
  const Values x = value_of(p);
  for (double v : x) m.mean += v / static_cast<double>(x.size());
  for (double v : x) m.deviation += (v - m.mean) * (v - m.mean) / static_cast<double>(x.size());
  m.deviation = std::sqrt(m.deviation);
  for (double v : x) m.low = std::min(m.low, v), m.high = std::max(m.high, v);
  return m;
}

/// Within five standard errors of a normal or narrower distribution.
void check_moments(const Parameter& p, double deviation) {
  const Moments m = moments(p);
  const double n = static_cast<double>(p.size());
  CHECK(std::abs(m.mean) < 5 * deviation / std::sqrt(n));
  CHECK(std::abs(m.deviation - deviation) < 5 * deviation / std::sqrt(2 * n));
}

}  // namespace

TEST_CASE("dense: shapes and values") {
  Generator random(1);
  nn::Dense dense(3, 2, random, {.dtype = DType::float64});
  CHECK(dense.weight.shape() == Shape{3, 2});
  CHECK(dense.bias.shape() == Shape{2});
  CHECK(value_of(dense.bias) == Values{0, 0});
  dense.weight.assign(Array{{1, 2}, {3, 4}, {5, 6}});
  dense.bias.assign(Array{10, 20});
  Tape tape;
  const Var y = dense(tape.constant(Array{{1, 0, 0}, {0, 1, 1}}));
  CHECK(y.shape() == Shape{2, 2});
  CHECK(values(y) == Values{11, 22, 18, 30});
  const Var one = dense(tape.constant(Array{1, 0, 0}));
  CHECK(one.shape() == Shape{2});
  CHECK(values(one) == Values{11, 22});
  CHECK(dense(tape.constant(Array(xt::ones<double>({2, 4, 3})))).shape() == Shape{2, 4, 2});
  CHECK(dense(tape.constant(Array(xt::ones<double>({0, 3})))).shape() == Shape{0, 2});
  CHECK_ERROR(dense(tape.constant(Array{{1, 2}})), ShapeError,
              "linear: x [1, 2], w [3, 2] and b [2] do not fit; x is [..., in], w [in, out], b [out]");
  CHECK_THROWS_AS((void)dense(tape.constant(xt::xarray<float>{{1, 2, 3}})), DTypeError);
  CHECK_THROWS_AS(nn::Dense(-1, 2, random), ShapeError);
  CHECK_THROWS_AS(nn::Dense(2, -1, random), ShapeError);
  CHECK(nn::Dense(0, 2, random).weight.size() == 0);
}

TEST_CASE("dense: initial weights") {
  Generator random(7);
  SUBCASE("by default Kaiming's, for ReLU, and a bias of zero") {
    const nn::Dense d(400, 300, random);
    CHECK(d.weight.dtype() == DType::float32);
    check_moments(d.weight, std::sqrt(2.0 / 400));
    CHECK(moments(d.weight).high > 3 * std::sqrt(2.0 / 400));  // normal, not uniform
    CHECK(moments(d.bias).high == 0);
    CHECK(d.l2 == 0);
  }
  SUBCASE("the notebook's") {
    const nn::Dense d(784, 128, random, nn::notebook_dense());
    check_moments(d.weight, 0.01);
    CHECK(moments(d.bias).low == doctest::Approx(0.01));
    CHECK(moments(d.bias).high == doctest::Approx(0.01));
  }
  SUBCASE("Glorot's") {
    const nn::Dense d(300, 500, random, {.weight = nn::Init::glorot(), .dtype = DType::float64});
    const double limit = std::sqrt(6.0 / 800);
    check_moments(d.weight, limit / std::sqrt(3));
    CHECK(moments(d.weight).low >= -limit);
    CHECK(moments(d.weight).high <= limit);
    CHECK(moments(d.weight).high > 0.99 * limit);
  }
  SUBCASE("constant") {
    const nn::Dense d(2, 2, random, {.weight = nn::Init::constant(0.5), .bias = nn::Init::normal(0)});
    CHECK(value_of(d.weight) == Values(4, 0.5));
    CHECK(value_of(d.bias) == Values(2, 0));
  }
  SUBCASE("the same seed gives the same weights, in both dtypes; the next layer gets others") {
    Generator again(7), third(7);
    const nn::Dense a(5, 4, random), b(5, 4, again), c(5, 4, third, {.dtype = DType::float64}),
        d(5, 4, random);
    CHECK(value_of(a.weight) == value_of(b.weight));
    CHECK(difference(value_of(a.weight), value_of(c.weight)) < 1e-7);
    CHECK(value_of(a.weight) != value_of(d.weight));
  }
}

TEST_CASE("activations: the layers are their ops") {
  Tape tape;
  const Var x = tape.input(Array{{-1, 0, 2}});
  CHECK(values(nn::ReLU{}(x)) == Values{0, 0, 2});
  CHECK(difference(values(nn::Sigmoid{}(x)), {1 / (1 + std::exp(1)), 0.5, 1 / (1 + std::exp(-2))}) < 1e-15);
  CHECK(difference(values(nn::Tanh{}(x)), {std::tanh(-1), 0, std::tanh(2)}) < 1e-15);
  const Values p = values(nn::Softmax{}(x));
  CHECK(p[0] + p[1] + p[2] == doctest::Approx(1));
  CHECK(values(nn::Softmax{0}(x)) == Values{1, 1, 1});
}

TEST_CASE("dropout: in training a new mask at every call, otherwise nothing") {
  Generator random(1);
  nn::Dropout dropout(0.25, random);
  Tape tape;
  const Var x = tape.input(Array(xt::ones<double>({10000})));
  const Var y = dropout(x), z = dropout(x);
  const Values v = values(y);
  CHECK(v != values(z));
  const auto zeros = std::count(v.begin(), v.end(), 0.0);
  CHECK(std::abs(zeros - 2500) < 5 * std::sqrt(10000 * 0.25 * 0.75));
  CHECK(zeros + std::count(v.begin(), v.end(), 1 / 0.75) == 10000);
  CHECK(same_bits(values(grad(sum(y), {x})[0]), v));  // of ones, the gradient is the mask

  dropout.training = false;
  const Var same = dropout(x);
  CHECK(same.view().data == x.view().data);
  dropout.training = true;
  // Equal seeds, equal masks; and two layers of one seed differ.
  Generator again(1);
  nn::Dropout first(0.25, again), second(0.25, again);
  CHECK(same_bits(values(first(x)), v));
  CHECK_FALSE(same_bits(values(second(x)), v));

  nn::Dropout none(0, random), all(1, random);
  CHECK(values(none(x)) == values(x));
  CHECK(values(all(x)) == Values(10000, 0));
  CHECK(values(grad(sum(all(x)), {x})[0]) == Values(10000, 0));
  CHECK_ERROR(nn::Dropout(1.5, random), Error, "dropout: p = 1.5 is not in [0, 1]");
  CHECK_ERROR(nn::Dropout(-0.1, random), Error, "dropout: p = -0.1 is not in [0, 1]");
  CHECK_THROWS_AS(nn::Dropout(NAN, random), Error);
}
