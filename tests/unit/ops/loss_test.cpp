// The losses where naive formulas fail, and their conventions.
#include "xgrad/ops/loss.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "xgrad/ops/activation.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/ops/shape.hpp"
#include "xgrad/ops/softmax.hpp"
#include "xgrad/tape/grad.hpp"

using namespace xgrad;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
using Array = xt::xarray<double>;
using Labels = xt::xarray<std::int64_t>;

/// The first and the second derivative of the sum of y with respect to x, whose elements do not mix.
Var derivative(const Var& y, const Var& x) {
  return grad(sum(y), {x}, {.create_graph = true, .cotangent = {}})[0];
}
Array first(const Var& y, const Var& x) { return derivative(y, x).array<double>(); }
Array second(const Var& y, const Var& x) { return grad(sum(derivative(y, x)), {x})[0].array<double>(); }

void check_near(const Array& got, const Array& wanted, double relative = 1e-14) {
  REQUIRE(got.shape() == wanted.shape());
  for (std::size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    if (wanted.data()[i] == 0 || !std::isfinite(wanted.data()[i])) {
      CHECK(got.data()[i] == wanted.data()[i]);
    } else {
      CHECK(got.data()[i] == doctest::Approx(wanted.data()[i]).epsilon(relative));
    }
  }
}

/// Two ways to one number, whose roundings differ.
void check_alike(const Array& a, const Array& b) {
  REQUIRE(a.shape() == b.shape());
  for (std::size_t i = 0; i < a.size(); ++i)
    CHECK(a.data()[i] == doctest::Approx(b.data()[i]).epsilon(1e-12));
}

}  // namespace

TEST_SUITE_BEGIN("ops");

TEST_CASE("losses: reductions") {
  Tape tape;
  const Var x = tape.input(Array{{1, 2, 3}, {0, 0, 6}}), t = tape.constant(Array{{1, 0, 0}, {0, 0, 0}});
  CHECK(mse(x, t).item<double>() == 49 / 6.0);
  CHECK(mse(x, t, Reduction::sum).item<double>() == 49);
  CHECK(mse(x, t, Reduction::batch_mean).item<double>() == 24.5);
  CHECK(mse(x, t, Reduction::none).array<double>() == Array{{0, 4, 9}, {0, 0, 36}});
  const Var scalar = tape.input(3.0), one = tape.constant(1, DType::float64);
  CHECK(mse(scalar, one, Reduction::batch_mean).item<double>() == 4);
  const Var none = tape.input(Array::from_shape({0, 3}));
  CHECK(std::isnan(mse(none, none).item<double>()));
  CHECK(mse(none, none, Reduction::sum).item<double>() == 0);
}

TEST_CASE("losses: at their kinks") {
  Tape tape;
  const Var zero = tape.constant(Array{0, 0, 0, 0, 0});
  const Var x = tape.input(Array{-2, -1, 0, 1, 2});
  CHECK(first(mae(x, zero, Reduction::sum), x) == Array{-1, -1, 0, 1, 1});
  CHECK(huber(x, zero, 1, Reduction::none).array<double>() == Array{1.5, 0.5, 0, 0.5, 1.5});
  CHECK(first(huber(x, zero, 1, Reduction::sum), x) == Array{-1, -1, 0, 1, 1});
  CHECK(second(huber(x, zero, 1, Reduction::sum), x) == Array{0, 1, 1, 1, 0});
  CHECK(first(smooth_l1(x, zero, 2, Reduction::sum), x) == Array{-1, -0.5, 0, 0.5, 1});
  CHECK(first(smooth_l1(x, zero, 0, Reduction::sum), x) == Array{-1, -1, 0, 1, 1});
  const Var sides = tape.constant(Array{1, -1, 1, 1, -1});
  CHECK(hinge_loss(x, sides, 1, Reduction::none).array<double>() == Array{3, 0, 1, 0, 3});
  CHECK(first(hinge_loss(x, sides, 1, Reduction::sum), x) == Array{-1, 0, -1, 0, 1});
}

TEST_CASE("losses: infinite differences") {
  Tape tape;
  const Var x = tape.input(Array{kInf, -kInf}), zero = tape.constant(Array{0, 0});
  CHECK(huber(x, zero, 1, Reduction::none).array<double>() == Array{kInf, kInf});
  CHECK(first(huber(x, zero, 1, Reduction::sum), x) == Array{1, -1});
  CHECK(first(mae(x, zero, Reduction::sum), x) == Array{1, -1});
}

TEST_CASE("binary_cross_entropy: certain and right costs nothing, certain and wrong infinity") {
  Tape tape;
  const Var p = tape.input(Array{0, 1, 0, 1, 0.25}), t = tape.constant(Array{0, 1, 1, 0, 0});
  const Var losses = binary_cross_entropy(p, t, {.reduction = Reduction::none});
  check_near(losses.array<double>(), Array{0, 0, kInf, kInf, -std::log(0.75)});
  check_near(first(losses, p), Array{1, -1, -kInf, kInf, 4 / 3.0});
  check_near(second(losses, p), Array{1, 1, kInf, kInf, 16 / 9.0});
}

