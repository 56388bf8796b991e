// Functions that return their operand, jacobian's limits, and depth by nesting (kinds C13, C17 and C18).
#include <pthread.h>

#include <chrono>

#include "tests/unit/tape/faults.hpp"
#include "xgrad/nn/layers.hpp"
#include "xgrad/nn/sequential.hpp"
#include "xgrad/ops/cumulative.hpp"
#include "xgrad/ops/diagonal.hpp"
#include "xgrad/ops/linalg.hpp"
#include "xgrad/ops/random.hpp"
#include "xgrad/ops/rearrange.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/ops/shape.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

struct NamedFunction {
  std::string name;
  std::function<Var(const Var&)> f;
};

Axes no_axes() { return Axes(std::vector<int>{}); }

/// Functions that have nothing to do for [2, 1, 2], or [1, 1, 2] where they say so.
const std::vector<NamedFunction>& idle_functions() {
  static const std::vector<NamedFunction> all{
      {"identity", [](const Var& x) { return identity(x); }},
      {"roll by 0", [](const Var& x) { return roll(x, 0, 0); }},
      {"roll all the way round", [](const Var& x) { return roll(x, -4, 2); }},
      {"roll of extent 1", [](const Var& x) { return roll(x, 1, 1); }},
      {"flip of no axis", [](const Var& x) { return flip(x, no_axes()); }},
      {"flip of extent 1", [](const Var& x) { return flip(x, 1); }},
      {"broadcast_to", [](const Var& x) { return broadcast_to(x, x.shape()); }},
      {"tile",
       [](const Var& x) {
         return tile(x, {1, 1, 1});
       }},
      {"repeat", [](const Var& x) { return repeat(x, 1, 2); }},
      {"pad",
       [](const Var& x) {
         return pad(x, {{0, 0}, {0, 0}, {0, 0}});
       }},
      {"pad by reflection",
       [](const Var& x) {
         return pad(x, {{0, 0}, {0, 0}, {0, 0}}, PadMode::reflect);
       }},
      {"reshape", [](const Var& x) { return reshape(x, x.shape()); }},
      {"transpose",
       [](const Var& x) {
         return transpose(x, {0, 1, 2});
       }},
      {"swapaxes", [](const Var& x) { return swapaxes(x, 1, 1); }},
      {"flatten of one axis", [](const Var& x) { return flatten(x, 2, 2); }},
      {"squeeze of no axis", [](const Var& x) { return squeeze(x, no_axes()); }},
      {"slice", [](const Var& x) { return slice(x, 0, {}, {}); }},
      {"concat of one", [](const Var& x) { return concat({x}, 1); }},
      {"sum over no axis", [](const Var& x) { return sum(x, no_axes()); }},
      {"mean over no axis", [](const Var& x) { return mean(x, no_axes()); }},
      {"max over no axis", [](const Var& x) { return max(x, no_axes()); }},
      {"sum_to", [](const Var& x) { return sum_to(x, x.shape()); }},
      {"cumsum of extent 1", [](const Var& x) { return cumsum(x, 1); }},
      {"tril of everything", [](const Var& x) { return tril(x, 5); }},
      {"einsum", [](const Var& x) { return einsum("abc->abc", {x}); }},
      {"dropout of nothing",
       [](const Var& x) {
         return dropout(x, 0, Key{1, 2});
       }},
      {"clamp", [](const Var& x) { return clamp(x, -100, 100); }},
      {"pow", [](const Var& x) { return pow(x, 1); }},
      {"a hook", [](const Var& x) { return with_hook(x, [](const Var&) { return Var(); }); }},
      {"a checkpoint", [](const Var& x) { return checkpoint([](auto v) { return v[0]; }, {x}); }},
      {"a custom_vjp",
       [](const Var& x) {
         return custom_vjp<"idle">(
             [](std::span<const Var> v) { return v[0]; },
             [](std::span<const Var>, const Var&, const Var& dy) { return std::vector<Var>{dy}; })(x);
       }},
      {"an empty network", [](const Var& x) { return nn::Sequential()(x); }},
      {"dropout that does not train",
       [](const Var& x) {
         Generator random(1);
         nn::Dropout layer(0.5, random);
         layer.training = false;
         return layer(x);
       }},
  };
  return all;
}

