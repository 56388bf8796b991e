// stop_gradient, hooks and checkpoints.
#include "xgrad/tape/flow.hpp"

#include "tests/unit/tape/helpers.hpp"
#include "xgrad/ops/linalg.hpp"
#include "xgrad/ops/random.hpp"
#include "xgrad/tape/gradcheck.hpp"

using namespace xgrad;
using namespace xgrad::test;

TEST_CASE("stop_gradient: the value passes, the derivative does not") {
  Tape tape;
  const Var x = tape.input(Array{1, 2, 3});
  const Var y = sum(x * stop_gradient(x * x));
  CHECK(values(grad(y, {x})[0]) == Values{1, 4, 9});
  CHECK_FALSE(stop_gradient(x).requires_grad());
  const Var stopped = stop_gradient(x);
  CHECK(stopped.view().data == x.view().data);  // no copy
  Parameter p(Array{2.0});
  CHECK(values(stop_gradient(tape.leaf(p))) == Values{2});
}

TEST_CASE("hook: sees the cotangent, and may replace it") {
  Tape tape;
  const Var x = tape.input(Array{1, 2});
  std::vector<Values> seen;
  const auto look = [&](const Var& dy) {
    seen.push_back(values(dy));
    return Var();
  };
  const Var h = with_hook(x * x, look);
  CHECK(values(grad(sum(3 * h), {x})[0]) == Values{6, 12});
  CHECK(seen == std::vector<Values>{{3, 3}});

  const Var clipped = with_hook(x * x, [](const Var& dy) { return clamp(dy, -1, 1); });
  CHECK(values(grad(sum(3 * clipped), {x})[0]) == Values{2, 4});
  CHECK(values(grad(sum(0.5 * clipped), {x})[0]) == Values{1, 2});

  // What a hook computes is differentiated in turn: y = x^2, the hook doubles dy, so g = 4 x.
  const Var doubled = with_hook(x * x, [](const Var& dy) { return 2 * dy; });
  const Var g = grad(sum(doubled), {x}, recorded())[0];
  CHECK(values(g) == Values{4, 8});
  CHECK(values(grad(sum(g), {x})[0]) == Values{4, 4});
}

TEST_CASE("hook: on a parameter, in backward") {
  Parameter p(Array{1, 2});
  Tape tape;
  backward(sum(square(with_hook(tape.leaf(p), [](const Var& dy) { return dy * 0.5; }))));
  CHECK(grad_of(p) == Values{1, 2});
}

TEST_CASE("hook: errors") {
  Tape tape;
  const Var x = tape.input(Array{1, 2});
  CHECK_ERROR(with_hook(x, {}), Error, "hook: the function is empty");
  const Var y = sum(with_hook(x, [](const Var& dy) { return sum(dy); }));
  CHECK_ERROR(grad(y, {x}), ShapeError, "hook: vjp gives float64 [] for operand 0 of type float64 [2]");
  const auto counts = tape.statistics();
  const Var z = sum(with_hook(x, [](const Var&) -> Var { throw std::runtime_error("from the hook"); }));
  CHECK_THROWS_WITH(grad(z, {x}), "from the hook");
  CHECK(values(grad(sum(x * x), {x})[0]) == Values{2, 4});  // the tape is as good as before
  CHECK(tape.statistics().instructions == counts.instructions + 2);
}

namespace {

Var block(std::span<const Var> x) { return tanh(matmul(tanh(x[0] * 1.5), x[1])) + x[0]; }

Array some(std::size_t rows, std::size_t columns, double phase) {
  Array x(std::vector<std::size_t>{rows, columns});
  for (double& v : x) v = std::sin(phase += 0.7);
  return x;
}

}  // namespace

TEST_CASE("checkpoint: the same value and gradients of both orders, bit for bit") {
  Tape tape;
  const Var x = tape.input(some(3, 3, 0)), w = tape.input(some(3, 3, 1));
  const auto gradients = [&](bool checkpointed) {
    const Var h = checkpointed ? checkpoint(block, {x, w}) : block(std::vector<Var>{x, w});
    const Var y = checkpointed ? checkpoint(block, {h, w}) : block(std::vector<Var>{h, w});
    auto g = grad(sum(y * y), {x, w}, recorded());
    const auto h2 = grad(sum(g[0] * g[1]), {x, w}, recorded());
    g.insert(g.end(), h2.begin(), h2.end());
    const auto h3 = grad(sum(h2[0]), {x, w});
    g.insert(g.end(), h3.begin(), h3.end());
    g.push_back(y);
    std::vector<Values> all;
    for (const Var& v : g) all.push_back(values(v));
    return all;
  };
  const auto plain = gradients(false), checkpointed = gradients(true);
  REQUIRE(plain.size() == 7);
  CHECK(same_bits(plain[6], checkpointed[6]));
  CHECK(same_bits(plain[0], checkpointed[0]));
  CHECK(same_bits(plain[1], checkpointed[1]));
  for (std::size_t k = 2; k < 6; ++k) CHECK(difference(checkpointed[k], plain[k]) < 1e-12);
}

TEST_CASE("checkpoint: passes gradcheck, nested too") {
  const TensorFunction inner = [](std::span<const Var> x) { return checkpoint(block, x); };
  const TensorFunction outer = [&](std::span<const Var> x) {
    return checkpoint([&](std::span<const Var> v) { return inner(v) * inner(v); }, x);
  };
  const std::vector<Array> inputs{some(2, 2, 0), some(2, 2, 1)};
  CHECK(gradcheck(inner, inputs).text() == "all 36 entries agree");
  CHECK(gradcheck(outer, inputs));
  CHECK(gradgradcheck(outer, inputs));
}

