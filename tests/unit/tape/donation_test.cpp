// Donated operands, whose memory the result takes over.
#include <utility>

#include "tests/unit/tape/helpers.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

const void* memory(const Var& v) { return v.view().data; }

/// A user's op: x + y of equal shapes.
struct Plus {
  static constexpr const char* name = "plus";
  static constexpr bool elementwise = true;
  static constexpr Reads reads[] = {kReadsNothing};
  TensorType infer(Operands x) const {
    if (x[0].shape() != x[1].shape()) throw ShapeError("plus: shapes differ");
    return {x[0].dtype, x[0].shape()};
  }
  void eval(Operands x, View y, Write write) const {
    for (std::int64_t i = 0; i < y.size(); ++i) {
      store(y.as<double>()[i], x[0].as<double>()[i] + x[1].as<double>()[i], write);
    }
  }
  void vjp(Backward& b) const {
    b.dx(0) += b.dy();
    b.dx(1) += b.donate_dy();
  }
};

struct Thrower : Plus {
  void eval(Operands, View, Write) const { throw Error("thrower: no"); }
};

}  // namespace

TEST_CASE("donation: a result takes the memory of an operand that nothing else needs") {
  Tape tape;
  Var x = tape.constant(Array{1, 2, 3});
  const Var a = tape.constant(Array{4, 5, 6});
  const void* place = memory(x);
  SUBCASE("the first operand's") {
    const Var y = std::move(x) - a;
    CHECK(memory(y) == place);
    CHECK(values(y) == Values{-3, -3, -3});
  }
  SUBCASE("the second operand's") {
    const Var y = a - std::move(x);
    CHECK(memory(y) == place);
    CHECK(values(y) == Values{3, 3, 3});
  }
  SUBCASE("through a chain of temporaries") {
    const Var y = exp(-(2 * std::move(x) - 1));
    CHECK(memory(y) == place);
    CHECK(values(y)[1] == doctest::Approx(std::exp(-3.0)));
    CHECK(tape.statistics().slots == 2);
  }
  SUBCASE("of a recording too, when the derivative reads none of it") {
    const Parameter w(Array{1, 1, 1});
    Var y = tape.leaf(w) * a;
    place = memory(y);
    y = std::move(y) + a;
    y = exp(std::move(y));  // reads its result
    CHECK(memory(y) == place);
    backward(sum(std::move(y)));
    CHECK(w.grad<double>()(1) == doctest::Approx(5 * std::exp(10.0)));
  }
  CHECK(values(a) == Values{4, 5, 6});
}

TEST_CASE("donation: memory that something else needs is left alone") {
  Tape tape;
  Var x = tape.input(Array{1, 2, 3});
  const Var a = tape.constant(Array{4, 5, 6});
  SUBCASE("another handle") {
    const Var copy = x;
    const Var y = std::move(x) + a;
    CHECK(values(copy) == Values{1, 2, 3});
    CHECK(values(y) == Values{5, 7, 9});
  }
  SUBCASE("the same operand twice") {
    Var t = x + a;
    const Var copy = t;
    CHECK(values(std::move(t) * copy) == Values{25, 49, 81});
    CHECK(values(copy) == Values{5, 7, 9});
  }
  SUBCASE("the same operand, of which the other place is read") {
    Var t = x + a, copy = x + a;
    const Var y = sum(std::move(t) / t);
    CHECK(values(y) == Values{3});
    CHECK(values(grad(y, {x})[0]) == Values{0, 0, 0});
    const Var z = sum(copy / std::move(copy));
    CHECK(values(grad(z, {x})[0]) == Values{0, 0, 0});
  }
  SUBCASE("another shape of it") {
    Var t = x + a;
    const Var row = reshape(t, {1, 3});
    const Var y = -std::move(t);
    CHECK(values(row) == Values{5, 7, 9});
    CHECK(values(y) == Values{-5, -7, -9});
  }
  SUBCASE("a parameter") {
    const Parameter w(Array{1, 2, 3});
    const Var y = tape.leaf(w) + a;
    CHECK(w.value<double>()(0) == 1);
    CHECK(values(y) == Values{5, 7, 9});
  }
  SUBCASE("the op's own derivative") {
    const Var y = sum(square(x + a));
    CHECK(values(grad(y, {x})[0]) == Values{10, 14, 18});
  }
  SUBCASE("the derivative of an op before") {
    Var t = exp(x);
    const Var y = sum(std::move(t) + a);
    CHECK(values(grad(y, {x})[0])[2] == doctest::Approx(std::exp(3.0)));
  }
  SUBCASE("a larger result, and one of another dtype") {
    Var t = tape.constant(Array{1});
    CHECK(values(std::move(t) + a) == Values{5, 6, 7});
    Var n = tape.constant(Array{1, 2, 3});
    CHECK(values(where(equal(std::move(n), a), a, a)) == Values{4, 5, 6});
  }
  SUBCASE("an error's report of what went in") {
    tape.detect_nan();
    Var t = a - tape.constant(Array{5, 5, 5});
    CHECK_ERROR(log(std::move(t)), NonFinite, doctest::Contains("its operands are finite"));
  }
}

