// A program of its own, whose operator new counts and can be told to fail (kinds C16 and C19): destructors
// when memory is short, every allocation that fails in turn, and what a loop leaves behind.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <malloc.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>

#include "tests/replaced_new.hpp"
#include "tests/unit/tape/faults.hpp"
#include "xgrad/ops/linalg.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/optim/optimizer.hpp"
#include "xgrad/tape/profile.hpp"

namespace {

std::atomic<std::int64_t> living = 0, living_bytes = 0;
std::atomic<std::int64_t> fail_in = -1;  // this many more succeed, then one fails; below 0, all do
std::atomic<bool> refuse = false;        // while it is set, none does

}  // namespace

void xgrad::test::before_allocation() {
  if (refuse || (fail_in >= 0 && fail_in-- == 0)) throw std::bad_alloc();
}
void xgrad::test::note_block(void* block, int change) noexcept {
  living += change;
  living_bytes += change * static_cast<std::int64_t>(malloc_usable_size(block));
}

using namespace xgrad;
using namespace xgrad::test;

namespace {

/// While it lives, no allocation succeeds.
struct Shortage {
  Shortage() { refuse = true; }
  ~Shortage() { refuse = false; }
};

const TensorFunction kCube = [](std::span<const Var> v) { return cube(v[0]); };

/// What a body computes with: two parameters, 2 and 3, and a tape.
struct World {
  Parameter p{Array{2.0}, "p"}, q{Array{3.0}, "q"};
  Tape tape;
  Var x = tape.input(Array{2.0});
  double grad_x(const Var& y) { return grad(sum(y), {x})[0].array<double>()(0); }
};

using Body = double (*)(World&);

double nested_checkpoints(World& w) {
  TensorFunction f = kCube;
  for (int i = 0; i < 4; ++i) f = [f](std::span<const Var> v) { return checkpoint(f, v); };
  return w.grad_x(f(std::span(&w.x, 1)));  // 3 x^2
}

double derivative_in_a_checkpoint(World& w) {
  const TensorFunction f = [](std::span<const Var> v) {
    const Var g = grad(cube_sum(v[0]), {v[0]}, recorded())[0];
    return sum(g * g);
  };
  return w.grad_x(checkpoint(f, {w.x}));  // 36 x^3
}

double derivative_in_a_hook(World& w) {
  const Var x = w.x;
  return w.grad_x(with_hook(x * x, [x](const Var& dy) {
    return dy * value_and_grad(cube_sum, x).grads[0];  // 3 x^2 2 x
  }));
}

double second_order_in_a_custom_vjp(World& w) {
  const auto f = custom_vjp<"body">([](std::span<const Var> v) { return v[0] * 1.0; },
                                    [](std::span<const Var> v, const Var&, const Var& dy) {
                                      return std::vector<Var>{hvp(cube_sum, v[0], dy, true)};
                                    });
  const Var g = grad(sum(f(w.x)), {w.x}, recorded())[0];  // 6 x
  return w.grad_x(g);
}

double jacobian_in_a_vjp(World& w) {
  const CallingOp op{[](Backward& b) {
    b.dx(0) += b.dy() * sum(jacobian(cube, b.x(0)), 1);  // 3 x^2
  }};
  return w.grad_x(apply(op, w.x * 2.0));
}

double backward_in_a_hook(World& w) {
  Tape other;
  const auto runs = [&](const Var&) {
    backward(sum(other.leaf(w.p) * 5.0));
    return Var();
  };
  backward(sum(with_hook(w.tape.leaf(w.p) * w.tape.leaf(w.p), runs) + w.tape.leaf(w.q)));
  return grad_of(w.p)[0];  // 2 p + 5
}

double hessian_and_jacobian(World& w) {
  const Var x = w.tape.input(Array{1, 2});
  return values(hessian(quartic, x))[3] + values(jacobian(cube, x))[3];  // 3 x^2 twice
}

double checked(World&) { return gradcheck(kCube, {Array{1, 2}}).failures.empty() ? 1 : 0; }

double third_order(World& w) {
  const Var g = grad(quartic(w.x), {w.x}, recorded())[0];
  const Var h = grad(sum(g), {w.x}, recorded())[0];
  return w.grad_x(h);  // 6 x
}

double packed_update_in_a_hook(World& w) {
  Parameter both[] = {w.p.share(), w.q.share()};
  pack(both);
  std::vector<Parameter> second;
  second.push_back(w.q.share());
  optim::Adam adam(std::move(second));
  const auto update = [&](const Var&) {
    adam.step();
    return Var();
  };
  backward(sum(with_hook(w.tape.leaf(w.p) * 2.0, update) * w.tape.leaf(w.q)));
  return grad_of(w.p)[0];  // 2 q
}

double guards(World& w) {
  Profile profile(10);
  const auto on = w.tape.profile(&profile);
  const auto scope = w.tape.scope("a name that is longer than what a string keeps in place");
  const auto inner = w.tape.scope("another name that is longer than what a string keeps in place");
  const auto off = w.tape.no_grad();
  return value_and_grad(cube_sum, w.x).grads[0].array<double>()(0);
}

double results_kept_by_assignment(World& w) {
  Var y;
  for (int i = 0; i < 20; ++i) y = cube(w.x * w.tape.leaf(w.p));
  return w.grad_x(y);  // 3 x^2 p^3
}

double rewound(World& w) {
  const Tape::Mark mark = w.tape.mark();
  for (int i = 0; i < 3; ++i) {
    (void)w.grad_x(checkpoint(kCube, {w.x}));
    w.tape.rewind(mark);
  }
  return w.grad_x(w.x * w.x);
}

double derivative_in_a_kernel(World& w) {
  const CallingKernel kernel{[&] { (void)value_and_grad(cube_sum, w.x); }};
  return w.grad_x(apply(kernel, w.x * 1.0));
}

double many_parameters(World& w) {
  Var y = w.x;
  for (int i = 0; i < 20; ++i) {
    const Parameter p(Array{1.0}, "one of many parameters, with a long name");
    y = y * w.tape.leaf(p);
  }
  return w.grad_x(y);
}

struct Named {
  std::string name;
  Body body;
  double right;
};
const std::vector<Named> kBodies = {
    {"nested checkpoints", nested_checkpoints, 12},
    {"a derivative in a checkpoint", derivative_in_a_checkpoint, 288},
    {"a derivative in a hook", derivative_in_a_hook, 48},
    {"a second order in a custom_vjp", second_order_in_a_custom_vjp, 6},
    {"a Jacobian in a vjp", jacobian_in_a_vjp, 96},
    {"a backward in a hook", backward_in_a_hook, 9},
    {"Hessian and Jacobian", hessian_and_jacobian, 24},
    {"gradcheck", checked, 1},
    {"third order", third_order, 12},
    {"an update in a hook", packed_update_in_a_hook, 6},
    {"guards", guards, 12},
    {"results kept by assignment", results_kept_by_assignment, 96},
    {"rewinding", rewound, 4},
    {"a derivative in a kernel", derivative_in_a_kernel, 1},
    {"many parameters", many_parameters, 1},
};

/// How many bytes more are alive after rounds 200 to 3,000.
template <class Step>
std::int64_t growth(Step step) {
  std::int64_t before = 0;
  for (int i = 0; i < 3000; ++i) {
    if (i == 200) before = living_bytes;
    step(i);
  }
  return living_bytes - before;
}

std::string long_name(int i) {
  return "a name that is longer than what a string keeps in place " + std::to_string(i);
}

}  // namespace