TEST_CASE("binary_cross_entropy_with_logits: extreme logits") {
  Tape tape;
  const Var x = tape.input(Array{1e4, -1e4, 1e4, -1e4, 0, 40, kInf, -kInf});
  const Var t = tape.constant(Array{1, 0, 0, 1, 1, 1, 1, 0});
  const Var losses = binary_cross_entropy_with_logits(x, t, {.reduction = Reduction::none});
  check_near(losses.array<double>(), Array{0, 0, 1e4, 1e4, std::log(2), std::exp(-40), 0, 0});
  check_near(first(losses, x), Array{0, 0, 1, -1, -0.5, -std::exp(-40), 0, 0});
  check_near(second(losses, x), Array{0, 0, 0, 0, 0.25, std::exp(-40), 0, 0});
  const xt::xarray<float> narrow{1e4f, -1e4f, 20};
  const Var y = tape.input(narrow), one = tape.constant(xt::xarray<float>{1, 1, 1});
  const Var single = binary_cross_entropy_with_logits(y, one, {.reduction = Reduction::none});
  CHECK(single.array<float>()(0) == 0);
  CHECK(single.array<float>()(1) == 1e4f);
  CHECK(static_cast<double>(single.array<float>()(2)) == doctest::Approx(std::exp(-20)).epsilon(1e-6));
}

TEST_CASE("binary_cross_entropy_with_logits: the same as binary_cross_entropy of sigmoid") {
  Tape tape;
  const Var x = tape.input(Array{{-3, 0.5, 2}, {1, -1, 0}}), t = tape.input(Array{{0, 1, 0.3}, {1, 1, 0}});
  const Var fused = binary_cross_entropy_with_logits(x, t), composed = binary_cross_entropy(sigmoid(x), t);
  CHECK(fused.item<double>() == doctest::Approx(composed.item<double>()).epsilon(1e-14));
  check_alike(first(fused, x), first(composed, x));
  check_alike(first(fused, t), first(composed, t));
}

TEST_CASE("kl_divergence: a target of zero counts nothing, and none is left where both agree") {
  Tape tape;
  const Array q{{0, 0.5, 0.5}, {0.2, 0.3, 0.5}};
  const Var t = tape.constant(q), log_p = tape.input(Array{{-kInf, std::log(0.25), std::log(0.75)},
                                                           {std::log(0.2), std::log(0.3), std::log(0.5)}});
  const double wanted = 0.5 * std::log(2) + 0.5 * std::log(2 / 3.0);
  const Var loss = kl_divergence(log_p, t, Reduction::batch_mean);
  CHECK(loss.item<double>() == doctest::Approx(wanted / 2));
  CHECK(kl_divergence(log_p, t).item<double>() == doctest::Approx(wanted / 6));
  check_near(first(loss, log_p), -q / 2);
}

TEST_CASE("cross entropies: all the same, with every option") {
  Tape tape;
  const Var x = tape.input(Array{{0.3, -2, 1}, {4, 0, -1}, {1, 1, 1}, {0, 2, -3}});
  const Var labels = tape.constant(Labels{2, 0, -100, 1});
  const Var weights = tape.input(Array{0.5, 2, 1});
  for (const Reduction r : {Reduction::mean, Reduction::sum, Reduction::batch_mean, Reduction::none}) {
    const CrossEntropyOptions o{
        .class_weights = weights, .ignore_index = -100, .label_smoothing = 0.1, .reduction = r};
    const Var fused = softmax_cross_entropy(x, labels, o);
    for (const Var& other :
         {nll_loss(log_softmax(x), labels, o), categorical_cross_entropy(softmax(x), labels, o)}) {
      check_alike(fused.array<double>(), other.array<double>());
      for (const Var& v : {x, weights}) {
        check_alike(first(square(fused), v), first(square(other), v));
        check_alike(second(square(fused), v), second(square(other), v));
      }
    }
  }
}

TEST_CASE("cross entropies: the mean with class weights is over the labels' weights") {
  Tape tape;
  const Var log_p = tape.input(Array{{-1, -2, -3}, {-4, -5, -6}, {-7, -8, -9}});
  const Var weights = tape.constant(Array{1, 2, 4}), labels = tape.constant(Labels{0, 2, 1});
  CHECK(nll_loss(log_p, labels, {.class_weights = weights}).item<double>() == (1 + 4 * 6 + 2 * 8) / 7.0);
  CHECK(nll_loss(log_p, labels, {.class_weights = weights, .ignore_index = 2}).item<double>() ==
        (1 + 2 * 8) / 3.0);
  CHECK(nll_loss(log_p, labels, {.ignore_index = 2, .reduction = Reduction::batch_mean}).item<double>() == 3);
  const Var rows = tape.constant(Array{{1, 0, 0}, {0, 0, 1}, {0, 1, 0}});
  CHECK(nll_loss(log_p, rows, {.class_weights = weights}).item<double>() == (1 + 4 * 6 + 2 * 8) / 3.0);
}

