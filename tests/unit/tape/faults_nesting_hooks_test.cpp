// Passes inside passes, by kind of fault: derivatives in hooks and vjps, and what shortens a recording there.
// Right values are closed forms of polynomials.
#include <memory>
#include <stdexcept>

#include "tests/unit/tape/faults.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/ops/shape.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

/// x y, with derivatives of other functions between its cotangents.
struct Product {
  static constexpr const char* name = "nested_product";
  static constexpr Reads reads[] = {reads_x(1), reads_x(0)};
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View y, Write write) const {
    for (std::int64_t i = 0; i < y.size(); ++i)
      detail::put_element(y.as<double>()[i], x[0].as<double>()[i] * x[1].as<double>()[i], write);
  }
  void vjp(Backward& b) const {
    const Var u = b.dy() * b.x(1);
    const Var h = b.dx(0).needed() ? value_and_grad(cube_sum, b.dy()).grads[0] : b.dy();
    b.dx(0) += u;
    CHECK(values(h).size() == 1);
    const Var v = b.dy() * b.x(0);
    (void)hvp(cube_sum, b.dy(), b.dy());
    b.dx(1) += v;
  }
};

}  // namespace

// C4: a derivative inside a hook or a vjp --------------------------------------------------------------

TEST_CASE("faults: C4: of the cotangent, in a hook that leaves it") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  const UnaryFunction g = [](const Var& u) { return sum(u * u); };
  int calls = 0;
  const auto look = [&](const Var& dy) {
    const ValueAndGrad both = value_and_grad(g, dy * 2.0);
    CHECK(values(both.value) == Values{4});
    CHECK(values(both.grads[0]) == Values{4});
    CHECK(values(hessian(g, dy)) == Values{2});
    ++calls;
    return Var();
  };
  CHECK(values(grad(sum(with_hook(x * x, look)), {x})[0]) == Values{4});
  CHECK(values(hessian([&](const Var& z) { return sum(with_hook(z * z, look)); }, x)) == Values{2});
  CHECK(calls >= 2);
}

TEST_CASE("faults: C4: in a hook that goes on with it") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  const UnaryFunction g = [](const Var& u) { return sum(u * u * u); };
  const auto slope = [&](const Var& dy) { return value_and_grad(g, dy, true).grads[0]; };  // 3 dy^2
  const Var y = sum(with_hook(x * x, slope) * x);  // dy is x: 3 x^2 2 x + x^2
  const Var first = grad(y, {x}, recorded())[0];
  CHECK(values(first) == Values{52});
  CHECK(values(grad(y, {x})[0]) == Values{52});
  // 6 x^3 + h: the hook is met again on the way back from h, where dy is 1.
  CHECK(values(grad(sum(first), {x})[0]) == Values{84});  // 18 x^2 + 3 2 x
}

TEST_CASE("faults: C4: grad of captured variables in a hook") {
  Tape tape;
  const Var x = tape.input(Array{2.0}), c = tape.input(Array{3.0}), a = cube_sum(c);
  const auto look = [x, c, a](const Var& dy) {
    CHECK(values(grad(sum(x * x), {x})[0]) == Values{4});
    const Var g = grad(a, {c}, recorded())[0];
    CHECK(values(g) == Values{27});
    CHECK(values(grad(sum(g), {c})[0]) == Values{18});
    return dy * g;
  };
  const Var y = sum(with_hook(x, look));
  CHECK(values(grad(y, {x})[0]) == Values{27});  // 3 c^2
  const Var g = grad(y, {x}, recorded())[0];
  CHECK(values(grad(sum(g), {c})[0]) == Values{18});  // 6 c
}

TEST_CASE("faults: C4: an implicit function's derivative by a Jacobian in its vjp") {
  const auto root = custom_vjp<"root">([](std::span<const Var> a) { return sqrt(a[0]); },
                                       [](std::span<const Var>, const Var& y, const Var& dy) {
                                         const Var J =
                                             jacobian([](const Var& z) { return z * z; }, y, true);  // 2 y
                                         return std::vector<Var>{dy / reshape(J, {1})};
                                       });
  Tape tape;
  const Var a = tape.input(Array{4.0});
  const Var g = grad(sum(root(a)), {a}, recorded())[0];
  CHECK(values(g) == Values{0.25});                          // 1 / (2 a^0.5)
  CHECK(values(grad(sum(g), {a})[0]) == Values{-1.0 / 32});  // -1 / (4 a^1.5)
  Parameter p(Array{16.0});
  backward(sum(root(tape.leaf(p))));
  CHECK(grad_of(p) == Values{0.125});
}