TEST_CASE("donation: the variable names nothing afterwards, unless nothing was computed") {
  Tape tape;
  Var x = tape.constant(Array{1, 2, 3});
  const Var a = tape.constant(Array{1, 1, 1}), wrong = tape.constant(Array{1, 2});
  CHECK_ERROR(apply(Plus{}, std::move(x), wrong), ShapeError, "plus: shapes differ");
  CHECK(values(x) == Values{1, 2, 3});
  const void* place = memory(x);
  const Var y = apply(Plus{}, std::move(x), a);
  CHECK(memory(y) == place);
  CHECK(!x.defined());
  CHECK_ERROR(x + y, StaleVar, "variable: empty, it names no value");
}

TEST_CASE("donation: what a kernel that throws was given is gone, and says so") {
  Tape tape;
  Var x = tape.constant(Array{1, 2, 3});
  const Var a = tape.constant(Array{1, 1, 1});
  CHECK_ERROR(apply(Thrower{}, std::move(x), a), Error, "thrower: no");
  CHECK_ERROR(x + a, StaleVar, "variable: empty, it names no value");
  CHECK(tape.statistics().slots == 1);
}

TEST_CASE("donation: a backward pass hands one cotangent's memory down a chain") {
  Tape tape;
  constexpr std::size_t kBytes = 1 << 20;
  const std::size_t n = kBytes / sizeof(double);
  const Parameter w(Array(std::vector<std::size_t>{n}, 0.5));
  const auto peak = [&](int length) {
    Var y = tape.leaf(w);
    for (int i = 0; i < length; ++i) y = -(std::move(y) * 0.5 + 0.25);
    backward(sum(std::move(y)));
    return tape.statistics().peak_bytes;
  };
  CHECK(peak(1) < 2 * kBytes + kBytes / 2);
  CHECK(peak(50) < 2 * kBytes + kBytes / 2);
  CHECK(w.grad<double>()(7) == doctest::Approx(-0.5 + std::pow(0.5, 50)));
}

TEST_CASE("donation: cotangents that are asked for, shared or differentiated again stay") {
  Tape tape;
  const Var x = tape.input(Array{0.5, 2});
  const Var a = tape.constant(Array{3, 4});
  const Var t = x * a, u = -t, y = sum(u * a);
  const auto g = grad(y, {u, t, x});
  CHECK(values(g[0]) == Values{3, 4});
  CHECK(values(g[1]) == Values{-3, -4});
  CHECK(values(g[2]) == Values{-9, -16});
  const Var z = sum(t * t + t);  // t's cotangent has three summands
  CHECK(values(grad(z, {x})[0]) == Values{3 * (2 * 1.5 + 1), 4 * (2 * 8 + 1)});
  const Var d = grad(sum(exp(-x)), {x}, {.create_graph = true})[0];
  CHECK(values(grad(sum(d), {x})[0])[1] == doctest::Approx(std::exp(-2.0)));
}
