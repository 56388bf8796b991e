// Rare paths through the core: kernels and infer functions that compute ops in a pass, tapes that their own
// recording owns, and checkpoints that change tapes.
#include <memory>

#include "tests/unit/tape/faults.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

/// x, by an op whose infer calls a function.
struct CallingInfer {
  static constexpr const char* name = "calling_infer";
  static constexpr Reads reads[] = {kReadsNothing};
  std::function<void()> f;
  TensorType infer(Operands x) const {
    f();
    return {x[0].dtype, x[0].shape()};
  }
  void eval(Operands x, View y, Write write) const { CallingOp{}.eval(x, y, write); }
  void vjp(Backward& b) const { b.dx(0) += b.dy(); }
};

}  // namespace

TEST_CASE("review: a kernel that computes ops in a pass changes no cotangent") {
  Tape tape;
  const Var w = tape.constant(Array{100.0, 200.0});
  const Var x = tape.input(Array{1.0, 2.0});
  const Parameter p(Array{3.0, 4.0}, "p");
  const auto through = [&](const Var& v) {
    return apply(CallingOp{[&](Backward& b) {
                   const Var t = apply(CallingKernel{[&] { (void)(w * 2.0); }}, b.dy());
                   b.dx(0) += t;
                 }},
                 v);
  };
  SUBCASE("a second contribution to a cotangent") {
    const Var r = x * 1.0;
    CHECK(values(grad(sum(through(r) + r * 3.0), {x})[0]) == std::vector<double>{4.0, 4.0});
  }
  SUBCASE("a parameter's gradient") {
    backward(sum(through(tape.leaf(p)) * 3.0));
    CHECK(grad_of(p) == std::vector<double>{3.0, 3.0});
  }
}

TEST_CASE("review: a kernel in a pass keeps what it computes") {
  Tape tape;
  const Var w = tape.input(Array{5.0, 6.0});
  const Var x = tape.input(Array{1.0, 2.0});
  Var kept, slope;
  const Var y = apply(CallingOp{[&](Backward& b) {
                        b.dx(0) += apply(CallingKernel{[&] {
                                           kept = w * w;
                                           slope = grad(sum(kept), {w})[0];
                                         }},
                                         b.dy());
                      }},
                      x);
  CHECK(values(grad(sum(y), {x})[0]) == std::vector<double>{1.0, 1.0});
  CHECK(values(kept) == std::vector<double>{25.0, 36.0});
  CHECK(values(slope) == std::vector<double>{10.0, 12.0});
  CHECK(values(grad(sum(kept), {w})[0]) == std::vector<double>{10.0, 12.0});
}

TEST_CASE("review: an infer that computes ops in a pass loses none") {
  Tape tape;
  const Var w = tape.constant(Array{5.0, 6.0});
  const Var x = tape.input(Array{1.0, 2.0});
  const TapeStatistics before = tape.statistics();
  {
    Var kept;
    const Var y = apply(
        CallingOp{[&](Backward& b) { b.dx(0) += apply(CallingInfer{[&] { kept = w * 2.0; }}, b.dy()); }}, x);
    CHECK(values(grad(sum(y), {x})[0]) == std::vector<double>{1.0, 1.0});
    CHECK(values(kept) == std::vector<double>{10.0, 12.0});
  }
  CHECK(same_counts(tape.statistics(), before));
}

TEST_CASE("review: a tape that only its own recording holds ends when that is dropped") {
  auto tape = std::make_shared<Tape>();
  const std::weak_ptr<Tape> watched = tape;
  const Var x = tape->input(Array{1.0, 2.0});
  const Tape::Mark mark = tape->mark();
  Var y = with_hook(x, [tape](const Var&) { return Var(); }) * 2.0;
  Tape& only = *tape;
  tape.reset();
  REQUIRE(!watched.expired());
  SUBCASE("by its last Var") { y = Var(); }
  SUBCASE("by backward's last Var, in a chain") {
    for (int i = 0; i < 10; ++i) y = y * 2.0;
    y = Var();
  }
  SUBCASE("by clear") { only.clear(); }
  SUBCASE("by rewind") { only.rewind(mark); }
  SUBCASE("by backward") {
    const Parameter p(Array{1.0, 2.0}, "p");
    backward(sum(y * only.leaf(p)));
    y = Var();
  }
  CHECK(watched.expired());
  CHECK_ERROR(x.shape(), StaleVar, "variable: its tape has ended");
}

TEST_CASE("review: a checkpointed function that changes tapes when it is called again") {
  Tape tape, other;
  const Var x = tape.input(Array{1.0, 2.0});
  std::vector<Var> more(5000);  // so that the other tape's slots are not among this one's
  for (Var& v : more) v = other.constant(0.0, DType::float64);
  const Var foreign = other.input(Array{2.0, 4.0});
  int calls = 0;
  const TensorFunction f = [&](std::span<const Var> v) { return calls++ == 0 ? v[0] * 2.0 : foreign * 1.0; };
  const Var y = sum(checkpoint(f, std::span(&x, 1)));
  CHECK_ERROR(grad(y, {x}), TapeMismatch, "checkpoint: the function's result belongs to another tape");
}
