// A computation that calls back from one of the places where xgrad runs the user's code. In all of them the
// loss is (x p)^2 q with x = 2, p = 3, q = 5: the callback sits between x p and its square.
#pragma once

#include <memory>
#include <stdexcept>

#include "tests/unit/tape/faults.hpp"
#include "xgrad/ops/reduce.hpp"

namespace xgrad::test {

/// What a callback does; false when it has ended the tape, so that nothing more may be computed.
using Action = std::function<bool()>;

// The rows: each gives m itself, with derivative 1, and calls `f` on the way. Errors call it `named`, or
// `outer` when it is nested. `in_pass` says whether `f` is called in a backward pass, `records` whether ops
// on variables from before are recorded there, `keeps` whether these stay when the pass is over.

struct HookRow {
  static constexpr const char *named = "hook", *outer = named;
  static constexpr bool in_pass = true, records = true, keeps = true;
  static Var apply(const Var& m, Action f) {
    return with_hook(m, [f](const Var&) {
      f();
      return Var();
    });
  }
};

struct ReplacingHookRow : HookRow {
  static Var apply(const Var& m, Action f) {
    return with_hook(m, [f](const Var& dy) { return f() ? dy * 1.0 : dy; });
  }
};

struct StructVjpRow {
  static constexpr const char *named = "calling", *outer = named;
  static constexpr bool in_pass = true, records = true, keeps = true;
  static Var apply(const Var& m, Action f) {
    return xgrad::apply(CallingOp{[f](Backward& b) {
                          // With a graph it is part of this recording, which a backward in f would consume.
                          const Var pending = b.create_graph() ? Var() : b.dy() * 2.0;
                          if (!f()) return;
                          b.dx(0) += pending.defined() ? pending * 0.5 : b.dy() * 1.0;
                        }},
                        m);
  }
};

struct CustomFunctionRow {
  static constexpr const char *named = "custom_row", *outer = named;
  static constexpr bool in_pass = false, records = false, keeps = false;
  static Var apply(const Var& m, Action f) {
    return custom_vjp<"custom_row">(
        [f](std::span<const Var> v) { return f() ? v[0] * 1.0 : v[0]; },
        [](std::span<const Var>, const Var&, const Var& dy) { return std::vector<Var>{dy}; })(m);
  }
};

struct CustomVjpRow {
  static constexpr const char *named = "custom_row", *outer = named;
  static constexpr bool in_pass = true, records = true, keeps = true;
  static Var apply(const Var& m, Action f) {
    return custom_vjp<"custom_row">([](std::span<const Var> v) { return v[0] * 1.0; },
                                    [f](std::span<const Var>, const Var&, const Var& dy) {
                                      return std::vector<Var>{f() ? dy * 1.0 : dy};
                                    })(m);
  }
};

struct CheckpointRow {
  static constexpr const char *named = "checkpoint", *outer = named;
  static constexpr bool in_pass = false, records = true, keeps = true;
  static Var apply(const Var& m, Action f) {
    return checkpoint([f, runs = std::make_shared<int>(0)](
                          std::span<const Var> v) { return (*runs)++ > 0 || f() ? v[0] * 1.0 : v[0]; },
                      {m});
  }
};

struct RerunRow {
  static constexpr const char *named = "checkpoint", *outer = named;
  static constexpr bool in_pass = true, records = true, keeps = true;
  static Var apply(const Var& m, Action f) {
    return checkpoint([f, runs = std::make_shared<int>(0)](
                          std::span<const Var> v) { return (*runs)++ == 0 || f() ? v[0] * 1.0 : v[0]; },
                      {m});
  }
};

struct KernelRow {
  static constexpr const char *named = "calling_kernel", *outer = named;
  static constexpr bool in_pass = false, records = true, keeps = true;
  static Var apply(const Var& m, Action f) {
    return xgrad::apply(CallingKernel{[f] { (void)f(); }}, m);
  }
};

/// The kernel of an op that a vjp computes.
struct PassKernelRow {
  static constexpr const char *named = "calling_kernel", *outer = "calling";
  static constexpr bool in_pass = true, records = true, keeps = true;
  static Var apply(const Var& m, Action f) {
    return xgrad::apply(
        CallingOp{[f](Backward& b) { b.dx(0) += xgrad::apply(CallingKernel{[f] { (void)f(); }}, b.dy()); }},
        m);
  }
};

struct HookInCheckpointRow : HookRow {
  static constexpr const char* outer = "checkpoint";
  static constexpr bool keeps = true;
  static Var apply(const Var& m, Action f) {
    return checkpoint([f](std::span<const Var> v) { return HookRow::apply(v[0] * 1.0, f); }, {m});
  }
};

struct HookInCustomVjpRow : HookRow {
  static constexpr const char* outer = "custom_row";
  static Var apply(const Var& m, Action f) {
    return custom_vjp<"custom_row">(
        [](std::span<const Var> v) { return v[0] * 1.0; },
        [f](std::span<const Var> v, const Var&, const Var& dy) {
          const UnaryFunction inner = [&](const Var& z) { return sum(HookRow::apply(z * dy, f)); };
          return std::vector<Var>{value_and_grad(inner, stop_gradient(v[0]), true).grads[0]};
        })(m);
  }
};

template <class Row>
bool names_callback(const std::string& text) {
  return names(text, Row::named) || names(text, Row::outer);
}

/// The tape, what it computes from, and the right numbers.
template <class Row>
struct World {
  std::unique_ptr<Tape> tape = std::make_unique<Tape>();
  Parameter p{Array{3.0}, "first"}, q{Array{5.0}, "second"};
  Var x = tape->input(Array{2.0});
  Action act;
  int calls = 0;

  Var loss() {
    const Var m = x * tape->leaf(p);
    const Var r = Row::apply(m, [this] {
      ++calls;
      return !act || act();
    });
    return sum(r * r * tape->leaf(q));
  }
  /// What calls back, from nothing to the end of grad.
  Var grad_x() {
    const Var y = loss();
    return grad(y, {x})[0];
  }
  void backward_all() {
    p.zero_grad(), q.zero_grad();
    backward(loss());
  }
  /// An action that goes on.
  template <class F>
  void does(F f) {
    act = [f] {
      f();
      return true;
    };
  }

  /// The value, 36 q; in x, 2 x p^2 q and 2 p^2 q; in p and q, 2 p x^2 q and (x p)^2.
  void check_grad() {
    const int before = calls;
    const Var y = loss();
    CHECK(values(y) == Values{180});
    CHECK(values(grad(y, {x})[0]) == Values{180});
    CHECK(values(grad(y, {x})[0]) == Values{180});
    const Var g = grad(y, {x}, recorded())[0];
    CHECK(values(g) == Values{180});
    CHECK(values(grad(sum(g), {x})[0]) == Values{90});
    CHECK(calls > before);
  }
  void check_backward() {
    const int before = calls;
    backward_all();
    CHECK(grad_of(p) == Values{120});
    CHECK(grad_of(q) == Values{36});
    CHECK(tape->statistics().instructions == 0);
    CHECK(calls > before);
    x = tape->input(Array{2.0});
  }
  void check() {
    check_grad();
    check_backward();
    check_backward();
  }
};

}  // namespace xgrad::test
