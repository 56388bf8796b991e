// What callbacks and their closures do to what is under way (kinds C3, C5, C10, C11 and C12): they drop
// handles, own tapes, keep cotangents, end guards, and use marks of other levels.
#include <memory>
#include <optional>
#include <stdexcept>

#include "tests/unit/tape/faults.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/ops/shape.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {}  // namespace

TEST_CASE("faults: C5: a hook drops the handles of what is being differentiated") {
  Tape tape;
  Parameter p(Array{2.0}, "p");
  for (const bool again : {false, true}) {
    Var x = tape.input(Array{2.0}), h, y;
    const auto drops = calls([&] {
      h = Var();
      y = again ? tape.constant(Array{7.0}) * 2.0 : Var();
    });
    h = x * x;
    y = sum(with_hook(h * 3.0, drops));
    CHECK(values(grad(y, {x})[0]) == Values{12});
    h = tape.leaf(p) * tape.leaf(p);
    y = sum(with_hook(h, drops));
    backward(y);
    CHECK(grad_of(p) == Values{4});
    p.zero_grad();
  }
}

TEST_CASE("faults: C5: a hook drops the variable that is asked for, and the parameter") {
  Tape tape;
  std::vector<Var> xs{tape.input(Array{2.0})};
  auto p = std::make_unique<Parameter>(Array{3.0}, "p");
  const Parameter shared = p->share();
  const auto drops = calls([&] { p.reset(); });
  const Var y = sum(with_hook(xs[0] * tape.leaf(*p), drops) * tape.leaf(*p));
  CHECK(values(grad(y, xs)[0]) == Values{9});
  backward(y);
  CHECK(grad_of(shared) == Values{12});  // 2 p x
}

namespace {

/// A recording whose hook is the last owner of the tape, and what drops the hook.
template <class Drop>
void check_ended_by_its_closure(Drop drop) {
  auto tape = std::make_shared<Tape>();
  Parameter p(Array{2.0}, "p");
  const Tape::Mark mark = tape->mark();
  const Var kept = tape->constant(Array{1.0});
  Var y = sum(with_hook(tape->leaf(p) * 3.0, [tape](const Var& dy) { return dy * 2.0; }));
  const std::weak_ptr<Tape> seen = tape;
  Tape& last = *tape;
  tape.reset();
  (void)error_of([&] {
    drop(last, y, mark);
    return 0;
  });
  CHECK(seen.expired());
  CHECK_ERROR(kept.shape(), StaleVar, "variable: its tape has ended");
}

}  // namespace

TEST_CASE("faults: C5: a closure owns its own tape, and backward drops it") {
  check_ended_by_its_closure([](Tape&, Var& y, Tape::Mark) { backward(y); });
}
TEST_CASE("faults: C5: a closure owns its own tape, and clear drops it") {
  check_ended_by_its_closure([](Tape& tape, Var&, Tape::Mark) { tape.clear(); });
}
TEST_CASE("faults: C5: a closure owns its own tape, and rewind drops it") {
  check_ended_by_its_closure([](Tape& tape, Var&, Tape::Mark mark) { tape.rewind(mark); });
}
TEST_CASE("faults: C5: a closure owns its own tape, and the last handle drops it") {
  check_ended_by_its_closure([](Tape&, Var& y, Tape::Mark) { y = Var(); });
}

TEST_CASE("faults: C5: a closure owns another tape, with a recording whose closure owns a third") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  auto other = std::make_shared<Tape>();
  auto third = std::make_shared<Tape>();
  const Var z = third->input(Array{1.0});
  const Var far = with_hook(other->input(Array{1.0}), [third](const Var& dy) { return dy; });
  Var y = with_hook(x * x, [other, far, z](const Var& dy) { return dy * 2.0; });
  const std::weak_ptr<Tape> seen[] = {other, third};
  other.reset(), third.reset();
  CHECK(values(grad(sum(y), {x})[0]) == Values{8});
  y = Var();
  CHECK(seen[0].expired());
}

TEST_CASE(
    "faults: C15: a chain of closures, each of which holds the one before, is dropped without a stack") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  Var y = x * 1.0;
  for (int i = 0; i < 100000; ++i) y = with_hook(y, [y](const Var& dy) { return dy; });
  const Var beside = x * x;  // so that it is not the tail
  y = Var();
  CHECK(tape.statistics().instructions == 1);
  Var z = x * 1.0;
  for (int i = 0; i < 100000; ++i) z = z + 0.0;
  const Var last = x * x;
  z = Var();
  CHECK(tape.statistics().instructions == 2);
  CHECK(values(grad(sum(beside + last), {x})[0]) == Values{8});
}