TEST_CASE("faults: C19: destructors of a tape, its guards and its handles allocate nothing") {
  Profile profile(100);
  Parameter p(Array{2.0}, "p"), q(Array{3.0}, "q");
  for (const bool outlived : {false, true}) {
    auto tape = std::make_unique<Tape>();
    std::optional<Tape::Scope> scope(tape->scope(long_name(0))), inner(tape->scope(long_name(1)));
    std::optional<Tape::Pause> off(tape->no_grad());
    std::optional<Tape::Profiling> on(tape->profile(&profile));
    off.reset();
    std::vector<Var> kept;
    for (int i = 0; i < 100; ++i) {
      kept.push_back(tape->leaf(p) * tape->leaf(q) * tape->input(Array{1.0 * i}));
      kept.push_back(checkpoint(kCube, {kept.back()}));
      kept.push_back(with_hook(kept.back(), [kept](const Var& dy) { return dy; }));
    }
    p.assign(Array{2.0});
    kept.push_back(tape->leaf(p));
    off.emplace(tape->no_grad());
    {
      const Shortage shortage;
      if (!outlived) inner.reset(), scope.reset(), on.reset(), off.reset();
      tape.reset();
      if (outlived) scope.reset(), inner.reset(), off.reset(), on.reset();
      while (!kept.empty()) kept.pop_back();
    }
  }
  CHECK(value_of(p) == Values{2});
}

