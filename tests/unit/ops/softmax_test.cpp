// Softmax, its logarithm and the cross entropies where naive formulas fail.
#include "xgrad/ops/softmax.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/index.hpp"
#include "xgrad/ops/loss.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/tape/grad.hpp"

using namespace xgrad;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
using Array = xt::xarray<double>;
using Labels = xt::xarray<std::int64_t>;

Array gradient(const Var& y, const Var& x) { return grad(sum(y), {x})[0].array<double>(); }

bool all_nan(const Array& x, std::size_t row) {
  bool all = true;
  for (std::size_t c = 0; c < x.shape(1); ++c) all = all && std::isnan(x(row, c));
  return all;
}

}  // namespace

TEST_SUITE_BEGIN("ops");

TEST_CASE("softmax: extreme logits") {
  Tape tape;
  const Var x = tape.input(Array{{1e4, -1e4, 1e4}, {-1e4, -1e4, -1e4}, {7, 7, 7}, {-kInf, 0, -kInf}});
  const double third = 1 / 3.0;
  const Array p = softmax(x).array<double>();
  const Array wanted{{0.5, 0, 0.5}, {third, third, third}, {third, third, third}, {0, 1, 0}};
  for (std::size_t i = 0; i < p.size(); ++i)
    CHECK(p.data()[i] == doctest::Approx(wanted.data()[i]).epsilon(1e-15));
  const Array l = log_softmax(x).array<double>();
  CHECK(l(0, 0) == doctest::Approx(-std::log(2)));
  CHECK(l(0, 1) == -2e4 - std::log(2));
  CHECK(l(1, 0) == doctest::Approx(-std::log(3)));
  CHECK(l(3, 0) == -kInf);
  CHECK(l(3, 1) == 0);
  const Array weights{{1, 2, 3}, {1, 2, 3}, {1, 2, 3}, {1, 2, 3}};
  const Array g = gradient(softmax(x) * tape.constant(weights), x);
  CHECK(g(0, 0) == doctest::Approx(-0.5));
  CHECK(g(0, 1) == 0);
  for (std::size_t c = 0; c < 3; ++c) CHECK(g(3, c) == 0);
}

TEST_CASE("softmax: rows in single precision, of every length") {
  for (std::size_t n = 1; n <= 70; ++n) {
    Array x = Array::from_shape({2, n});
    for (std::size_t i = 0; i < x.size(); ++i) x.data()[i] = std::sin(static_cast<double>(i * n)) * 30;
    Tape tape;
    const Var wide = tape.input(x), narrow = tape.input(xt::xarray<float>(xt::cast<float>(x)));
    const Array p = softmax(wide).array<double>();
    const xt::xarray<float> q = softmax(narrow).array<float>();
    const Array l = log_softmax(wide).array<double>();
    for (std::size_t r = 0; r < 2; ++r) {
      double total = 0, naive = 0;
      for (std::size_t c = 0; c < n; ++c) naive += std::exp(x(r, c));
      for (std::size_t c = 0; c < n; ++c) {
        total += p(r, c);
        CHECK(p(r, c) == doctest::Approx(std::exp(x(r, c)) / naive).epsilon(1e-13));
        CHECK(std::exp(l(r, c)) == doctest::Approx(p(r, c)).epsilon(1e-13));
        CHECK(static_cast<double>(q(r, c)) == doctest::Approx(p(r, c)).epsilon(2e-5));
      }
      CHECK(total == doctest::Approx(1).epsilon(1e-14));
    }
  }
}

TEST_CASE("softmax: a line that is -inf throughout is NaN and spoils no other") {
  const Array x{{-kInf, -kInf, -kInf}, {1, 1, 1}};
  Tape tape;
  const Var rows = tape.input(x), columns = tape.input(Array(xt::transpose(x)));
  for (const Array& y : {Array(softmax(rows).array<double>()), Array(log_softmax(rows).array<double>()),
                         Array(xt::transpose(softmax(columns, 0).array<double>())),
                         Array(xt::transpose(log_softmax(columns, 0).array<double>()))}) {
    CHECK(all_nan(y, 0));
    for (std::size_t c = 0; c < 3; ++c) CHECK(std::isfinite(y(1, c)));
  }
  const Array lse = logsumexp(rows, 1).array<double>();
  CHECK(lse(0) == -kInf);
  CHECK(lse(1) == doctest::Approx(1 + std::log(3)));
}