TEST_CASE("faults: C4: in a struct op's vjp, value_and_grad works, and grad by its operand or not at all") {
  int calls = 0;
  const CallingOp op{[&](Backward& b) {
    const Var x = b.x(0);
    CHECK(values(value_and_grad(cube_sum, x).grads[0]) == Values{12});
    CHECK(values(hvp(cube_sum, x, filled_like(x, 1))) == Values{12});
    if (b.create_graph()) {
      CHECK(values(grad(cube_sum(x), {x})[0]) == Values{12});
    } else {
      try {
        CHECK(values(grad(cube_sum(x), {x})[0]) == Values{12});
      } catch (const NotDifferentiable&) {  // x may count as a constant
      }
    }
    ++calls;
    b.dx(0) += b.dy() * value_and_grad(cube_sum, x, true).grads[0];
  }};
  Tape tape;
  const Var x = tape.input(Array{2.0});
  CHECK(values(grad(sum(apply(op, x)), {x})[0]) == Values{12});
  const Var g = grad(sum(apply(op, x)), {x}, recorded())[0];
  CHECK(values(grad(sum(g), {x})[0]) == Values{12});
  CHECK(calls == 2);
}

TEST_CASE("faults: C4: several cotangents with derivatives between") {
  Tape tape;
  const Var x = tape.input(Array{2.0}), w = tape.input(Array{3.0});
  for (const bool create_graph : {false, true}) {
    const std::vector<Var> g = grad(sum(apply(Product{}, x, w) * x), {x, w}, recorded(create_graph));
    CHECK(values(g[0]) == Values{12});  // 2 x w
    CHECK(values(g[1]) == Values{4});   // x^2
  }
}

TEST_CASE("faults: C4: hooks in hooks in hooks") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  int depth = 0, deepest = 0;
  std::function<Var(const Var&)> look = [&](const Var& dy) {
    deepest = std::max(deepest, ++depth);
    if (depth < 5) {
      CHECK(values(grad(sum(with_hook(x, look) * x), {x})[0]) == Values{4});
      CHECK(values(value_and_grad([&](const Var& z) { return sum(with_hook(z * z, look)); }, dy).grads[0]) ==
            Values{2 * values(dy)[0]});
    }
    --depth;
    return Var();
  };
  CHECK(values(grad(sum(with_hook(x * x, look)), {x})[0]) == Values{4});
  CHECK(deepest == 5);
}

TEST_CASE("faults: C4: a derivative in a hook that a checkpoint records again") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  const auto slope = [](const Var& dy) { return dy * value_and_grad(cube_sum, dy).grads[0]; };  // 3 dy^3
  const TensorFunction f = [&](std::span<const Var> v) { return sum(with_hook(v[0] * v[0], slope) * 2.0); };
  CHECK(values(grad(checkpoint(f, {x}), {x})[0]) == Values{96});  // dy = 2: 24 times 2 x
}

// C5: a recording that is shortened under a pass -------------------------------------------------------

TEST_CASE("faults: C5: a hook that clears or rewinds, caught or not") {
  Tape tape;
  const Tape::Mark mark = tape.mark();
  const Var x = tape.input(Array{2.0});
  const auto clears = [&](const Var&) {
    tape.clear();
    return Var();
  };
  const auto rewinds = [&](const Var&) {
    tape.rewind(mark);
    return Var();
  };
  const Var y = sum(x * x), z = sum(with_hook(y, clears)), w = sum(with_hook(y, rewinds));
  CHECK(names(error_of([&] { return grad(z, {x}); }), "hook"));
  CHECK(names(error_of([&] { return grad(w, {x}); }), "hook"));
  CHECK(names(error_of([&] { return hvp([&](const Var&) { return w; }, x, x); }), "hook"));
  CHECK(values(grad(y, {x})[0]) == Values{4});
  tape.rewind(mark);  // allowed again
  CHECK(tape.statistics().instructions == 0);
}

TEST_CASE("faults: C5: a checkpointed function that clears, rewinds or calls backward") {
  Tape tape;
  Parameter p(Array{2.0}, "p");
  const Tape::Mark mark = tape.mark();
  const Var x = tape.leaf(p), a = sum(x * x);
  const TensorFunction f = [&](std::span<const Var> v) {
    CHECK(names(error_of([&] {
                  tape.clear();
                  return 0;
                }),
                "checkpoint"));
    CHECK(names(error_of([&] {
                  tape.rewind(mark);
                  return 0;
                }),
                "checkpoint"));
    Parameter own(Array{3.0}, "own");
    backward(sum(tape.leaf(own) * tape.leaf(own)));
    CHECK(grad_of(own) == Values{6});
    return sum(v[0] * v[0] * v[0]);
  };
  backward(a + checkpoint(f, {x}));
  CHECK(grad_of(p) == Values{16});  // 2 p + 3 p^2
}