TEST_CASE("faults: C19: handles that go in any order allocate nothing") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  std::vector<Var> kept;
  for (int i = 0; i < 1000; ++i) kept.push_back(x * x * static_cast<double>(i));
  {
    const Shortage shortage;
    for (std::size_t i = 0; i < kept.size(); i += 2) kept[i] = Var();
    for (std::size_t i = 1; i < kept.size(); i += 4) kept[i] = Var();
  }
  CHECK(values(grad(sum(kept[999]), {x})[0]) == Values{3996});
  CHECK(tape.statistics().instructions == 500);
}

TEST_CASE("faults: C19: a scope ends, and a recording is cleared, when memory is short") {
  Tape tape;
  Parameter p(Array{2.0}, "p");
  for (int round = 0; round < 3; ++round) {
    std::vector<Tape::Scope> scopes;
    for (int i = 0; i < 50; ++i) scopes.push_back(tape.scope(long_name(i)));
    Var y = tape.leaf(p) * 2.0;
    {
      const Shortage shortage;
      while (!scopes.empty()) scopes.pop_back();
      try {
        tape.clear();
      } catch (const std::bad_alloc&) {
      }
      y = Var();
    }
    tape.clear();
    CHECK(tape.statistics().slots == 0);
    backward(sum(tape.leaf(p) * 2.0));
  }
  CHECK(grad_of(p) == Values{6});
}

TEST_CASE("faults: C19: a pass that fails for want of memory ends, with its guards and its callbacks") {
  Tape tape;
  Parameter p(Array{2.0}, "p");
  const auto starves = [](const Var& dy) -> Var {
    refuse = true;
    return dy * 2.0;
  };
  for (int i = 0; i < 3; ++i) {
    const Var x = tape.input(Array{2.0});
    try {
      (void)grad(sum(with_hook(x * x * x, starves)), {x}, recorded());
    } catch (const std::bad_alloc&) {
    }
    refuse = false;
    try {
      backward(sum(with_hook(tape.leaf(p) * tape.leaf(p) * tape.leaf(p), starves)));
    } catch (const std::bad_alloc&) {
    }
    refuse = false;
    p.zero_grad();
    backward(sum(tape.leaf(p) * tape.leaf(p)));
    REQUIRE(grad_of(p) == Values{4});
  }
}

TEST_CASE("faults: C19: chunks of the recording that are refused") {
  Tape tape;
  Parameter p(Array{2.0}, "p");
  std::vector<Var> chain;
  chain.reserve(50000);
  for (int round = 0; round < 2; ++round) {
    const Var zero = tape.constant(Array{0.0});
    chain.push_back(tape.leaf(p));
    int refused = 0;
    while (chain.size() < 40000) {  // first when nothing is to be had; then two are dropped, and three made
      const Shortage shortage;
      try {
        chain.push_back(chain.back() + zero);
        continue;
      } catch (const std::bad_alloc&) {
        ++refused;
      }
      for (int i = 0; i < 2 && chain.size() > 1; ++i) chain.pop_back();
      refuse = false;
      for (int i = 0; i < 3; ++i) chain.push_back(chain.back() + zero);
    }
    if (round == 0) CHECK(refused > 0);
    p.zero_grad();
    backward(sum(chain.back()));
    CHECK(grad_of(p) == Values{1});
    chain.clear();
    CHECK(tape.statistics().instructions == 0);
  }
}

