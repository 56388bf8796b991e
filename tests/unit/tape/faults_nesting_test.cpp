// Passes inside passes, by kind of fault: derivatives in checkpointed functions, and passes that have nothing
// to do with each other. Right values are closed forms of polynomials.
#include <stdexcept>

#include "tests/unit/tape/faults.hpp"
#include "xgrad/ops/reduce.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

/// (3 x^2)^2 = 9 x^4, by a derivative.
Var slope_squared(std::span<const Var> v) {
  const Var g = grad(cube_sum(v[0]), {v[0]}, recorded())[0];
  return sum(g * g);
}

Var slope_squared_of(const Var& x) { return checkpoint(slope_squared, {x}); }

}  // namespace

// C1: a derivative taken inside a checkpointed function ------------------------------------------------

TEST_CASE("faults: C1: every outer derivative of a checkpoint that takes a derivative") {
  Tape tape;
  const Var x = tape.input(Array{2.0}), v = tape.constant(Array{10.0});
  CHECK(values(slope_squared_of(x)) == Values{144});                           // 9 x^4
  CHECK(values(grad(slope_squared_of(x), {x})[0]) == Values{288});             // 36 x^3
  CHECK(values(value_and_grad(slope_squared_of, x).grads[0]) == Values{288});  // 36 x^3
  CHECK(values(jvp(slope_squared_of, x, v).tangent) == Values{2880});          // 36 x^3 v
  CHECK(values(hvp(slope_squared_of, x, v)) == Values{4320});                  // 108 x^2 v
  CHECK(values(jacobian(slope_squared_of, x)) == Values{288});
  CHECK(values(hessian(slope_squared_of, x)) == Values{432});
  const TensorFunction f = [](std::span<const Var> z) { return slope_squared_of(z[0]); };
  CHECK(gradcheck(f, {Array{2.0}}).failures.empty());
  Parameter p(Array{2.0});
  backward(slope_squared_of(tape.leaf(p)));
  CHECK(grad_of(p) == Values{288});
}

TEST_CASE("faults: C1: a gradient penalty on a parameter that the function captures") {
  Tape tape;
  Parameter w(Array{3.0}, "w");
  const Var x = tape.input(Array{2.0});
  const TensorFunction penalty = [&](std::span<const Var> v) {
    const Var g = grad(sum(tape.leaf(w) * v[0] * v[0]), {v[0]}, recorded())[0];  // 2 w x
    return sum(g * g);
  };
  const Var y = checkpoint(penalty, {x});
  CHECK(values(grad(y, {x})[0]) == Values{144});  // 8 w^2 x
  backward(y);
  CHECK(grad_of(w) == Values{96});  // 8 w x^2
}

TEST_CASE("faults: C1: steps of gradient descent inside") {
  Tape tape;
  const Var x = tape.input(Array{3.0});
  for (const int steps : {1, 2, 5}) {
    const TensorFunction learned = [&](std::span<const Var> v) {
      Var w = v[0];
      for (int i = 0; i < steps; ++i) w = w - 0.25 * grad(sum(w * w), {w}, recorded())[0];  // w / 2
      return sum(w * w);
    };
    const double left = std::pow(0.25, steps);  // x^2 / 4^steps
    CHECK(values(grad(checkpoint(learned, {x}), {x})[0]) == Values{6 * left});
    CHECK(values(hessian([&](const Var& z) { return checkpoint(learned, {z}); }, x)) == Values{2 * left});
  }
}

TEST_CASE("faults: C1: by a variable that the function captures") {
  Tape tape;
  const Var x = tape.input(Array{2.0}), c = tape.input(Array{5.0});
  const TensorFunction f = [c](std::span<const Var> v) {
    return sum(grad(sum(c * c * v[0]), {c}, recorded())[0]);  // 2 c x
  };
  const std::vector<Var> g = grad(checkpoint(f, {x}), {x, c});
  CHECK(values(g[0]) == Values{10});
  CHECK(values(g[1]) == Values{4});
}

TEST_CASE("faults: C1: of what was recorded before the checkpoint") {
  Tape tape;
  const Var x = tape.input(Array{2.0}), a = cube_sum(x);
  const TensorFunction f = [a, x](std::span<const Var> v) {
    return sum(grad(a, {x}, recorded())[0] * v[0]);  // 3 x^2 v
  };
  const Var y = checkpoint(f, {x});
  CHECK(values(grad(y, {x})[0]) == Values{36});      // 9 x^2
  CHECK(values(grad(a + y, {x})[0]) == Values{48});  // 12 x^2
}

TEST_CASE("faults: C1: without create_graph it is a constant") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  const TensorFunction f = [](std::span<const Var> v) {
    return sum(grad(cube_sum(v[0]), {v[0]})[0] * v[0]);  // 12 x
  };
  CHECK(values(grad(checkpoint(f, {x}), {x})[0]) == Values{12});
  CHECK(values(grad(checkpoint(f, {x * 1.0}) * 2.0, {x})[0]) == Values{24});
}

