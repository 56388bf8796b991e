// Versions of parameters (kind C22): only what a loss reaches, and reads, has to be as it was recorded.
#include "tests/unit/tape/faults.hpp"
#include "xgrad/ops/order.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/optim/optimizer.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

struct TwoNetworks {
  Parameter g{Array{3.0}, "g"}, d1{Array{2.0}, "d1"}, d2{Array{5.0}, "d2"};
  Tape tape;
  Var judged(const Var& v) { return sum(v * tape.leaf(d1) * tape.leaf(d2)); }
  void update() {
    d1.mutable_value<double>()(0) += 1;
    d2.mutable_value<double>()(0) += 2;
  }
};

}  // namespace

TEST_CASE("faults: C22: two networks, one updated between the losses") {
  TwoNetworks n;
  for (const bool detached : {true, false}) {
    for (Parameter* p : {&n.g, &n.d1, &n.d2}) p->zero_grad();
    n.d1.assign(Array{2.0}), n.d2.assign(Array{5.0});
    const Var made = n.tape.constant(Array{7.0}) * n.tape.leaf(n.g);  // 21
    backward(n.judged(detached ? stop_gradient(made) : made), {.keep_recording = true});
    CHECK(grad_of(n.d1) == Values{105});  // 21 d2
    CHECK(grad_of(n.d2) == Values{42});   // 21 d1
    n.update();
    n.g.zero_grad();
    backward(n.judged(made));            // through the new values, 3 and 7
    CHECK(grad_of(n.g) == Values{147});  // 7 d1 d2
    CHECK(grad_of(n.d1) == Values{105 + 147});
  }
}

TEST_CASE("faults: C22: the same while the first loss is still named") {
  TwoNetworks n;
  const Var made = n.tape.constant(Array{7.0}) * n.tape.leaf(n.g);
  const Var first = n.judged(made);
  backward(first, {.keep_recording = true});
  n.update();
  n.g.zero_grad();
  const Var second = n.judged(made);
  CHECK(values(grad(second, {n.tape.leaf(n.g)})[0]) == Values{147});
  CHECK_THROWS_AS(backward(first, {.keep_recording = true}), ParameterModified);
  CHECK_FALSE(error_of([&] { return grad(first, {n.tape.leaf(n.g)}); }).empty());
  backward(second);
  CHECK(grad_of(n.g) == Values{147});
}

TEST_CASE("faults: C22: ten rounds of two optimisers on one tape") {
  TwoNetworks n;
  std::vector<Parameter> made_by, judged_by;
  made_by.push_back(n.g.share());
  judged_by.push_back(n.d1.share()), judged_by.push_back(n.d2.share());
  optim::SGD maker(std::move(made_by), {.lr = 0.001}), judge(std::move(judged_by), {.lr = 0.001});
  double g = 3, d1 = 2, d2 = 5;
  for (int i = 0; i < 10; ++i) {
    maker.zero_grad(), judge.zero_grad();
    const Var made = n.tape.constant(Array{7.0}) * n.tape.leaf(n.g);
    backward(n.judged(made), {.keep_recording = true});
    judge.step();
    maker.zero_grad();
    const double step1 = 0.001 * 7 * g * d2, step2 = 0.001 * 7 * g * d1;
    d1 -= step1, d2 -= step2;
    backward(n.judged(made) * -1.0);
    maker.step();
    g += 0.001 * 7 * d1 * d2;
    REQUIRE(difference(value_of(n.g), {g}) < 1e-12);
    REQUIRE(difference(value_of(n.d1), {d1}) < 1e-12);
    REQUIRE(difference(value_of(n.d2), {d2}) < 1e-12);
  }
}

TEST_CASE("faults: C22: a metric beside the loss") {
  Parameter p(Array{2.0}, "p"), q(Array{3.0}, "q");
  Tape tape;
  std::vector<Var> metrics;
  for (int i = 0; i < 4; ++i) {
    p.zero_grad(), q.zero_grad();
    const Var x = tape.input(Array{5.0}), y = x * tape.leaf(p) * tape.leaf(q);
    metrics.push_back(sum(y * y * tape.leaf(p)));
    const double before = value_of(p)[0];
    p.mutable_value<double>()(0) += 1;
    const Var loss = sum(x * tape.leaf(p) * tape.leaf(p));
    CHECK(values(grad(loss, {x})[0]) == Values{(before + 1) * (before + 1)});
    backward(loss, {.keep_recording = i % 2 == 0});
    CHECK(grad_of(p) == Values{10 * (before + 1)});  // 2 x p
    CHECK_FALSE(q.has_grad());
  }
  CHECK(values(metrics[0]) == Values{1800});  // (5 2 3)^2 2
}

TEST_CASE("faults: C22: with a checkpoint, a hook and a custom_vjp that read old values beside the loss") {
  Parameter p(Array{2.0}, "p");
  Tape tape;
  const Var x = tape.input(Array{5.0});
  const TensorFunction f = [&](std::span<const Var> v) { return v[0] * tape.leaf(p); };
  const auto custom = custom_vjp<"beside">([](std::span<const Var> v) { return v[0] * v[1]; },
                                           [](std::span<const Var> v, const Var&, const Var& dy) {
                                             return std::vector<Var>{dy * v[1], dy * v[0]};
                                           });
  const Var beside[] = {checkpoint(f, {x}), with_hook(x * tape.leaf(p), [](const Var& dy) { return dy; }),
                        custom(x, tape.leaf(p))};
  p.assign(Array{3.0});
  CHECK(values(grad(sum(x * tape.leaf(p)), {x})[0]) == Values{3});
  CHECK(values(hvp([&](const Var& v) { return sum(v * v * tape.leaf(p)); }, x, x)) == Values{30});  // 2 p x
  for (const Var& y : beside) CHECK_FALSE(error_of([&] { return grad(sum(y), {x}); }).empty());
}

TEST_CASE("faults: C22: reads that nobody needs") {
  Parameter p(Array{2.0}, "p");
  Tape tape;
  const Var c = tape.constant(Array{7.0});
  const Var linear = tape.leaf(p) * c + tape.leaf(p) * 3.0 - tape.leaf(p);
  const Var loss = sum(linear), largest = argmax(tape.leaf(p) * tape.leaf(p));
  p.assign(Array{100.0});
  backward(loss, {.keep_recording = true});
  CHECK(grad_of(p) == Values{9});  // c + 2
  CHECK(largest.size() == 1);
}

TEST_CASE("faults: C22: a second order through new values, the first through old ones kept") {
  Parameter p(Array{2.0}, "p");
  Tape tape;
  const Var x = tape.input(Array{5.0});
  const Var old = grad(sum(x * x * tape.leaf(p)), {x}, recorded())[0];  // 2 x p
  p.assign(Array{3.0});
  const Var now = grad(sum(x * x * tape.leaf(p)), {x}, recorded())[0];
  CHECK(values(old) == Values{20});
  CHECK(values(now) == Values{30});
  CHECK(values(grad(sum(now), {x})[0]) == Values{6});
  CHECK(values(grad(sum(old * now), {x})[0]) == Values{240});  // 4 30 + 20 6: nothing reads the old value
}