Array some() { return Array{{{1, 2}}, {{3, 4}}}; }

}  // namespace

// C13: an op that returns its operand ------------------------------------------------------------------

TEST_CASE("faults: C13: what has nothing to do gives a constant under no_grad") {
  for (const NamedFunction& idle : idle_functions()) {
    CAPTURE(idle.name);
    Tape tape;
    const Var x = tape.input(some());
    Var y;
    {
      const auto off = tape.no_grad();
      y = idle.f(x);
      CHECK_FALSE(y.requires_grad());
      CHECK_FALSE(idle.f(x * 1.0).requires_grad());
    }
    CHECK(values(y) == Values{1, 2, 3, 4});
    CHECK(values(grad(sum(x * y), {x})[0]) == Values{1, 2, 3, 4});  // not 2 x
  }
}

TEST_CASE("faults: C13: outside of it the derivative is 1, also of a temporary, to the second order") {
  for (const NamedFunction& idle : idle_functions()) {
    CAPTURE(idle.name);
    Tape tape;
    const Var x = tape.input(some());
    CHECK(idle.f(x).requires_grad());
    const Var y = idle.f(x * 1.0), g = grad(sum(x * y), {x}, recorded())[0];
    CHECK(values(g) == Values{2, 4, 6, 8});
    CHECK(values(grad(sum(g), {x})[0]) == Values{2, 2, 2, 2});
    Parameter p(some());
    backward(sum(idle.f(tape.leaf(p)) * 3.0));
    CHECK(grad_of(p) == Values{3, 3, 3, 3});
  }
}

TEST_CASE("faults: C13: the gradient does not depend on the extent") {
  for (const std::int64_t extent : {1, 2, 3}) {
    Tape tape;
    const Var x = tape.input(Array(2 * xt::ones<double>({static_cast<std::size_t>(extent)})));
    Var y;
    {
      const auto off = tape.no_grad();
      y = roll(broadcast_to(tile(x, {1}), Shape{extent}), 1, 0);
    }
    for (double d : values(grad(sum(x * y), {x})[0])) CHECK(d == 2);
  }
}

TEST_CASE("faults: C13: of a constant, and in a custom_vjp's function") {
  for (const NamedFunction& idle : idle_functions()) {
    CAPTURE(idle.name);
    Tape tape;
    const Var c = tape.constant(some()), x = tape.input(some());
    CHECK_FALSE(idle.f(c).requires_grad());
    const auto f = custom_vjp<"wrapped">(
        [&](std::span<const Var> v) { return idle.f(v[0]); },
        [](std::span<const Var>, const Var&, const Var& dy) { return std::vector<Var>{dy * 5.0}; });
    CHECK(values(grad(sum(f(x)), {x})[0]) == Values{5, 5, 5, 5});
  }
}

// C17: jacobian's limits -------------------------------------------------------------------------------

namespace {

/// Whether f throws ShapeError that names `who`, without one call of a hook, in less than a second.
template <class F>
void check_refused(const std::string& who, const int& passes, F&& f) {
  const auto start = std::chrono::steady_clock::now();
  std::string text;
  try {
    (void)f();
  } catch (const ShapeError& error) {
    text = error.what();
  }
  CAPTURE(text);
  CHECK(names(text, who));
  CHECK(passes == 0);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));
}

}  // namespace