TEST_CASE("faults: C19: every allocation fails in turn, in every body") {
  for (const Named& named : kBodies) {
    CAPTURE(named.name);
    double warm = 0;  // what is made once, is made here
    try {
      World w;
      warm = named.body(w);
    } catch (const Error& error) {
      CHECK_MESSAGE(false, error.what());
    }
    CHECK(warm == named.right);
    if (warm != named.right) continue;
    bool done = false;
    for (std::int64_t at = 0; !done && at < 20000; ++at) {
      CAPTURE(at);
      const std::int64_t before = living;
      {
        World w;
        double result = named.right;
        fail_in = at;
        try {
          result = named.body(w);
          done = fail_in >= 0;  // none was left to fail
        } catch (const std::bad_alloc&) {
        }
        fail_in = -1;
        REQUIRE(result == named.right);
        // The tape is as good as before; a backward may have consumed what x belonged to.
        w.x = w.tape.input(Array{2.0});
        REQUIRE(values(grad(sum(cube(w.x)), {w.x})[0]) == Values{12});
        REQUIRE((w.x * w.x).requires_grad());
        w.p.zero_grad();
        backward(sum(w.tape.leaf(w.p) * w.tape.leaf(w.p) * w.tape.constant(Array{1.0})));
        REQUIRE(grad_of(w.p) == Values{4});
        w.x = Var();
        w.tape.clear();
        REQUIRE(w.tape.statistics().slots == 0);
        REQUIRE(w.tape.statistics().instructions == 0);
        REQUIRE(w.tape.statistics().bytes_in_use == 0);
      }
      REQUIRE(living == before);
    }
    CHECK(done);
  }
}

TEST_CASE("faults: C16: bytes: scopes with new names leave nothing behind") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  Var y;
  CHECK(growth([&](int i) {
          const auto off = tape.no_grad();
          const auto scope = tape.scope(long_name(i));
          (void)(x * x);
        }) <= 1024);
  CHECK(growth([&](int i) {
          const auto scope = tape.scope(long_name(i));
          y = x * x;
        }) <= 1024);
  CHECK(growth([&](int i) { const auto scope = tape.scope(long_name(i)); }) <= 1024);
  CHECK(growth([&](int i) {
          const auto outer = tape.scope(long_name(i));
          const auto inner = tape.scope("inner");
          y = y.tape().input(Array{1.0 * i}) * 2.0;
        }) <= 1024);
}

TEST_CASE("faults: C16: bytes: scopes in training steps leave nothing behind") {
  Tape tape;
  Parameter p(Array{2.0}, "p");
  CHECK(growth([&](int i) {
          const auto scope = tape.scope(long_name(i));
          backward(sum(tape.leaf(p) * 2.0));
        }) <= 1024);
  const auto outer = tape.scope("outer");
  CHECK(growth([&](int i) {
          const auto scope = tape.scope(long_name(i % 3));
          const Var g = grad(sum(tape.leaf(p) * 2.0), {tape.leaf(p)})[0];
        }) <= 1024);
}

TEST_CASE("faults: C16: bytes: new parameters each step leave nothing behind") {
  Tape tape;
  Var y;
  CHECK(growth([&](int i) {
          const Parameter p(Array(xt::ones<double>({1000})), long_name(i));
          y = tape.leaf(p) * 2.0;
        }) <= 1024);
  CHECK(growth([&](int i) {
          Parameter p(Array(xt::ones<double>({1000})), long_name(i));
          const Var w = tape.leaf(p);
          (void)grad(sum(w * w), {w});
          const auto off = tape.no_grad();
          y = w * 2.0;
        }) <= 1024);
  CHECK(growth([&](int i) {
          Parameter p(Array(xt::ones<double>({1000})), long_name(i));
          backward(sum(tape.leaf(p)));
        }) <= 1024);
}

TEST_CASE("faults: C15: bytes: results kept by assignment leave nothing behind") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  Var y;
  ValueAndGrad r;
  CHECK(growth([&](int) { y = cube(x); }) <= 1024);
  CHECK(growth([&](int i) { r = value_and_grad(cube_sum, x, i % 2 == 0); }) <= 1024);
  CHECK(growth([&](int) {
          y = checkpoint(kCube, {x * 1.0});
          y = with_hook(y, [y](const Var& dy) { return dy; });
        }) <= 4096);
  const Tape::Mark mark = tape.mark();
  CHECK(growth([&](int i) {
          y = cube(x);
          if (i % 100 == 0) tape.rewind(mark);
        }) <= 1024);
}
