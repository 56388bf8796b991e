// Reductions: of nothing, ties, accuracy, NaN.
#include "xgrad/ops/reduce.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>

#include "xgrad/ops/elementwise.hpp"
#include "xgrad/tape/grad.hpp"

using namespace xgrad;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
using Array = xt::xarray<double>;

Array empty(std::initializer_list<std::size_t> shape) { return Array::from_shape(shape); }

}  // namespace

TEST_SUITE_BEGIN("ops");

TEST_CASE("reduce: of nothing") {
  Tape tape;
  const Var none = tape.input(empty({0})), rows = tape.input(empty({2, 0}));
  CHECK(sum(none).item<double>() == 0);
  CHECK(std::isnan(mean(none).item<double>()));
  CHECK(logsumexp(none).item<double>() == -kInf);
  CHECK(sum(rows, 1).array<double>() == Array{0, 0});
  CHECK(logsumexp(rows, 1).array<double>() == Array{-kInf, -kInf});
  CHECK(mean(rows, 0).shape() == Shape{0});
  CHECK(max(rows, 0).shape() == Shape{0});
  CHECK_THROWS_WITH_AS(max(none), "max: [0] has no elements to reduce", ShapeError);
  CHECK_THROWS_WITH_AS(max(rows, -1), "max: [2, 0] has no elements to reduce", ShapeError);
  CHECK(grad(sum(none), {none})[0].shape() == Shape{0});
  CHECK(prod(none).item<double>() == 1);
  CHECK(prod(rows, 1).array<double>() == Array{1, 1});
  CHECK(std::isnan(var(none).item<double>()));
  CHECK(std::isnan(xgrad::std(none).item<double>()));
  for (double ord : {0.5, 1.0, 2.0, 3.0}) CHECK(norm(none, ord).item<double>() == 0);
  CHECK_THROWS_WITH_AS(min(none), "min: [0] has no elements to reduce", ShapeError);
  CHECK(grad(prod(none), {none})[0].shape() == Shape{0});
}

TEST_CASE("reduce: over no axes gives the same back") {
  Tape tape;
  const Var x = tape.input(Array{{1, 2}, {3, 4}});
  const Axes none(std::vector<int>{});
  for (const Var& y : {sum(x, none), mean(x, none), prod(x, none), max(x, none), min(x, none),
                       norm(x, kInf, none), logsumexp(x, none)}) {
    CHECK(y.array<double>() == x.array<double>());
  }
}

TEST_CASE("reduce: elements that tie for the maximum share the cotangent") {
  Tape tape;
  const Var x = tape.input(Array{{1, 3, 3}, {2, 2, 2}, {0, -1, -5}});
  CHECK(grad(sum(max(x, 1)), {x})[0].array<double>() ==
        Array{{0, 0.5, 0.5}, {1 / 3.0, 1 / 3.0, 1 / 3.0}, {1, 0, 0}});
  CHECK(grad(max(x), {x})[0].array<double>() == Array{{0, 0.5, 0.5}, {0, 0, 0}, {0, 0, 0}});
  const Var low = tape.input(Array{-kInf, -kInf});
  CHECK(max(low).item<double>() == -kInf);
  CHECK(grad(max(low), {low})[0].array<double>() == Array{0.5, 0.5});
}

TEST_CASE("reduce: elements that tie for the minimum share the cotangent") {
  Tape tape;
  const Var x = tape.input(Array{{1, 1, 3}, {2, 2, 2}, {0, -1, -5}});
  CHECK(min(x, 1).array<double>() == Array{1, 2, -5});
  CHECK(grad(sum(min(x, 1)), {x})[0].array<double>() ==
        Array{{0.5, 0.5, 0}, {1 / 3.0, 1 / 3.0, 1 / 3.0}, {0, 0, 1}});
  CHECK(std::isnan(min(tape.input(Array{-kInf, kNaN, 1})).item<double>()));
}

