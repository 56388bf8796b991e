// Cotangents are handed on without copies and summed up in place; here that must not be seen.
#include "tests/tape/helpers.hpp"
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