TEST_CASE("faults: C1: two checkpoints beside each other, in a row, and nested") {
  Tape tape;
  const Var x = tape.input(Array{2.0}), one = tape.input(Array{1.0});
  CHECK(values(grad(slope_squared_of(x) * slope_squared_of(x), {x})[0]) == Values{82944});  // 648 x^7
  // 9 (9 x^4)^4 = 59049 x^16
  CHECK(values(grad(slope_squared_of(slope_squared_of(one)), {one})[0]) == Values{944784});
  const TensorFunction twice = [](std::span<const Var> v) { return slope_squared_of(v[0]) * 2.0; };
  const TensorFunction thrice = [&](std::span<const Var> v) { return checkpoint(twice, {v[0] * 1.0}) * 3.0; };
  CHECK(values(grad(checkpoint(thrice, {x}), {x})[0]) == Values{1728});  // 216 x^3
}

TEST_CASE("faults: C1: by two operands, float32") {
  Tape tape;
  const Var x = tape.input(xt::xarray<float>{2}), w = tape.input(xt::xarray<float>{3});
  const TensorFunction f = [](std::span<const Var> v) {
    const std::vector<Var> g = grad(sum(v[0] * v[0] * v[1] * v[1]), v, recorded());
    return sum(g[0] * g[1]);  // 2 x w^2 2 x^2 w = 4 x^3 w^3
  };
  const std::vector<Var> g = grad(checkpoint(f, {x, w}), {x, w});
  CHECK(values(g[0]) == Values{1296});  // 12 x^2 w^3
  CHECK(values(g[1]) == Values{864});   // 12 x^3 w^2
}

TEST_CASE("faults: C1: a derivative of a derivative inside, differentiated twice outside") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  const TensorFunction f = [](std::span<const Var> v) {
    const Var g = grad(sum(v[0] * v[0] * v[0] * v[0]), {v[0]}, recorded())[0];  // 4 x^3
    return sum(grad(sum(g), {v[0]}, recorded())[0] * v[0]);                     // 12 x^3
  };
  const Var g = grad(checkpoint(f, {x}), {x}, recorded())[0];
  CHECK(values(g) == Values{144});                     // 36 x^2
  CHECK(values(grad(sum(g), {x})[0]) == Values{144});  // 72 x
}

TEST_CASE("faults: C1: a checkpoint in a derivative in a checkpoint, with rows") {
  Tape tape;
  const Var x = tape.input(Array{{1, 2}, {3, 4}});
  const TensorFunction inner = [](std::span<const Var> v) { return sum(v[0] * v[0] * v[0], 1); };
  const TensorFunction outer = [&](std::span<const Var> v) {
    return vjp([&](const Var& z) { return checkpoint(inner, {z}); }, v[0], v[0].tape().constant(Array{1, 10}),
               true)
        .cotangents[0];  // 3 x^2, the second row 10 times that
  };
  CHECK(values(grad(sum(checkpoint(outer, {x})), {x})[0]) == Values{6, 12, 180, 240});
}

// C2: it meets itself ----------------------------------------------------------------------------------

TEST_CASE("faults: C2: by the checkpoint's own result") {
  Tape tape;
  const Var x = tape.input(Array{2.0}), y = slope_squared_of(x);
  const std::vector<Var> g = grad(y * 1.0, {x, y});
  CHECK(values(g[0]) == Values{288});
  CHECK(values(g[1]) == Values{1});
}

TEST_CASE("faults: C2: by the results of two in a row") {
  Tape tape;
  const Var x = tape.input(Array{1.0});
  const Var y = slope_squared_of(x), z = slope_squared_of(y);  // 9, and 9 y^4 = 59049
  const std::vector<Var> g = grad(z * 2.0, {z, y, x});
  CHECK(values(g[0]) == Values{2});
  CHECK(values(g[1]) == Values{52488});    // 72 y^3
  CHECK(values(g[2]) == Values{1889568});  // times 36 x^3
}

TEST_CASE("faults: C2: kept recordings, once more through the same checkpoint") {
  Tape tape;
  Parameter p(Array{2.0});
  const Var y = slope_squared_of(tape.leaf(p)), z = y * y;
  backward(y, {.keep_recording = true});
  CHECK(grad_of(p) == Values{288});
  backward(z, {.keep_recording = true});  // 2 y 36 x^3
  CHECK(grad_of(p) == Values{83232});
  backward(y);
  CHECK(grad_of(p) == Values{83520});
}

TEST_CASE("faults: C2: the derivative of a checkpoint inside another") {
  Tape tape;
  const Var x = tape.input(Array{2.0}), y = slope_squared_of(x);
  const TensorFunction f = [y, x](std::span<const Var> v) {
    return sum(grad(y, {x}, recorded())[0] * v[0]);  // 36 x^3 v
  };
  const Var z = checkpoint(f, {x});
  const std::vector<Var> g = grad(z + y, {x, z, y});
  CHECK(values(g[0]) == Values{1440});  // 144 x^3 + 36 x^3
  CHECK(values(g[1]) == Values{1});
  CHECK(values(g[2]) == Values{1});
}