TEST_CASE("faults: C5: a hook on another tape clears the tape whose hook runs it") {
  Tape outer, inner;
  const Var x = outer.input(Array{2.0});
  std::string text;
  const auto clears = [&](const Var&) {
    text = error_of([&] {
      outer.clear();
      return 0;
    });
    inner.constant(1, DType::float64);
    return Var();
  };
  const auto runs = [&](const Var&) {
    const Var z = inner.input(Array{2.0});
    CHECK(values(grad(sum(with_hook(z * z, clears)), {z})[0]) == Values{4});
    inner.clear();  // no pass of its own is under way
    return Var();
  };
  CHECK(values(grad(sum(with_hook(x * x, runs)), {x})[0]) == Values{4});
  CHECK(names(text, "hook"));
}

TEST_CASE("faults: C5: the tape ends two levels down") {
  auto tape = std::make_unique<Tape>();
  const Var x = tape->input(Array{2.0});
  const UnaryFunction inner = [&](const Var& z) {
    return sum(with_hook(z * z, [&](const Var&) {
      tape.reset();
      return Var();
    }));
  };
  std::string within;
  const TensorFunction f = [&](std::span<const Var> v) {
    if (!tape) return v[0];
    within = error_of([&] { return value_and_grad(inner, v[0]); });
    return v[0];
  };
  CHECK_FALSE(error_of([&] { return checkpoint(f, {x}); }).empty());
  CHECK(names(within, "hook"));
  CHECK_ERROR(x.shape(), StaleVar, "variable: its tape has ended");
}

TEST_CASE("faults: C5: the tape ends in a function that no pass is under way for") {
  auto tape = std::make_unique<Tape>();
  const Var x = tape->input(Array{2.0});
  const UnaryFunction ends = [&](const Var& z) {
    const Var y = z * z;
    tape.reset();
    return y;
  };
  CHECK_THROWS_AS(value_and_grad(ends, x), Error);
  tape = std::make_unique<Tape>();
  const Var z = tape->input(Array{2.0});
  CHECK_THROWS_AS(hessian(ends, z), Error);
  const TensorFunction clears = [](std::span<const Var> v) {
    const Var y = v[0] * v[0];
    y.tape().clear();
    return y;
  };
  CHECK_THROWS_AS(gradcheck(clears, {Array{2.0}}), Error);
}

TEST_CASE("faults: C5: the tape ends in a kernel, whose operands and result stay where they are") {
  for (const bool in_vjp : {false, true}) {
    auto tape = std::make_unique<Tape>();
    const Var x = tape->input(Array(xt::ones<double>({1000})));
    const CallingKernel kernel{[&] { tape.reset(); }};
    const CallingOp op{[&](Backward& b) { b.dx(0) += apply(kernel, b.dy()); }};
    const auto run = [&] { return in_vjp ? grad(sum(apply(op, x)), {x})[0] : apply(kernel, x * 2.0); };
    CHECK(names(error_of(run), "calling"));
    CHECK_THROWS_AS(x.view(), StaleVar);
  }
}

TEST_CASE("faults: C5: a vjp goes on after its tape has ended") {
  auto tape = std::make_unique<Tape>();
  const Var x = tape->input(Array{2.0});
  const CallingOp op{[&](Backward& b) {
    const Var pending = b.dy() * 2.0;
    tape.reset();
    CHECK_THROWS_AS(pending + 1.0, StaleVar);
    CHECK_THROWS_AS(values(b.dy() * 1.0), Error);
    b.dx(0) += pending;
  }};
  CHECK_THROWS_AS(grad(sum(apply(op, x)), {x}), Error);
}

TEST_CASE("faults: C5: a hook backs through what was recorded before it") {
  Tape tape;
  Parameter p(Array{2.0}, "p");
  const Var x = tape.leaf(p), y = sum(x * x * x);
  const auto runs = [&](const Var&) {
    backward(y);  // 3 p^2, and y stays
    return Var();
  };
  const Var z = sum(with_hook(x * x, runs));
  CHECK(values(grad(z + y, {x})[0]) == Values{16});
  CHECK(grad_of(p) == Values{12});
  CHECK(values(grad(y, {x})[0]) == Values{12});
  backward(z + y);
  CHECK(grad_of(p) == Values{40});  // 12 + 12 + 16
}
