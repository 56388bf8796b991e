// Parameters that are written while a pass reads them or writes their gradients, by kind of fault.
#include <stdexcept>

#include "tests/unit/tape/faults.hpp"
#include "xgrad/ops/linalg.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/ops/shape.hpp"
#include "xgrad/optim/optimizer.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

/// What ParameterModified says when f throws it; empty when it does not.
template <class F>
std::string modified(F&& f) {
  try {
    (void)f();
  } catch (const ParameterModified& error) {
    return error.what();
  }
  return {};
}

Array matrix(double v) { return v * xt::ones<double>({1, 1}); }

std::vector<Parameter> handles(std::initializer_list<const Parameter*> all) {
  std::vector<Parameter> result;
  for (const Parameter* p : all) result.push_back(p->share());
  return result;
}

}  // namespace

// C6: written while a pass reads it --------------------------------------------------------------------

TEST_CASE("faults: C6: a hook assigns to a parameter that the pass reads") {
  Parameter p(Array{2.0}, "first"), q(Array{3.0}, "second");
  Tape tape;
  const auto run = [&](bool keep) {
    const Var m = tape.leaf(q) * tape.leaf(p);
    backward(sum(with_hook(m, calls([&] { p.assign(Array{100.0}); }))), {.keep_recording = keep});
    return 0;
  };
  for (const bool keep : {false, true}) {
    const std::string text = modified([&] { return run(keep); });
    CAPTURE(text);
    CHECK(names(text, "first"));
    CHECK(names(text, "hook"));
    CHECK_FALSE(p.has_grad());
    CHECK_FALSE(q.has_grad());
    p.assign(Array{2.0});
  }
  tape.clear();
  backward(sum(tape.leaf(q) * tape.leaf(p)));
  CHECK(grad_of(q) == Values{2});
  CHECK(grad_of(p) == Values{3});
}

TEST_CASE("faults: C6: every way to write, in grad with and without a graph") {
  Parameter p(Array{2.0}, "first"), q(Array{3.0}, "second");
  Tape tape;
  backward(sum(tape.leaf(p)));
  optim::SGD sgd(handles({&p}), {.lr = 1});
  const std::function<void()> writes[] = {
      [&] { p.assign(Array{100.0}); },
      [&] { p.mutable_value<double>()(0) = 100; },
      [&] { p.share().value_view().as<double>()[0] = 100; },
      [&] { sgd.step(); },
  };
  for (const auto& write : writes) {
    for (const bool create_graph : {false, true}) {
      p.assign(Array{2.0});
      const Var w = tape.leaf(q), y = sum(with_hook(w * tape.leaf(p), calls(write)));
      CHECK(names(modified([&] { return grad(y, {w}, recorded(create_graph)); }), "first"));
    }
  }
}

TEST_CASE("faults: C6: a write in a vjp, a custom_vjp, a checkpoint and a kernel") {
  Parameter p(Array{2.0}, "first");
  Tape tape;
  const Var x = tape.input(Array{3.0});
  const auto write = [&] { p.assign(Array{100.0}); };
  const auto custom = custom_vjp<"writes">([](std::span<const Var> v) { return v[0] * 1.0; },
                                           [&](std::span<const Var>, const Var&, const Var& dy) {
                                             write();
                                             return std::vector<Var>{dy};
                                           });
  int runs = 0;
  const TensorFunction again = [&](std::span<const Var> v) {
    if (runs++ > 0) write();
    return v[0] * 1.0;
  };
  const CallingOp op{[&](Backward& b) {
    b.dx(0) += b.dy();
    write();
  }};
  const CallingOp by_kernel{[&](Backward& b) { b.dx(0) += apply(CallingKernel{write}, b.dy()); }};
  const std::function<Var(const Var&)> all[] = {
      [&](const Var& m) { return custom(m); },
      [&](const Var& m) { return checkpoint(again, {m}); },
      [&](const Var& m) { return apply(op, m); },
      [&](const Var& m) { return apply(by_kernel, m); },
  };
  const char* const called[] = {"writes", "checkpoint", "calling", "calling"};
  for (std::size_t i = 0; i < 4; ++i) {
    p.assign(Array{2.0});
    const Var y = sum(all[i](x * tape.leaf(p)));
    const std::string text = modified([&] { return grad(y, {x}); });
    CAPTURE(text);
    CHECK(names(text, "first"));
    CHECK(names(text, called[i]));
  }
}