TEST_CASE("faults: C10: a cotangent that a hook keeps does not change afterwards") {
  for (const bool first : {false, true}) {
    for (const bool by_parameter : {false, true}) {
      Tape tape;
      Parameter p(Array{1, 2}, "p");
      std::vector<Var> kept;
      const auto keeps = [&](const Var& dy) {
        kept.push_back(dy);
        return Var();
      };
      const Var x = by_parameter ? tape.leaf(p) : tape.input(Array{1, 2});
      const Var square = first ? x * x : Var(), h = with_hook(x, keeps);
      const Var y = sum(h + (first ? square : x * x) - exp(x) * 0.0);
      if (by_parameter) {
        backward(y);
        CHECK(grad_of(p) == Values{3, 5});
      } else {
        const Var g = grad(y, {x})[0];
        CHECK(values(g) == Values{3, 5});
        CHECK(values(grad(y, {h})[0]) == Values{1, 1});
      }
      for (const Var& dy : kept) CHECK(values(dy) == Values{1, 1});
    }
  }
}

TEST_CASE("faults: C3: a cotangent lent to an inner pass comes back as it was") {
  Tape tape;
  const Var x = tape.input(Array{1, 2}), zero = tape.input(Array{0, 0});
  const UnaryFunction chain = [](const Var& v) { return tanh(exp(-(v * 2.0)) - 1.0) * 3.0; };
  const auto lends = [&](const Var& dy) {
    CHECK(values(vjp(chain, zero, dy).cotangents[0]) == Values{-6 * values(dy)[0], -6 * values(dy)[1]});
    const Var z = chain(zero);
    CHECK(values(grad(z, {zero}, weighted(dy))[0]) == Values{-6 * values(dy)[0], -6 * values(dy)[1]});
    CHECK(values(jvp(chain, zero, dy).tangent) == Values{-6 * values(dy)[0], -6 * values(dy)[1]});
    return Var();
  };
  CHECK(values(grad(sum(with_hook(x * x, lends) * x), {x})[0]) == Values{3, 12});  // 3 x^2
  const CallingOp op{[&](Backward& b) {
    lends(b.dy());
    const Var before = b.dy();
    b.dx(0) += exp(b.donate_dy() * 0.0) * 2.0;
    CHECK(values(before) == Values{1, 2});
  }};
  CHECK(values(grad(sum(apply(op, x * 1.0) * x), {x})[0]) == Values{3, 4});
}

TEST_CASE("faults: C3: cotangents that are not expanded yet, with passes between") {
  Tape tape;
  const Var x = tape.input(Array{{1, 2}, {3, 4}});
  const auto looks = [](const Var& v) { CHECK(values(value_and_grad(cube_sum, v).grads[0]).size() > 0); };
  const CallingOp repeats{[&](Backward& b) {
    const Var u = b.donate_unexpanded_dy();
    looks(u);
    if (b.create_graph()) {
      b.dx(0) += broadcast_to(u, b.x_shape(0));
    } else {
      b.dx(0).add_broadcast(u);
      looks(u);
    }
  }};
  const CallingOp whole{[&](Backward& b) {
    looks(b.dy());
    b.dx(0) += [&] {
      looks(b.dy());
      return b.dy() * 2.0;
    };
    b.dx(0) += b.dy();
  }};
  const Var y = mean(apply(repeats, apply(whole, x) * x));
  CHECK(values(grad(y, {x})[0]) == Values{1, 2, 3, 4});  // (3 + 1) x / 4
  CHECK(values(grad(y, {x}, recorded())[0]) == Values{1, 2, 3, 4});
}

TEST_CASE("faults: C11: a guard from before ends in a callback") {
  Tape tape;
  const Var x = tape.input(Array{2.0}), c = tape.input(Array{3.0});
  std::optional<Tape::Pause> off;
  Var kept;
  const auto ends = calls([&] {
    off.reset();
    kept = c * c;
  });
  const Var y = sum(with_hook(x * x, ends));
  off.emplace(tape.no_grad());
  CHECK(values(grad(y, {x})[0]) == Values{4});
  CHECK((x * x).requires_grad());
  CHECK(values(grad(sum(kept), {c})[0]) == Values{6});
  const TensorFunction f = [&](std::span<const Var> v) {
    std::optional<Tape::Pause> inner(tape.no_grad()), second(tape.no_grad());
    inner.reset();
    const Var constant = v[0] * v[0];
    second.reset();
    return constant * v[0];
  };
  CHECK(values(grad(sum(checkpoint(f, {x})), {x})[0]) == Values{4});  // the square is a constant
}