TEST_CASE("reduce: the derivative of a product with zeros") {
  Tape tape;
  const auto gradient = [&](const Array& factors) {
    const Var x = tape.input(factors);
    return grad(prod(x), {x})[0].array<double>();
  };
  CHECK(gradient({2, 3, 4}) == Array{12, 8, 6});
  CHECK(gradient({2, 0, 4}) == Array{0, 8, 0});
  CHECK(gradient({0, 3, 0}) == Array{0, 0, 0});
  const Var x = tape.input(Array{0, 3, 0});
  const Var slope = grad(prod(x), {x}, {.create_graph = true})[0];
  CHECK(grad(sum(slope * tape.constant(Array{1, 0, 0})), {x})[0].array<double>() == Array{0, 0, 3});
  CHECK(prod(tape.input(Array{{0, kInf}, {2, 5}}), 1).array<double>()(1) == 10);
}

TEST_CASE("reduce: the variance of numbers that are large and alike") {
  Tape tape;
  xt::xarray<float> x = 10000.0f * xt::ones<float>({1000});
  for (std::size_t i = 0; i < 1000; ++i) x(i) += static_cast<float>(i % 2);
  CHECK(var(tape.input(x)).item<float>() == doctest::Approx(0.25));
  CHECK(var(tape.input(Array{1e9, 1e9 + 1, 1e9 + 2}), {}, false, 1).item<double>() == 1);
}

TEST_CASE("reduce: a variance of 0, and one with too large a correction") {
  Tape tape;
  const Var flat = tape.input(Array{{3, 3, 3}, {1, 2, 3}}), one = tape.input(Array{5});
  const Var s = xgrad::std(flat, 1, false, 1);
  CHECK(s.array<double>() == Array{0, 1});
  const Var g = grad(sum(s), {flat}, {.create_graph = true})[0];
  CHECK(g.array<double>() == Array{{0, 0, 0}, {-0.5, 0, 0.5}});
  for (double second : grad(sum(g * g), {flat})[0].array<double>()) CHECK(std::isfinite(second));
  CHECK(std::isnan(var(one, {}, false, 1).item<double>()));
  CHECK(std::isnan(xgrad::std(one, {}, false, 2).item<double>()));
  CHECK(var(flat, 1, false, 3).array<double>()(1) == kInf);
}

TEST_CASE("reduce: the norm of zeros has the derivative 0") {
  Tape tape;
  const Var x = tape.input(Array{{0, 0}, {3, -4}, {0, -2}});
  for (double ord : {0.5, 1.0, 1.5, 2.0, 3.0, kInf}) {
    CAPTURE(ord);
    const Var y = norm(x, ord, 1);
    CHECK(y.array<double>()(0) == 0);
    CHECK(y.array<double>()(2) == doctest::Approx(2));
    const Var g = grad(sum(y), {x}, {.create_graph = true})[0];
    const Array slope = g.array<double>();
    CHECK(slope(0, 0) == 0);
    CHECK(slope(0, 1) == 0);
    CHECK(slope(2, 0) == 0);
    CHECK(slope(2, 1) == doctest::Approx(-1));
    for (double second : grad(sum(g * g), {x})[0].array<double>()) CHECK(std::isfinite(second));
  }
  CHECK(norm(x, 2, 1).array<double>()(1) == 5);
  CHECK(norm(x, 1, 1).array<double>()(1) == 7);
  CHECK(norm(x, kInf, 1).array<double>()(1) == 4);
  CHECK(norm(tape.input(Array{kInf, 1})).item<double>() == kInf);
  CHECK(std::isnan(norm(tape.input(Array{kNaN, 1}), 3).item<double>()));
  CHECK_THROWS_AS(norm(x, kNaN), Error);
}