TEST_CASE("faults: C6: the write comes from a pass on another tape, or from one deeper") {
  Parameter p(Array{2.0}, "first");
  Tape tape, other;
  const Var x = tape.input(Array{3.0});
  const auto write = calls([&] { p.assign(Array{100.0}); });
  for (Tape* inner : {&other, &tape}) {
    p.assign(Array{2.0});
    const auto runs = calls([&] {
      const Var z = inner->input(Array{1.0});
      CHECK(values(grad(sum(with_hook(z * z, write)), {z})[0]) == Values{2});
    });
    const Var y = sum(with_hook(x * tape.leaf(p), runs));
    CHECK(names(modified([&] { return grad(y, {x}); }), "first"));
  }
}

TEST_CASE("faults: C6: a checkpoint that the same pass runs again does not see the new value") {
  Parameter p(Array{2.0}, "first");
  Tape tape;
  const Var x = tape.input(Array{3.0});
  const TensorFunction f = [&](std::span<const Var> v) { return v[0] * tape.leaf(p); };
  const Var y = sum(with_hook(checkpoint(f, {x}), calls([&] { p.assign(Array{100.0}); })));
  CHECK_THROWS_AS(grad(y, {x}), Error);
  p.assign(Array{2.0});
  CHECK(values(grad(sum(checkpoint(f, {x})), {x})[0]) == Values{2});
}

TEST_CASE("faults: C6: the neighbour in a packed block is another parameter") {
  Parameter all[] = {Parameter(Array{2.0}, "first"), Parameter(Array{3.0}, "second")};
  pack(all);
  Tape tape;
  const Var x = tape.input(Array{5.0});
  const auto write = calls([&] { all[1].assign(Array{100.0}); });
  backward(sum(with_hook(x * tape.leaf(all[0]), write) * tape.leaf(all[1])));
  CHECK(grad_of(all[0]) == Values{15});
  CHECK(grad_of(all[1]) == Values{10});
  const Var z = tape.input(Array{5.0}), y = sum(with_hook(z * tape.leaf(all[1]), write));
  CHECK(names(modified([&] { return grad(y, {z}); }), "second"));
}

TEST_CASE("faults: C6: through reshape and transposed products, right or ParameterModified") {
  Parameter p(matrix(2), "first");
  Tape tape;
  const Var x = tape.input(matrix(3));
  const std::function<Var()> all[] = {
      [&] { return reshape(x, {1}) * reshape(tape.leaf(p), {1}); },
      [&] { return matmul(x, transpose(tape.leaf(p))); },
      [&] {
        return x * broadcast_to(tape.leaf(p), Shape{1, 1});
      },
      [&] { return x * with_hook(tape.leaf(p), calls([] {})); },
  };
  for (const auto& m : all) {
    p.assign(matrix(2));
    const Var y = sum(with_hook(m(), calls([&] { p.assign(matrix(100)); })));
    Values g{2};
    const std::string text = modified([&] {
      g = values(grad(y, {x})[0]);
      return 0;
    });
    CHECK(g == Values{2});
    if (!text.empty()) CHECK(names(text, "first"));
  }
}

TEST_CASE("faults: C6: what was read before the write is right") {
  Parameter p(Array{2.0}, "first"), q(Array{3.0}, "second");
  Tape tape;
  const Var x = tape.input(Array{5.0});
  for (const bool create_graph : {false, true}) {
    const Var inner = with_hook(x * tape.leaf(q), calls([&] { p.assign(Array{100.0}); }));
    const Var y = sum(inner * tape.leaf(p));
    CHECK(values(grad(y, {x}, recorded(create_graph))[0]) == Values{6});
    CHECK(names(modified([&] { return grad(y, {x}); }), "first"));  // the next pass comes too late
    p.assign(Array{2.0});
  }
}

// C7: written while a pass writes its gradient ---------------------------------------------------------

