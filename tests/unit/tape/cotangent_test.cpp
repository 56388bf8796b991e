// Cotangents are handed on without copies and summed up in place; here that must not be seen.
#include <functional>

#include "tests/unit/tape/helpers.hpp"
#include "xgrad/ops/linalg.hpp"
#include "xgrad/ops/shape.hpp"

using namespace xgrad;
using namespace xgrad::test;

TEST_CASE("cotangents: handed on without a copy, and never written where somebody else reads") {
  Tape tape;
  const Var x = tape.input(Array{1, 2}), w = tape.input(Array{3, 5});
  const auto check = [&](const Var& y, const Values& gx, const Values& gw) {
    const Var total = y.size() == 1 ? y : sum(y);
    for (const bool graph : {false, true}) {
      const auto g = grad(total, {x, w}, recorded(graph));
      CHECK(values(g[0]) == gx);
      CHECK(values(g[1]) == gw);
    }
  };
  const Var t = x + x;
  check(x + x + x, {3, 3}, {0, 0});
  check(x + (x + x), {3, 3}, {0, 0});
  check(x + t + (x + t), {6, 6}, {0, 0});
  check((x + w) + x * w, {4, 6}, {2, 3});
  check(x * w + (x + w), {4, 6}, {2, 3});
  check(w + x * w + x, {4, 6}, {2, 3});
  check(x + (x + w) * w + w, {4, 6}, {8, 13});
  check((x - w) + (w - x), {0, 0}, {0, 0});
  const Var r = reshape(x, Shape{2, 1}), s = reshape(r, Shape{1, 2}), back = reshape(s, Shape{2});
  check(back + x, {2, 2}, {0, 0});
  check(x + back * w + back, {5, 7}, {1, 2});
  check(reshape(r + r, Shape{2}) + back + w, {3, 3}, {1, 1});
  check(sum(r) + sum(s * s) + sum(back + x), {5, 7}, {0, 0});
  const Var a = x + w;  // its cotangent goes to both
  check(a + a * a + reshape(reshape(a, Shape{2, 1}), Shape{2}), {10, 16}, {10, 16});
  check(concat({x, w, x}) + concat({w, x, x}), {4, 4}, {2, 2});
  // The cotangent given by the user is handed on as well, and stays what it was.
  const Var c = tape.constant(Array{10, 20});
  const auto g = grad(x + w + x, {x, w}, weighted(c));
  CHECK(values(c) == Values{10, 20});
  CHECK(values(g[0]) == Values{20, 40});
  CHECK(values(g[1]) == Values{10, 20});
}

namespace {

/// Hands on what it should not: the value of its operand, as cotangent.
struct HandsOnOperand : SumOfOperands {
  static constexpr const char* name = "hands_on_operand";
  static constexpr Reads reads[] = {reads_x(1), kReadsNothing};
  void vjp(Backward& b) const {
    b.dx(0) += b.x(1);
    b.dx(1) += b.dy();
  }
};

/// matmul, then its transpose, with one Var bound again.
struct Rebinds : SumOfOperands {
  static constexpr const char* name = "rebinds";
  static constexpr Reads reads[] = {reads_x(1), kReadsNothing};
  void vjp(Backward& b) const {
    Var t = matmul(b.dy(), b.x(1));
    b.dx(0) += t;
    t = transpose(t);
    b.dx(1) += std::move(t);
  }
};

}  // namespace

TEST_CASE("cotangents: a recorded value that serves as cotangent is not written to") {
  Tape tape;
  const Var x = tape.input(Array{1, 2});
  Var w = x * 3, z = exp(x) * w, u = x * 10;  // mul reads w
  const Var v = apply(HandsOnOperand{}, x, w), y = sum(u + v + z * 0);
  w = z = u = Var();
  CHECK(values(grad(y, {x})[0]) == Values{16, 19});
  CHECK(values(grad(y, {x})[0]) == Values{16, 19});
}

TEST_CASE("cotangents: nothing is computed into a place that it reads") {
  Tape tape;
  const Var x = tape.input(Array{{1, 2}, {3, 4}});
  const Var y = sum(apply(Rebinds{}, x, x));
  // t = ones x = {4, 6; 4, 6}; t + t'
  CHECK(values(grad(y, {x})[0]) == Values{8, 10, 10, 12});
}

TEST_CASE("cotangents: those of sums are repeated only for those who need them in full") {
  Tape tape;
  const auto check = [&](const Shape& shape, const Axes& axes, bool keepdims) {
    CAPTURE(shape);
    const Array ones(std::vector<std::size_t>(shape.begin(), shape.end()), 1.0);
    Array a = ones, b = ones;
    for (std::size_t i = 0; i < a.size(); ++i) {
      a.data()[i] = 0.1 + 0.01 * static_cast<double>(i % 97);
      b.data()[i] = 2 - 0.03 * static_cast<double>(i % 31);
    }
    const Var x = tape.input(a), w = tape.constant(b);
    const std::vector<std::function<Var(const Var&)>> functions = {
        [](const Var& v) { return exp(v); },
        [](const Var& v) { return log(v); },
        [](const Var& v) { return -v; },
        [&](const Var& v) { return tanh(v) * w; },
        [&](const Var& v) { return w * v + v; },
        [](const Var& v) { return v; },
        [](const Var& v) { return reshape(v, v.shape()); },
        [&](const Var& v) {
          const Var t = square(v);  // whose cotangent has two summands, one of them from a sum
          return t + t * w;
        }};
    for (const auto& f : functions) {
      const Var y = f(x), z = square(sum(y, axes, keepdims)), total = sum(z) + sum(y);
      // With the graph nothing is left unrepeated.
      const Var small = grad(total, {x})[0], full = grad(total, {x}, recorded())[0];
      CHECK(difference(values(small), values(full)) < 1e-14);
      const auto both = grad(total, {y, x});
      CHECK(both[0].shape() == y.shape());
      CHECK(difference(values(both[1]), values(full)) < 1e-14);
    }
  };
  check({5, 7}, 0, false);
  check({5, 7}, 1, false);
  check({5, 7}, 1, true);
  check({3, 700, 2}, 1, false);
  check({3, 4, 300}, Axes{0, 2}, true);
  check({2500}, {}, false);
  check({}, {}, false);
  check({0, 3}, 0, false);
}

TEST_CASE("cotangents: a mean of squares costs no memory for its cotangent") {
  Tape tape;
  constexpr std::size_t n = 1 << 17;
  Parameter w(Array(std::vector<std::size_t>{n}, 3.0));
  for (int i = 0; i < 2; ++i) {
    w.zero_grad();
    backward(mean(square(tape.leaf(w))));
  }
  CHECK(tape.statistics().peak_bytes < n * sizeof(double) + 1000);
  CHECK(w.grad<double>()(n - 1) == doctest::Approx(6.0 / n));
}