TEST_CASE("faults: C17: too many elements are refused before the first pass") {
  Tape tape;
  int passes = 0;
  const auto counts = [&](const Var& dy) {
    ++passes;
    return dy;
  };
  const Var x = tape.input(Array(xt::ones<double>({70000}))), one = tape.input(Array{1.0});
  const UnaryFunction elementwise = [&](const Var& v) { return with_hook(v * v, counts); };
  const UnaryFunction spread = [&](const Var& v) {
    return with_hook(broadcast_to(v * v, Shape{65536}), counts);
  };
  const UnaryFunction total = [&](const Var& v) { return sum(with_hook(v * v, counts)); };
  for (const bool create_graph : {false, true}) {
    check_refused("jacobian", passes, [&] { return jacobian(elementwise, x, create_graph); });
    check_refused("jacobian", passes, [&] { return jacobian(spread, one, create_graph); });
    check_refused("hessian", passes, [&] { return hessian(total, x, create_graph); });
  }
  const auto off = tape.no_grad();
  check_refused("jacobian", passes, [&] { return jacobian(elementwise, x); });
}

TEST_CASE("faults: C17: too many axes are refused before the first pass") {
  Tape tape;
  int passes = 0;
  const auto counts = [&](const Var& dy) {
    ++passes;
    return dy;
  };
  const Var x = tape.input(Array(xt::ones<double>({1, 2, 1, 1, 1}))), y = tape.input(Array{2.0});
  const UnaryFunction same = [&](const Var& v) { return with_hook(v * v, counts); };
  const UnaryFunction total = [&](const Var& v) { return sum(with_hook(v * v, counts)); };
  check_refused("jacobian", passes, [&] { return jacobian(same, x); });
  check_refused("hessian", passes, [&] { return hessian(total, x); });
  const Var both[] = {y, x};  // the second one is too much
  const TensorFunction of_both = [&](std::span<const Var> v) { return with_hook(v[1] * v[0], counts); };
  const TensorFunction sum_of_both = [&](std::span<const Var> v) {
    return sum(with_hook(v[1] * v[0], counts));
  };
  check_refused("jacobian", passes, [&] { return jacobian(of_both, both); });
  check_refused("hessian", passes, [&] { return hessian(sum_of_both, both); });
  CHECK(jacobian(total, x).shape() == Shape{1, 2, 1, 1, 1});
  CHECK(passes == 1);
}

TEST_CASE("faults: C17: in a hook, and what is within the limits") {
  Tape tape;
  int inner = 0, passes = 0;
  const Var x = tape.input(Array{2.0}), big = tape.constant(Array(xt::ones<double>({70000})));
  const auto looks = [&](const Var&) {
    check_refused("jacobian", passes, [&] { return jacobian([](const Var& v) { return v * v; }, big); });
    ++inner;
    return Var();
  };
  CHECK(values(grad(sum(with_hook(x * x, looks)), {x})[0]) == Values{4});
  CHECK(inner == 1);
  const Var small = tape.input(Array(xt::ones<double>({300})));
  const Var J = jacobian([](const Var& v) { return v * v; }, small);
  CHECK(values(sum(J)) == Values{600});
}

// C18: depth by nesting --------------------------------------------------------------------------------