namespace {

/// One weight after another, x p q; a hook between them updates q as soon as its gradient is there.
template <class Optimizer, class Options>
void check_update_in_a_hook(const Options& options, bool packed, bool keep_gradients) {
  Parameter hooked[] = {Parameter(Array{3.0}, "p"), Parameter(Array{5.0}, "q")};
  Parameter plain[] = {Parameter(Array{3.0}, "p"), Parameter(Array{5.0}, "q")};
  if (packed) pack(hooked), pack(plain);
  Optimizer first(handles({&hooked[0]}), options), second(handles({&hooked[1]}), options);
  Optimizer both(handles({&plain[0], &plain[1]}), options);
  Tape tape;
  for (int step = 0; step < 5; ++step) {
    if (!keep_gradients) first.zero_grad(), second.zero_grad(), both.zero_grad();
    const auto update = calls([&] {
      CHECK(hooked[1].has_grad());
      second.step();
    });
    const Var data = tape.constant(Array{2.0});
    backward(sum(with_hook(data * tape.leaf(hooked[0]), update) * tape.leaf(hooked[1])));
    first.step();
    backward(sum(tape.constant(Array{2.0}) * tape.leaf(plain[0]) * tape.leaf(plain[1])));
    both.step();
    for (std::size_t i = 0; i < 2; ++i) {
      REQUIRE(value_of(hooked[i]) == value_of(plain[i]));
      REQUIRE(grad_of(hooked[i]) == grad_of(plain[i]));
    }
  }
}

}  // namespace

TEST_CASE("faults: C7: the update as soon as the gradient is there is the update afterwards") {
  check_update_in_a_hook<optim::SGD>(optim::SGDOptions{.lr = 0.125}, false, false);
  check_update_in_a_hook<optim::SGD>(optim::SGDOptions{.lr = 0.125}, true, false);
  check_update_in_a_hook<optim::SGD>(optim::SGDOptions{.lr = 0.125, .momentum = 0.5}, false, false);
  check_update_in_a_hook<optim::Adam>(optim::AdamOptions{.lr = 0.125}, true, false);
}

TEST_CASE("faults: C7: gradients that are summed up over the steps are not doubled") {
  check_update_in_a_hook<optim::SGD>(optim::SGDOptions{.lr = 0.0625}, false, true);
  check_update_in_a_hook<optim::Adam>(optim::AdamOptions{.lr = 0.125}, false, true);
}

TEST_CASE("faults: C7: numbers of two steps") {
  Parameter p(Array{3.0}, "p"), q(Array{5.0}, "q");
  Tape tape;
  const auto step = [&] {
    const Var x = tape.constant(Array{2.0});
    const auto write = calls([&] { q.mutable_value<double>()(0) -= 1; });
    backward(sum(with_hook(x * tape.leaf(p), write) * tape.leaf(q)));
  };
  step();
  CHECK(grad_of(p) == Values{10});  // x q
  CHECK(grad_of(q) == Values{6});   // x p
  step();                           // q is 4 now
  CHECK(grad_of(p) == Values{18});
  CHECK(grad_of(q) == Values{12});
  CHECK(value_of(q) == Values{3});
}

TEST_CASE("faults: C7: a gradient that a hook forgets stays forgotten") {
  Parameter p(Array{3.0}, "p"), q(Array{5.0}, "q");
  Tape tape;
  const auto step = [&] {
    const Var x = tape.constant(Array{2.0});
    const auto forget = calls([&] {
      q.mutable_value<double>()(0) -= 1;
      q.zero_grad();
    });
    backward(sum(with_hook(x * tape.leaf(p), forget) * tape.leaf(q)));
  };
  step();
  CHECK_FALSE(q.has_grad());
  CHECK(grad_of(p) == Values{10});
  step();
  CHECK_FALSE(q.has_grad());
  backward(sum(tape.leaf(q) * 7.0));
  CHECK(grad_of(q) == Values{7});
}

TEST_CASE("faults: C7: what comes after zero_grad in a hook is summed up from nothing") {
  Parameter q(Array{5.0}, "q");
  Tape tape;
  backward(sum(tape.leaf(q)));
  const Var w = tape.leaf(q);
  // Backward comes to 7 q first, then to the hook, then to 3 q.
  const Var first = w * 3.0, y = with_hook(first, calls([&] { q.zero_grad(); })), last = w * 7.0;
  backward(sum(y + last));
  CHECK(grad_of(q) == Values{3});
}

TEST_CASE("faults: C7: the same value assigned before backward of a checkpoint") {
  Parameter p(Array{2.0}, "p");
  Tape tape;
  const Var x = tape.input(Array{3.0});
  const TensorFunction f = [&](std::span<const Var> v) { return v[0] * tape.leaf(p) * tape.leaf(p); };
  const Var y = sum(checkpoint(f, {x}));
  p.assign(Array{2.0});
  // Right, or refused because it was written.
  if (modified([&] { return grad(y, {x}); }).empty()) CHECK(values(grad(y, {x})[0]) == Values{4});
  const std::string text = modified([&] {
    backward(y);
    return 0;
  });
  if (text.empty()) CHECK(grad_of(p) == Values{12});  // 2 p x
  if (!text.empty()) CHECK(names(text, "parameter p "));
  p.zero_grad();
  tape.clear();
  backward(sum(checkpoint(f, {tape.input(Array{3.0})})) + sum(tape.leaf(p)));
  CHECK(grad_of(p) == Values{13});
}