TEST_CASE("reduce: a NaN anywhere is the maximum") {
  for (std::size_t n : {1, 2, 7, 8, 9, 16, 33, 70}) {
    std::size_t found = 0;
    for (std::size_t place = 0; place < n; ++place) {
      Array column = xt::ones<double>({n, std::size_t{1}});
      column.data()[place] = kNaN;
      const xt::xarray<float> narrow = xt::cast<float>(column);
      const Array columns = xt::ones<double>({n, std::size_t{3}}) * column;
      Tape tape;
      const Array tops = max(tape.input(columns), 0).array<double>();
      found += std::isnan(max(tape.input(column)).item<double>()) &&
               std::isnan(max(tape.input(narrow)).item<float>()) && std::isnan(tops(0)) &&
               std::isnan(tops(2));
    }
    CHECK(found == n);
  }
}

TEST_CASE("reduce: logsumexp of extremes") {
  Tape tape;
  const auto of = [&](const Array& x) { return logsumexp(tape.input(x)).item<double>(); };
  CHECK(of({1e4, 1e4}) == doctest::Approx(1e4 + std::log(2)));
  CHECK(of({-1e4, -1e4}) == doctest::Approx(-1e4 + std::log(2)));
  CHECK(of({1e4, -1e4}) == 1e4);
  CHECK(of({-kInf, 3}) == 3);
  CHECK(of({-kInf, -kInf}) == -kInf);
  CHECK(of({kInf, 3}) == kInf);
  CHECK(of({kInf, -kInf, kInf}) == kInf);
  CHECK(std::isnan(of({kNaN, 3})));
  CHECK(std::isnan(of({kNaN, -kInf})));
  CHECK(std::isnan(of({kNaN, kInf})));
  const Var x = tape.input(Array{1e4, -1e4, -kInf});
  CHECK(grad(logsumexp(x), {x})[0].array<double>() == Array{1, 0, 0});
}

TEST_CASE("reduce: sums in single precision stay accurate") {
  // Up to 64 additions in a row, each rounded by 6e-8, then pairwise. One after the other they would lose 1
  // %.
  constexpr double kTolerance = 64 * 6e-8;
  const std::size_t n = 1 << 20;
  const xt::xarray<float> row = 0.1f * xt::ones<float>({n}),
                          columns = 0.1f * xt::ones<float>({n / 2, std::size_t{2}});
  Tape tape;
  const auto pause = tape.no_grad();
  const double tenth = static_cast<double>(0.1f), exact = static_cast<double>(n) * tenth;
  CHECK(std::abs(static_cast<double>(sum(tape.constant(row)).item<float>()) / exact - 1) < kTolerance);
  CHECK(std::abs(static_cast<double>(sum(tape.constant(columns), 0).array<float>()(1)) / exact * 2 - 1) <
        kTolerance);
  CHECK(std::abs(static_cast<double>(mean(tape.constant(row)).item<float>()) / tenth - 1) < kTolerance);
}

TEST_CASE("reduce: every set of axes of a tensor of rank 4") {
  Array x = Array::from_shape({2, 3, 1, 4});
  for (std::size_t i = 0; i < x.size(); ++i) x.data()[i] = static_cast<double>(i * i % 17);
  Tape tape;
  const Var v = tape.input(x);
  for (unsigned mask = 0; mask < 16; ++mask) {
    std::vector<int> axes;
    Shape kept = v.shape();
    for (int a = 0; a < 4; ++a) {
      if (mask >> a & 1) axes.push_back(a), kept.set(a, 1);
    }
    Array sums = xt::zeros<double>(detail::xt_shape(kept)), tops = xt::zeros<double>(detail::xt_shape(kept));
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t at[] = {i / 12, i / 4 % 3, 0, i % 4};
      std::size_t place = 0;
      for (std::size_t a = 0; a < 4; ++a) {
        place = place * sums.shape(a) + (mask >> a & 1 ? 0 : at[a]);
      }
      sums.data()[place] += x.data()[i];
      tops.data()[place] = std::max(tops.data()[place], x.data()[i]);
    }
    CHECK(sum(v, axes, true).array<double>() == sums);
    CHECK(max(v, axes, true).array<double>() == tops);
    CHECK(sum(v, axes).size() == static_cast<std::int64_t>(sums.size()));
  }
}

TEST_SUITE_END();