namespace {

/// x by a function that is checkpointed `depth` times: 2 x^2. Notes how deep the stack of the innermost is.
struct Nest {
  int depth;
  int runs = 0;
  const char* lowest = nullptr;
  TensorFunction function(int level) {
    if (level == 0) {
      return [this](std::span<const Var> v) {
        ++runs;
        const auto* here = static_cast<const char*>(__builtin_frame_address(0));
        if (!lowest || here < lowest) lowest = here;
        return v[0] * v[0] * 2.0;
      };
    }
    return [inner = function(level - 1)](std::span<const Var> v) { return checkpoint(inner, v); };
  }
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kSmallStack = 8 << 20;  // frames are larger
#else
constexpr std::size_t kSmallStack = 1 << 19;
#endif

/// Runs f on a thread with a small stack.
template <class F>
void on_a_small_stack(F f) {
  pthread_attr_t attributes;
  REQUIRE(pthread_attr_init(&attributes) == 0);
  REQUIRE(pthread_attr_setstacksize(&attributes, kSmallStack) == 0);
  pthread_t thread;
  const auto run = [](void* argument) -> void* {
    (*static_cast<F*>(argument))();
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, run, &f) == 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

}  // namespace

TEST_CASE("faults: C18: 300 checkpoints nested, on a small stack") {
  double value = 0, slope = 0, by_parameter = 0;
  int runs = 0;
  on_a_small_stack([&] {
    Nest nest{300};
    Tape tape;
    const Var x = tape.input(Array{3.0});
    const Var y = sum(nest.function(300)(std::span(&x, 1)));
    value = y.item<double>();
    slope = grad(y, {x})[0].array<double>()(0);
    runs = nest.runs;
    Parameter p(Array{3.0});
    const Var leaf = tape.leaf(p);
    backward(sum(nest.function(300)(std::span(&leaf, 1))));
    by_parameter = grad_of(p)[0];
  });
  CHECK(value == 18);  // 2 x^2
  CHECK(slope == 12);  // 4 x
  CHECK(by_parameter == 12);
  CHECK(runs == 301);
}

TEST_CASE("faults: C18: backward needs no more stack than the function itself") {
  Nest nest{100};
  Tape tape;
  const Var x = tape.input(Array{3.0});
  const char* top = static_cast<const char*>(__builtin_frame_address(0));
  const Var y = sum(nest.function(100)(std::span(&x, 1)));
  const std::ptrdiff_t forward = top - nest.lowest;
  CHECK(values(grad(y, {x})[0]) == Values{12});
  const std::ptrdiff_t both = top - nest.lowest;
  CAPTURE(forward);
  CAPTURE(both);
  CHECK(both <= forward + forward / 4 + 16384);
}

TEST_CASE("faults: C18: the innermost of d nested checkpoints runs d + 1 times") {
  for (const int depth : {1, 2, 3, 10}) {
    Nest nest{depth};
    Tape tape;
    const Var x = tape.input(Array{3.0});
    const Var y = sum(nest.function(depth)(std::span(&x, 1)));
    CHECK(nest.runs == 1);
    const Var g = grad(y, {x}, recorded())[0];
    CHECK(values(g) == Values{12});
    CHECK(nest.runs == depth + 1);
    CHECK(values(grad(sum(g), {x})[0]) == Values{4});
  }
}

TEST_CASE("faults: C18: a chain of 10,000 checkpoints, forwards, backwards and dropped") {
  Tape tape;
  Parameter p(Array{3.0});
  const TensorFunction twice = [](std::span<const Var> v) { return v[0] * 2.0; };
  const TensorFunction half = [](std::span<const Var> v) { return v[0] * 0.5; };
  for (int round = 0; round < 2; ++round) {
    Var y = tape.leaf(p);
    for (int i = 0; i < 10000; ++i) y = checkpoint(i % 2 ? half : twice, {y});
    CHECK(values(y) == Values{3});
    CHECK(values(grad(sum(y), {tape.leaf(p)})[0]) == Values{1});
    if (round == 0) backward(sum(y * y));
    if (round == 1) y = Var();
  }
  CHECK(grad_of(p) == Values{6});
  CHECK(tape.statistics().instructions == 0);
}

TEST_CASE("faults: C18: derivatives in derivatives, and hooks in hooks 100 deep") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  std::function<Var(const Var&, int)> deep = [&](const Var& v, int depth) -> Var {
    if (depth == 0) return sum(v * v);
    // Half of the squared gradient of what is one deeper is 2 x^2, 8 x^2, ...; over 4 it is x^2 again.
    const Var g = value_and_grad([&](const Var& z) { return deep(z, depth - 1); }, v, true).grads[0];
    return sum(g * g) * 0.25;
  };
  CHECK(values(value_and_grad([&](const Var& v) { return deep(v, 5); }, x).grads[0]) == Values{4});
  int calls = 0;
  std::function<Var(const Var&, int)> hooked = [&](const Var& dy, int depth) -> Var {
    ++calls;
    if (depth == 0) return dy * 1.0;
    const auto f = [&](const Var& z) {
      return sum(with_hook(z * z, [&, depth](const Var& u) { return hooked(u, depth - 1); }));
    };
    return value_and_grad(f, dy).grads[0] * 0.5;
  };
  CHECK(values(hooked(x, 100)) == Values{2});
  CHECK(calls == 101);
}