TEST_CASE("faults: C7: by the leaf of a version before, right or refused") {
  Parameter p(Array{2.0}, "p");
  Tape tape;
  const Var x = tape.input(Array{3.0}), w = tape.leaf(p);
  const TensorFunction f = [&](std::span<const Var> v) { return v[0] * tape.leaf(p); };
  const Var y = sum(checkpoint(f, {x}));
  p.assign(Array{2.0});
  Values g{3};
  (void)error_of([&] {
    g = values(grad(y, {w})[0]);
    return 0;
  });
  CHECK(g == Values{3});
}

TEST_CASE("faults: C7: two versions of one parameter in one loss") {
  Parameter p(Array{2.0}, "p");
  Tape tape;
  const Var x = tape.constant(Array{3.0});
  const Var old = x * tape.leaf(p);
  p.assign(Array{5.0});
  const Var now = x * tape.leaf(p) * tape.leaf(p);  // 2 x p
  backward(sum(old + with_hook(now, calls([&] { CHECK(value_of(p) == Values{5}); }))));
  CHECK(grad_of(p) == Values{33});
  backward(sum(tape.leaf(p) * 2.0));
  CHECK(grad_of(p) == Values{35});
}

TEST_CASE("faults: C7: every layer of a deep network is updated in its hook") {
  constexpr int kLayers = 6;
  std::vector<Parameter> hooked, plain;
  for (int i = 0; i < kLayers; ++i) {
    hooked.emplace_back(xt::xarray<float>{1.5F, -0.5F}, "w");
    plain.emplace_back(xt::xarray<float>{1.5F, -0.5F}, "w");
  }
  Tape tape, other;
  const auto update = [](Parameter& p) {
    for (std::size_t i = 0; i < 2; ++i) p.mutable_value<float>()(i) -= 0.25F * p.grad<float>()(i);
  };
  for (int step = 0; step < 4; ++step) {
    Var h = tape.constant(xt::xarray<float>{1, 2}), z = other.constant(xt::xarray<float>{1, 2});
    for (std::size_t i = 0; i < kLayers; ++i) {
      hooked[i].zero_grad(), plain[i].zero_grad();
      h = with_hook(h, calls([&, i] { update(hooked[i]); })) * tape.leaf(hooked[i]);
      z = z * other.leaf(plain[i]);
    }
    backward(sum(h) * 0.0625);
    backward(sum(z) * 0.0625);
    for (Parameter& p : plain) update(p);
    update(hooked[0]);  // no hook is called for data
    for (std::size_t i = 0; i < kLayers; ++i) REQUIRE(value_of(hooked[i]) == value_of(plain[i]));
  }
}

// C8: two passes and one parameter ---------------------------------------------------------------------

TEST_CASE("faults: C8: backward on another tape inside a hook") {
  Parameter p(Array{2.0}, "p");
  Tape tape, other;
  const auto runs = calls([&] { backward(sum(other.leaf(p) * 5.0)); });
  const Var x = tape.leaf(p);
  SUBCASE("before the outer one has written") { backward(sum(with_hook(x * x, runs))); }
  SUBCASE("after") { backward(sum(x * x * 0.5 + with_hook(x * x * 0.5, runs))); }
  SUBCASE("before, and the rest comes after") { backward(sum(with_hook(x * x * 0.5, runs) + x * x * 0.5)); }
  CHECK(grad_of(p) == Values{9});  // 2 p + 5
  backward(sum(with_hook(tape.leaf(p) * 3.0, runs)));
  CHECK(grad_of(p) == Values{17});
}

TEST_CASE("faults: C8: three levels on three tapes, and on one") {
  for (const bool same : {false, true}) {
    Parameter p(Array{2.0}, "p");
    Tape tapes[3];
    const auto tape = [&](int k) -> Tape& { return tapes[same ? 0 : k]; };
    const auto innermost = calls([&] { backward(sum(tape(2).leaf(p) * 100.0)); });
    const auto inner = calls([&] { backward(sum(with_hook(tape(1).leaf(p) * 10.0, innermost))); });
    backward(sum(with_hook(tape(0).leaf(p) * 1.0, inner) + tape(0).leaf(p) * 2.0));
    CHECK(grad_of(p) == Values{113});
  }
}

