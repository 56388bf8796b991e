// Derivatives under no_grad (kind C9): they are computed all the same, and nothing else is recorded.
#include <stdexcept>

#include "tests/unit/tape/faults.hpp"
#include "xgrad/ops/reduce.hpp"

using namespace xgrad;
using namespace xgrad::test;

TEST_CASE("faults: C9: every derivative of a function has its numbers under no_grad") {
  Tape tape;
  const Var x = tape.input(Array{2, 3}), v = tape.constant(Array{1, 10});
  const auto off = tape.no_grad();
  const ValueAndGrad both = value_and_grad(cube_sum, x);
  CHECK(values(both.value) == Values{35});
  CHECK(values(both.grads[0]) == Values{12, 27});  // 3 x^2
  CHECK(values(vjp(cube, x, v).cotangents[0]) == Values{12, 270});
  CHECK(values(jvp(cube, x, v).tangent) == Values{12, 270});
  CHECK(values(hvp(cube_sum, x, v)) == Values{12, 180});  // 6 x v
  CHECK(values(jacobian(cube, x)) == Values{12, 0, 0, 27});
  CHECK(values(hessian(cube_sum, x)) == Values{12, 0, 0, 18});
  CHECK_FALSE(both.value.requires_grad());
  CHECK_FALSE(both.grads[0].requires_grad());
  CHECK_FALSE(hessian(cube_sum, x).requires_grad());
  CHECK(tape.statistics().instructions == 0);
}

TEST_CASE("faults: C9: with create_graph the results can be differentiated") {
  Tape tape;
  const Var x = tape.input(Array{2.0}), v = tape.constant(Array{1.0});
  std::vector<Var> results;
  {
    const auto off = tape.no_grad();
    results.push_back(value_and_grad(cube_sum, x, true).grads[0]);
    results.push_back(vjp(cube, x, v, true).cotangents[0]);
    results.push_back(jvp(cube, x, v, true).tangent);
    results.push_back(hvp(quartic, x, v, true));
    for (const Var& g : results) {
      CHECK(values(g) == Values{12});
      CHECK(values(grad(g, {x})[0]) == Values{12});  // 6 x
    }
    CHECK_FALSE((x * x).requires_grad());
  }
  for (const Var& g : results) CHECK(values(grad(sum(g * g), {x})[0]) == Values{288});
}

TEST_CASE("faults: C9: float32, several operands, and operands that need no gradient") {
  Tape tape;
  const auto off = tape.no_grad();
  const Var x = tape.constant(xt::xarray<float>{2}), w = tape.input(xt::xarray<float>{3});
  const TensorFunction f = [](std::span<const Var> v) { return sum(v[0] * v[0] * v[1]); };
  const Var xs[] = {x, w};
  const ValueAndGrad both = value_and_grad(f, xs);
  CHECK(values(both.grads[0]) == Values{12});
  CHECK(values(both.grads[1]) == Values{4});
  const auto H = hessian(f, xs);
  CHECK(values(H[0][0]) == Values{6});
  CHECK(values(H[0][1]) == Values{4});
  CHECK(values(H[1][1]) == Values{0});
}

TEST_CASE("faults: C9: gradcheck, checkpoints and hooks under no_grad") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  int calls = 0;
  const auto off = tape.no_grad();
  const TensorFunction f = [&](std::span<const Var> v) {
    return cube_sum(with_hook(v[0], [&](const Var& dy) {
      ++calls;
      return dy * 2.0;
    }));
  };
  const UnaryFunction g = [&](const Var& z) { return checkpoint(f, {z}); };
  CHECK(values(value_and_grad(g, x).grads[0]) == Values{24});
  CHECK(calls == 1);
  const TensorFunction plain = [](std::span<const Var> v) { return cube(v[0]); };
  CHECK(gradcheck(plain, {Array{1, 2}}).failures.empty());
  CHECK(gradgradcheck(plain, {Array{1, 2}}).failures.empty());
  const TensorFunction paused = [](std::span<const Var> v) {
    const auto quiet = v[0].tape().no_grad();
    return v[0] * v[0];
  };
  bool found = false;  // that it has no derivative
  try {
    found = !gradcheck(paused, {Array{1, 2}}).failures.empty();
  } catch (const NotDifferentiable&) {
    found = true;
  }
  CHECK(found);
}

TEST_CASE("faults: C9: what f pauses itself stays paused") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  const UnaryFunction f = [](const Var& z) {
    Var c;
    {
      const auto quiet = z.tape().no_grad();
      c = z * z;
    }
    return sum(c * z);
  };
  CHECK(values(value_and_grad(f, x).grads[0]) == Values{4});  // the square is a constant
  const auto off = tape.no_grad();
  const auto twice = tape.no_grad();
  CHECK(values(value_and_grad(f, x).grads[0]) == Values{4});
  CHECK(values(hvp(f, x, x)) == Values{0});
  CHECK_FALSE((x * x).requires_grad());
}