TEST_CASE("faults: C2: jacobian and hvp by the checkpoint's result") {
  Tape tape;
  const Var x = tape.input(Array{2.0}), y = slope_squared_of(x);
  const TensorFunction f = [&](std::span<const Var>) { return y * x; };
  const Var both[] = {x, y};
  const std::vector<Var> J = jacobian(f, both);
  CHECK(values(J[0]) == Values{720});  // y + x 36 x^3
  CHECK(values(J[1]) == Values{2});
}

// C3: an inner pass that has nothing to do with the outer one ------------------------------------------

TEST_CASE("faults: C3: a gradient of its own beside a cotangent that waits") {
  Tape tape;
  const Var x = tape.input(Array{2.0}), a = sum(x * x);
  const TensorFunction f = [](std::span<const Var> v) {
    const Var z = v[0].tape().input(Array{1.0});
    return sum(v[0] * grad(cube_sum(z), {z})[0]);
  };
  const Var y = checkpoint(f, {x});
  CHECK(values(grad(a + y, {x})[0]) == Values{7});  // 2 x + 3
  CHECK(values(grad(y + a, {x})[0]) == Values{7});
  const std::vector<Var> g = grad(a * 3.0 + y, {a, x, y});
  CHECK(values(g[0]) == Values{3});
  CHECK(values(g[1]) == Values{15});
  CHECK(values(g[2]) == Values{1});
}

TEST_CASE("faults: C3: one that fails and is caught") {
  Tape tape;
  const Var x = tape.input(Array{2.0}), a = sum(x * x);
  for (const bool create_graph : {false, true}) {
    const TensorFunction f = [create_graph](std::span<const Var> v) {
      const Var z = v[0].tape().input(Array{1.0});
      CHECK_THROWS_AS(grad(sum(apply(NoDerivative{}, z * z) * z), {z}, recorded(create_graph)),
                      NotDifferentiable);
      return sum(v[0] * 4.0);
    };
    const Var y = checkpoint(f, {x});
    CHECK(values(grad(a + y, {x})[0]) == Values{8});  // 2 x + 4
    CHECK(values(grad(a + y + a, {x}, recorded(create_graph))[0]) == Values{12});
  }
}

TEST_CASE("faults: C3: one that fails through the outer pass's own variables") {
  Tape tape;
  const Var x = tape.input(Array{2.0}), a = x * x, b = apply(NoDerivative{}, x);
  const auto look = [x, a, b](const Var&) {
    CHECK_THROWS_AS(grad(sum(a * b), {x}), NotDifferentiable);
    CHECK_THROWS_WITH(
        grad(sum(with_hook(a, [](const Var&) -> Var { throw std::runtime_error("within"); })), {x}),
        "within");
    return Var();
  };
  const Var y = sum(a + with_hook(x * 3.0, look) + a);
  CHECK(values(grad(y, {x})[0]) == Values{11});  // 4 x + 3
  const std::vector<Var> g = grad(y, {a, x});
  CHECK(values(g[0]) == Values{2});
  CHECK(values(g[1]) == Values{11});
}

TEST_CASE("faults: C3: a backward of its own") {
  Tape tape;
  Parameter p(Array{2.0}, "p"), own(Array{1.0}, "own");
  const TensorFunction f = [&](std::span<const Var> v) {
    own.zero_grad();
    backward(cube_sum(tape.leaf(own)));
    return sum(v[0] * grad_of(own)[0]);
  };
  const Var a = sum(tape.leaf(p) * tape.leaf(p));
  backward(a + checkpoint(f, {tape.leaf(p)}));
  CHECK(grad_of(p) == Values{7});  // 2 p + 3
  CHECK(grad_of(own) == Values{3});
}

TEST_CASE("faults: C3: by the same variable on another path") {
  Tape tape;
  const Var x = tape.input(Array{2.0}), a = sum(x * x);
  const TensorFunction f = [x](std::span<const Var> v) { return sum(v[0] * grad(cube_sum(x), {x})[0]); };
  CHECK(values(grad(a + checkpoint(f, {x}), {x})[0]) == Values{16});  // 2 x + 12
}

TEST_CASE("faults: C3: a failing backward inside forgets what it wrote itself") {
  Tape tape;
  Parameter p(Array{2.0}, "p");
  const Var x = tape.leaf(p);
  const auto fails = [&](const Var&) {
    const Var bad = apply(NoDerivative{}, tape.leaf(p));
    CHECK_THROWS_AS(backward(sum(tape.leaf(p) * 5.0 + bad)), NotDifferentiable);
    return Var();
  };
  backward(sum(x * x + with_hook(x * 3.0, fails) + x * x));  // 4 p + 3
  CHECK(grad_of(p) == Values{11});
}

TEST_CASE("faults: C3: cotangents of float32 and float64 tapes do not meet") {
  Tape tape, narrow;
  const Var x = tape.input(Array{2.0});
  const auto look = [&](const Var&) {
    const Var z = narrow.input(xt::xarray<float>{1});
    CHECK(values(grad(cube_sum(z), {z})[0]) == Values{3});
    return Var();
  };
  CHECK(values(grad(sum(x * x + with_hook(x, look) * x), {x})[0]) == Values{8});
}