TEST_CASE("checkpoint: parameters and variables that the function captures get their gradients") {
  Parameter p(some(3, 3, 2)), q(some(3, 3, 3));
  const auto run = [&](bool checkpointed, bool constant_operand) {
    Tape tape;
    const Var x = constant_operand ? tape.constant(some(2, 3, 0)) : tape.leaf(q);
    const Var captured = tape.leaf(q) * 2.0;
    const TensorFunction f = [&](std::span<const Var> v) {
      return matmul(tanh(matmul(v[0], tape.leaf(p))), captured);
    };
    p.zero_grad(), q.zero_grad();
    const Var operands[] = {x};
    backward(sum(square(checkpointed ? checkpoint(f, operands) : f(operands))));
    return std::pair(grad_of(p), grad_of(q));
  };
  for (bool constant : {true, false}) {
    const auto plain = run(false, constant), checkpointed = run(true, constant);
    CHECK(difference(checkpointed.first, plain.first) < 1e-14);
    CHECK(difference(checkpointed.second, plain.second) < 1e-14);
  }
}

TEST_CASE("checkpoint: keeps only the operands") {
  Tape tape;
  const std::size_t n = 1000;
  Var x = tape.input(Array(xt::ones<double>({n})));
  const TensorFunction f = [](std::span<const Var> v) {
    Var y = v[0];
    for (int i = 0; i < 50; ++i) y = tanh(y);
    return y;
  };
  Var y = x;
  for (int i = 0; i < 20; ++i) y = checkpoint(f, {y});
  CHECK(tape.statistics().bytes_in_use < 25 * n * sizeof(double));
  CHECK(tape.statistics().instructions == 20);
  const Var g = grad(sum(y), {x})[0];
  CHECK(tape.statistics().peak_bytes < 85 * n * sizeof(double));
  CHECK(tape.statistics().instructions == 20);

  Var z = x;
  for (int i = 0; i < 1000; ++i) z = tanh(z);
  CHECK(same_bits(values(g), values(grad(sum(z), {x})[0])));
}

TEST_CASE("checkpoint: a chain of them is destroyed without recursion, and consumed by backward") {
  Parameter p(Array{0.5});
  Tape tape;
  const TensorFunction f = [](std::span<const Var> v) { return tanh(v[0]) * 1.01; };
  Var y = tape.leaf(p);
  for (int i = 0; i < 100000; ++i) y = checkpoint(f, {y});
  backward(sum(y));
  CHECK(tape.statistics().instructions == 0);
  CHECK(std::isfinite(grad_of(p)[0]));
  Var z = tape.leaf(p);
  for (int i = 0; i < 100000; ++i) z = checkpoint(f, {z});
  z = Var();
  CHECK(tape.statistics().instructions == 0);
}

TEST_CASE("checkpoint: without gradients the function is just called") {
  Tape tape;
  const Var x = tape.constant(Array{1, 2});
  int calls = 0;
  const TensorFunction f = [&](std::span<const Var> v) {
    ++calls;
    return v[0] * v[0];
  };
  CHECK(values(checkpoint(f, {x})) == Values{1, 4});
  const auto pause = tape.no_grad();
  CHECK(values(checkpoint(f, {tape.input(Array{3.0})})) == Values{9});
  CHECK(calls == 2);
  CHECK(tape.statistics().instructions == 0);
  const TensorFunction same = [](std::span<const Var> v) { return v[0]; };
  CHECK(values(checkpoint(same, {x})) == Values{1, 2});
}

TEST_CASE("checkpoint: errors") {
  Tape tape;
  CHECK_ERROR(checkpoint(block, std::span<const Var>()), Error,
              "checkpoint: xs is empty; the function must have an operand");
  const char* const changed =
      "checkpoint: the function gave another result when backward called it again; it must not draw random "
      "numbers, and parameters must not be written before backward";
  const Var x = tape.input(Array{1, 2});
  double factor = 1;
  const TensorFunction unsteady = [&](std::span<const Var> v) { return v[0] * ++factor; };
  const Var y = checkpoint(unsteady, {x});
  CHECK_ERROR(grad(sum(y), {x}), Error, changed);
  CHECK(values(grad(sum(x * x), {x})[0]) == Values{2, 4});

  Parameter p(Array{1, 2});
  const TensorFunction scaled = [&](std::span<const Var> v) { return v[0] * tape.leaf(p); };
  const Var z = checkpoint(scaled, {x});
  p.assign(Array{3, 4});
  CHECK_ERROR(backward(sum(z)), ParameterModified, doctest::Contains("after checkpoint recorded it"));
  tape.clear();

  const Var u = tape.input(Array{1, 2});
  const TensorFunction failing = [](std::span<const Var>) -> Var { throw std::runtime_error("from f"); };
  CHECK_THROWS_WITH(checkpoint(failing, {u}), "from f");
  CHECK(tape.statistics().instructions == 0);

  // A dropout mask from a key is the same again; a variable that f leaks is stale.
  Var leaked;
  const TensorFunction masked = [&](std::span<const Var> v) {
    leaked = v[0] * 2.0;
    return dropout(leaked, 0.5, Key{1, 2});
  };
  const Var kept = checkpoint(masked, {u});
  CHECK(grad(sum(kept), {u}).size() == 1);
}