TEST_CASE("faults: C9: nothing is recorded after it, nor after a failure") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  {
    const auto off = tape.no_grad();
    const UnaryFunction fails = [](const Var& z) -> Var {
      if (z.requires_grad()) throw std::runtime_error("from f");
      return z;
    };
    CHECK_THROWS_WITH(value_and_grad(fails, x), "from f");
    CHECK_THROWS_WITH(hessian(fails, x), "from f");
    CHECK_FALSE((x * x).requires_grad());
    const UnaryFunction none = [](const Var& z) { return sum(apply(NoDerivative{}, z)); };
    CHECK_THROWS_AS(value_and_grad(none, x), NotDifferentiable);
    CHECK_FALSE((x * x).requires_grad());
    CHECK(tape.statistics().instructions == 0);
  }
  CHECK((x * x).requires_grad());
}

TEST_CASE("faults: C9: grad of what was computed under no_grad, and of what was not") {
  Tape tape;
  const Var x = tape.input(Array{2.0}), y = sum(x * x);
  const auto off = tape.no_grad();
  const Var z = sum(x * x);
  CHECK_THROWS_AS(grad(z, {x}), NotDifferentiable);
  CHECK_THROWS_AS(grad(z, {x}, recorded()), NotDifferentiable);
  CHECK(values(grad(y, {x})[0]) == Values{4});
  CHECK_FALSE(grad(y, {x})[0].requires_grad());
  CHECK(values(grad(grad(y, {x}, recorded())[0], {x})[0]) == Values{2});
}

TEST_CASE("faults: C9: a Newton iteration as a custom_vjp's function") {
  // The root of z^2 - a; its derivative is 1 / (2 z).
  const auto root = custom_vjp<"newton">(
      [](std::span<const Var> v) {
        Var z = filled_like(v[0], 3);
        for (int i = 0; i < 20; ++i) {
          const auto f = [&](const Var& u) { return u * u - v[0]; };
          const Var slope = vjp(f, z, filled_like(z, 1)).cotangents[0];
          z = z - f(z) / slope;
        }
        return z;
      },
      [](std::span<const Var>, const Var& z, const Var& dy) { return std::vector<Var>{dy / (2 * z)}; });
  Tape tape;
  const Var a = tape.input(Array{4, 16});
  const Var z = root(a);
  CHECK(difference(values(z), {2, 4}) < 1e-14);
  const Var g = grad(sum(z), {a}, recorded())[0];
  CHECK(difference(values(g), {0.25, 0.125}) < 1e-14);
  CHECK(difference(values(grad(sum(g), {a})[0]), {-1.0 / 32, -1.0 / 256}) < 1e-14);
  const auto off = tape.no_grad();
  const Var slope = value_and_grad([&](const Var& u) { return sum(root(u)); }, a).grads[0];
  CHECK(difference(values(slope), {0.25, 0.125}) < 1e-14);
}

TEST_CASE("faults: C9: parameters' leaves as operands, and captured variables") {
  Tape tape;
  Parameter p(Array{2.0}, "p"), q(Array{5.0}, "q");
  const Var c = tape.input(Array{3.0});
  const auto off = tape.no_grad();
  const Parameter all[] = {p.share(), q.share()};
  const TensorFunction loss = [&](std::span<const Var>) {
    return sum(tape.leaf(p) * tape.leaf(p) * tape.leaf(q) * c);
  };
  const ValueAndGrad both = value_and_grad(loss, leaves(tape, all));
  CHECK(values(both.value) == Values{60});
  CHECK(values(both.grads[0]) == Values{60});  // 2 p q c
  CHECK(values(both.grads[1]) == Values{12});  // p^2 c
  CHECK_FALSE(p.has_grad());
}

TEST_CASE("faults: C9: gradient descent under no_grad neither drifts nor grows") {
  Tape tape;
  const auto off = tape.no_grad();
  Var x = tape.constant(Array{16.0});
  const UnaryFunction f = [](const Var& z) { return sum(z * z); };
  TapeStatistics second;
  for (int i = 0; i < 40; ++i) {
    x = x - 0.25 * value_and_grad(f, x).grads[0];  // half of it
    if (i == 1) second = tape.statistics();
    if (i > 1) REQUIRE(within(tape.statistics(), second));
  }
  CHECK(values(x) == Values{std::pow(2.0, -36)});
}

TEST_CASE("faults: C9: in callbacks that run while recording is paused") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  int calls = 0;
  const auto look = [&](const Var& dy) {
    CHECK(values(hvp(cube_sum, dy, dy)) == Values{6});  // 6 dy dy
    CHECK(values(value_and_grad(cube_sum, x).grads[0]) == Values{12});
    ++calls;
    return Var();
  };
  const Var y = sum(with_hook(x * x, look));
  const auto off = tape.no_grad();
  CHECK(values(grad(y, {x})[0]) == Values{4});
  const CallingKernel kernel{[&] { CHECK(values(value_and_grad(cube_sum, x).grads[0]) == Values{12}); }};
  CHECK(values(apply(kernel, x)) == Values{2});
  CHECK(calls == 1);
}