TEST_CASE("faults: C8: an inner backward that fails forgets its own part only") {
  for (const bool before : {false, true}) {
    Parameter p(Array{2.0}, "p"), q(Array{3.0}, "q");
    Tape tape, other;
    if (before) {
      backward(sum(tape.leaf(p) * 1000.0));
      backward(sum(tape.leaf(q) * 1000.0));
    }
    const double p0 = before ? 1000 : 0, q0 = before ? 1000 : 0;
    for (Tape* inner : {&other, &tape}) {
      p.zero_grad(), q.zero_grad();
      if (before) backward(sum(tape.leaf(p) * 1000.0 + tape.leaf(q) * 1000.0));
      const auto fails = calls([&] {
        const Var w = inner->leaf(p);
        const Var bad =
            with_hook(w * inner->leaf(q), [](const Var&) -> Var { throw std::runtime_error("in"); });
        CHECK_THROWS_WITH(backward(sum(bad + w * 7.0)), "in");
      });
      const Var x = tape.leaf(p);
      backward(sum(x * 3.0 + with_hook(x * x, fails) + tape.leaf(q)));
      CHECK(grad_of(p) == Values{7 + p0});  // 3 + 2 p
      CHECK(grad_of(q) == Values{1 + q0});
    }
  }
}

TEST_CASE("faults: C8: a parameter that only the inner one reaches, float32, packed") {
  Parameter all[] = {Parameter(xt::xarray<float>{2}, "p"), Parameter(xt::xarray<float>{3}, "q")};
  pack(all);
  Tape tape, other;
  const auto runs = calls([&] {
    backward(sum(other.leaf(all[0]) * other.leaf(all[1])));
    CHECK(all[1].has_grad());
  });
  for (int i = 1; i <= 3; ++i) {
    backward(sum(with_hook(tape.leaf(all[0]) * 10.0, runs)));
    CHECK(grad_of(all[0]) == Values{13.0 * i});
    CHECK(grad_of(all[1]) == Values{2.0 * i});
  }
}

TEST_CASE("faults: C8: in a custom_vjp, a struct vjp, a checkpoint and a kernel of the pass") {
  Parameter p(Array{2.0}, "p");
  Tape tape;
  const auto adds = [&] {
    Tape other;
    backward(sum(other.leaf(p) * 5.0));
  };
  const auto custom = custom_vjp<"adds">([](std::span<const Var> v) { return v[0] * 1.0; },
                                         [&](std::span<const Var>, const Var&, const Var& dy) {
                                           adds();
                                           return std::vector<Var>{dy};
                                         });
  const TensorFunction again = [&](std::span<const Var> v) {
    adds();
    return v[0] * 1.0;
  };
  const CallingOp op{[&](Backward& b) {
    adds();
    b.dx(0) += b.dy();
    adds();
  }};
  const Var w = tape.leaf(p);
  backward(sum(w * w + custom(w)));  // 2 p + 1
  CHECK(grad_of(p) == Values{10});
  p.zero_grad();
  backward(sum(tape.leaf(p) * 3.0 + checkpoint(again, {tape.leaf(p)})));
  CHECK(grad_of(p) == Values{14});  // 3 + 1, and twice 5
  p.zero_grad();
  backward(sum(apply(op, tape.leaf(p)) + tape.leaf(p)));
  CHECK(grad_of(p) == Values{12});
  p.zero_grad();
  backward(sum(apply(CallingKernel{adds}, tape.leaf(p) * tape.leaf(p))));
  CHECK(grad_of(p) == Values{9});
}

TEST_CASE("faults: C8: a grad of the same parameter's leaf inside adds nothing") {
  Parameter p(Array{2.0}, "p");
  Tape tape, other;
  const auto looks = calls([&] {
    for (Tape* t : {&tape, &other}) {
      const Var w = t->leaf(p);
      CHECK(values(grad(cube_sum(w), {w})[0]) == Values{12});
    }
  });
  const Var x = tape.leaf(p);
  backward(sum(x * x + with_hook(x * x, looks)));
  CHECK(grad_of(p) == Values{8});
}