TEST_CASE("cross entropies: rows that are ignored have no influence, whatever they hold") {
  Tape tape;
  const Var x = tape.input(Array{{-kInf, -kInf}, {0, std::log(3)}, {kInf, 1}});
  const Var labels = tape.constant(Labels{7, 1, 7});
  const CrossEntropyOptions o{.ignore_index = 7};
  const Var loss = softmax_cross_entropy(x, labels, o);
  CHECK(loss.item<double>() == doctest::Approx(-std::log(0.75)));
  check_near(first(loss, x), Array{{0, 0}, {0.25, -0.25}, {0, 0}});
  const Array g = second(square(loss), x);
  CHECK(g(0, 0) == 0);
  CHECK(std::isfinite(g(1, 0)));
  CHECK(g(2, 1) == 0);
  const Var log_p = tape.input(Array{{-kInf, 0}, {-1, -2}, {-kInf, -kInf}});
  CHECK(nll_loss(log_p, labels, o).item<double>() == 2);
  CHECK(first(nll_loss(log_p, labels, o), log_p) == Array{{0, 0}, {0, -1}, {0, 0}});
}

TEST_CASE("cross entropies: when all labels are ignored the mean is NaN, its gradient and the sum zero") {
  Tape tape;
  const Var x = tape.input(Array{{1, 2}, {3, 4}}), labels = tape.constant(Labels{-1, -1});
  const Array zero{{0, 0}, {0, 0}};
  for (auto* f : {softmax_cross_entropy, categorical_cross_entropy, nll_loss}) {
    CHECK(std::isnan(f(x, labels, {.ignore_index = -1}).item<double>()));
    CHECK(f(x, labels, {.ignore_index = -1, .reduction = Reduction::sum}).item<double>() == 0);
    CHECK(first(f(x, labels, {.ignore_index = -1}), x) == zero);
  }
}

TEST_CASE("softmax_cross_entropy: labels of no option are one op") {
  Tape tape;
  const Var x = tape.input(Array{{1, 2}, {3, 4}}), labels = tape.constant(Labels{0, 1});
  for (const Reduction r : {Reduction::mean, Reduction::sum, Reduction::batch_mean, Reduction::none}) {
    const std::size_t before = tape.statistics().instructions;
    const Var loss = softmax_cross_entropy(x, labels, {.reduction = r});
    CHECK(tape.statistics().instructions == before + 1);
  }
}

TEST_CASE("cosine_similarity: of a vector of zeros it is 0, with a finite gradient") {
  Tape tape;
  const Var x = tape.input(Array{{0, 0}, {3, 4}}), y = tape.input(Array{{3, 4}, {3, 4}});
  const Var c = cosine_similarity(x, y);
  check_near(c.array<double>(), Array{0, 1});
  const Array g = first(c, x), h = second(c, x);
  CHECK(g(0, 0) == doctest::Approx(0.6e8));
  CHECK(g(1, 0) == doctest::Approx(0));
  for (double v : h) CHECK(std::isfinite(v));
}

TEST_CASE("cosine_embedding_loss: apart and together") {
  Tape tape;
  const Var x = tape.input(Array{{1, 0}, {1, 0}, {1, 0}}), y = tape.constant(Array{{0, 1}, {0, 1}, {1, 0}});
  const Var t = tape.constant(Array{1, -1, -1});
  check_near(cosine_embedding_loss(x, y, t, 0, Reduction::none).array<double>(), Array{1, 0, 1});
  check_near(cosine_embedding_loss(x, y, t, 0.5, Reduction::none).array<double>(), Array{1, 0, 0.5});
  const Array g = first(cosine_embedding_loss(x, y, t, 0, Reduction::sum), x);
  CHECK(g(0, 1) == -1);
  CHECK(g(1, 1) == 0);  // the similarity is the margin: the kink
}

TEST_CASE("triplet_margin_loss: equal examples have a finite gradient") {
  Tape tape;
  const Var a = tape.input(Array{{1, 2}, {0, 0}}), p = tape.input(Array{{1, 2}, {0, 0}}),
            n = tape.constant(Array{{1, 2}, {3, 4}});
  const Var losses = triplet_margin_loss(a, p, n, 1, 1e-6, Reduction::none);
  check_near(losses.array<double>(), Array{1, 0});
  for (const Var& v : {a, p}) {
    for (double g : first(losses, v)) CHECK(std::isfinite(g));
    for (double g : second(losses, v)) CHECK(std::isfinite(g));
  }
}

TEST_SUITE_END();