TEST_CASE("faults: C12: marks of one level in the callbacks of another") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  Tape::Mark outer, later;
  std::string text;
  const auto inner_hook = calls([&] {
    text = error_of([&] {
      tape.rewind(outer);
      return 0;
    });
    later = tape.mark();
    const Var y = x * x;
    tape.rewind(later);
  });
  const auto outer_hook = calls([&] {
    const Var before = x * x;
    outer = tape.mark();
    const Var z = x * x * x;
    CHECK(values(grad(sum(with_hook(z, inner_hook)), {x})[0]) == Values{12});
    tape.rewind(outer);
    CHECK_THROWS_AS(z + 1.0, StaleVar);
    CHECK(values(grad(sum(before), {x})[0]) == Values{4});
  });
  CHECK(values(grad(sum(with_hook(x * x, outer_hook)), {x})[0]) == Values{4});
  CHECK(names(text, "hook"));
  (void)error_of([&] {
    tape.rewind(later);
    return 0;
  });
  CHECK(values(grad(sum(x * x), {x})[0]) == Values{4});
}

TEST_CASE("faults: C3: an error through five levels on two tapes leaves both as they were") {
  Tape tapes[2];
  const Var x[] = {tapes[0].input(Array{2.0}), tapes[1].input(Array{3.0})};
  const Var beside[] = {x[0] * x[0], x[1] * x[1]};
  const TapeStatistics before[] = {tapes[0].statistics(), tapes[1].statistics()};
  std::function<void(int)> level = [&](int depth) {
    if (depth == 5) throw std::runtime_error("from below");
    const std::size_t k = static_cast<std::size_t>(depth) % 2;
    const auto deeper = calls([&, depth] { level(depth + 1); });
    const Var y = sum(with_hook(x[k] * x[k], deeper) + beside[k]);
    if (depth % 3 == 0) {
      (void)grad(y, {x[k]}, recorded());
    } else {
      (void)value_and_grad([&](const Var& v) { return sum(with_hook(v * x[k], deeper)); }, x[k]);
    }
  };
  CHECK_THROWS_WITH(level(0), "from below");
  CHECK(same_counts(tapes[0].statistics(), before[0]));
  CHECK(same_counts(tapes[1].statistics(), before[1]));
  CHECK(values(grad(sum(beside[0]), {x[0]})[0]) == Values{4});
  CHECK(values(grad(sum(beside[1]), {x[1]})[0]) == Values{6});
}

TEST_CASE("faults: C1: the same variable asked for twice, and results that share memory") {
  Tape tape;
  const Var x = tape.input(Array{1, 2}), w = tape.input(Array{3, 4});
  const auto look = [&](const Var&) {
    std::vector<Var> g = grad(sum(x + w), {x, w, x});
    const Var doubled = std::move(g[0]) * 2.0;  // its memory is lent
    CHECK(values(doubled) == Values{2, 2});
    CHECK(values(g[1]) == Values{1, 1});
    CHECK(values(g[2]) == Values{1, 1});
    return Var();
  };
  const std::vector<Var> g = grad(sum(with_hook(x * w, look) + x), {w, x, w});
  CHECK(values(g[0]) == Values{1, 2});
  CHECK(values(g[1]) == Values{4, 5});
  CHECK(values(g[2]) == Values{1, 2});
}

TEST_CASE("faults: C4: checkpoints, hooks and custom_vjps written into a struct op's vjp") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  const TensorFunction f = [](std::span<const Var> v) { return v[0] * v[0]; };
  const auto custom = custom_vjp<"within">(
      [](std::span<const Var> v) { return v[0] * v[0]; },
      [](std::span<const Var> v, const Var&, const Var& dy) { return std::vector<Var>{dy * v[0] * 2.0}; });
  const CallingOp op{[&](Backward& b) {
    const Var u = b.x(0);
    b.dx(0) += b.dy() * checkpoint(f, {u});
    b.dx(0) += b.dy() * custom(u);
    b.dx(0) += with_hook(b.dy() * u, [](const Var& dy) { return dy; }) * u;
  }};
  const Var y = sum(apply(op, x));
  CHECK(values(grad(y, {x})[0]) == Values{12});  // 3 x^2
  const Var g = grad(y, {x}, recorded())[0];
  CHECK(values(g) == Values{12});
  CHECK(values(grad(sum(g), {x})[0]) == Values{12});  // 6 x
}

TEST_CASE("faults: C5: what fills a constant calls back") {
  Tape tape;
  const Var x = tape.input(Array{2.0});
  const Var filled = tape.constant({DType::float64, Shape{1}}, [&](View v) {
    v.as<double>()[0] = values(grad(cube_sum(x), {x})[0])[0];
    for (int i = 0; i < 2000; ++i) (void)(x * x);
  });
  CHECK(values(filled) == Values{12});
  CHECK_THROWS_AS(
      tape.constant({DType::float64, Shape{1}}, [&](View) { (void)grad(apply(NoDerivative{}, x), {x}); }),
      NotDifferentiable);
  CHECK(values(grad(cube_sum(x), {x})[0]) == Values{12});
  CHECK(tape.statistics().slots == 2);
}