TEST_CASE("softmax: nothing leaks from a masked line that is -inf throughout") {
  Tape tape;
  const Var x = tape.input(Array{{-kInf, -kInf}, {0, std::log(3)}});
  const Var zero = tape.constant(0, DType::float64), keep = greater(logsumexp(x, 1, true), zero);
  const Var weights = tape.constant(Array{{1, 2}, {1, 2}});
  const auto check = [&](const Var& y, double slope) {
    const Var recorded = grad(sum(where(keep, y, zero)), {x}, {.create_graph = true, .cotangent = {}})[0];
    for (const Array& g : {gradient(where(keep, y, zero), x), Array(recorded.array<double>()),
                           gradient(square(recorded), x)}) {
      CHECK(g(0, 0) == 0);
      CHECK(g(0, 1) == 0);
      CHECK(std::isfinite(g(1, 0)));
    }
    CHECK(recorded.array<double>()(1, 1) == doctest::Approx(slope));
  };
  check(softmax(x) * weights, 0.1875);
  check(log_softmax(x) * weights, 2 - 3 * 0.75);
  check(logsumexp(x, 1, true), 0.75);
}

TEST_CASE("categorical_cross_entropy: a target of zero counts nothing, whatever its probability") {
  Tape tape;
  const Var p = tape.input(Array{{0, 1, 0}, {0.5, 0.25, 0.25}});
  const Var one_hot_rows = tape.constant(Array{{0, 1, 0}, {0, 0, 1}}), labels = tape.constant(Labels{1, 2});
  for (const Var& t : {one_hot_rows, labels}) {
    const Var loss = categorical_cross_entropy(p, t);
    CHECK(loss.item<double>() == doctest::Approx(std::log(4) / 2));
    CHECK(gradient(loss, p) == Array{{0, -0.5, 0}, {0, 0, -2}});
    const Var first = grad(loss, {p}, {.create_graph = true, .cotangent = {}})[0];
    CHECK(gradient(first, p) == Array{{0, 0.5, 0}, {0, 0, 8}});
  }
  CHECK(categorical_cross_entropy(p, tape.constant(Labels{0, 0})).item<double>() == kInf);
}

TEST_CASE("softmax_cross_entropy: extreme logits") {
  Tape tape;
  const auto loss = [&](const Array& x, const Labels& t) {
    return softmax_cross_entropy(tape.input(x), tape.constant(t)).item<double>();
  };
  CHECK(loss({{1e4, -1e4}}, {0}) == 0);
  CHECK(loss({{1e4, -1e4}}, {1}) == 2e4);
  CHECK(loss({{-1e4, -1e4}}, {1}) == doctest::Approx(std::log(2)));
  CHECK(loss({{5, 5, 5, 5}}, {3}) == doctest::Approx(std::log(4)));
  CHECK(loss({{-kInf, 0, 0}}, {1}) == doctest::Approx(std::log(2)));
  CHECK(loss({{-kInf, 0, 0}}, {0}) == kInf);
  CHECK(std::isnan(loss({{-kInf, -kInf}, {0, 0}}, {0, 1})));

  const Var x = tape.input(Array{{-kInf, 0, 0}, {1e4, -1e4, -1e4}});
  const Var labels = tape.constant(Labels{1, 1}), rows = tape.constant(Array{{0, 1, 0}, {0, 1, 0}});
  for (const Var& t : {labels, rows}) {
    CHECK(softmax_cross_entropy(x, t).item<double>() == doctest::Approx((std::log(2) + 2e4) / 2));
    const Array g = gradient(softmax_cross_entropy(x, t), x), wanted{{0, -0.25, 0.25}, {0.5, -0.5, 0}};
    for (std::size_t i = 0; i < g.size(); ++i)
      CHECK(g.data()[i] == doctest::Approx(wanted.data()[i]).epsilon(1e-14));
  }
}

TEST_CASE("softmax_cross_entropy: the same number as softmax and categorical_cross_entropy") {
  Tape tape;
  const Var x = tape.input(Array{{0.3, -2, 1}, {4, 0, -1}});
  const Var weights = tape.constant(Array{{0.2, 0.3, 0.5}, {2, 0, 1}}),
            labels = tape.constant(xt::xarray<std::int32_t>{2, 0});
  for (const Var& t : {weights, labels}) {
    const Var fused = softmax_cross_entropy(x, t), composed = categorical_cross_entropy(softmax(x), t);
    CHECK(fused.item<double>() == doctest::Approx(composed.item<double>()).epsilon(1e-14));
    const Array g = gradient(fused, x), h = gradient(composed, x);
    for (std::size_t i = 0; i < g.size(); ++i)
      CHECK(g.data()[i] == doctest::Approx(h.data()[i]).epsilon(1e-12));
  }
}

TEST_CASE("l2_penalty: strength times the squares, with gradient 2 strength w") {
  Tape tape;
  const Var w = tape.input(Array{1, -2, 3});
  CHECK(l2_penalty(w, 0.25).item<double>() == 3.5);
  CHECK(gradient(l2_penalty(w, 0.25), w) == Array{0.5, -1, 1.5});
}

TEST_SUITE_END();
