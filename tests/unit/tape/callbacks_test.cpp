// What callbacks may do: each of the places where xgrad runs the user's code, and each thing done there.
#include "tests/unit/tape/callbacks.hpp"

#include <optional>

using namespace xgrad;
using namespace xgrad::test;

namespace {

template <class Row>
void computes() {
  World<Row> w;
  w.does([&] {
    const Var y = w.x * 3.0 + w.tape->constant(Array{1.0});
    CHECK(values(y) == Values{7});
    CHECK(values(exp(w.tape->input(Array{0.0})) * y) == Values{7});
    CHECK(greater(y, w.x).template array<bool>()(0));
  });
  w.check();
}

template <class Row>
void keeps_variables() {
  World<Row> w;
  std::vector<Var> kept;
  w.does([&] {
    kept.push_back(w.x * w.x);
    kept.push_back(w.tape->constant(Array{1.5}) * 2.0);
    kept.push_back(w.x * 2.0);
  });
  CHECK(values(w.grad_x()) == Values{180});
  REQUIRE(kept.size() >= 3);
  CHECK(values(kept[0]) == Values{4});
  CHECK(values(kept[1] + 1.0) == Values{4});
  CHECK(values(kept[2]) == Values{4});
  if constexpr (Row::keeps) {
    CHECK(values(kept[1] + kept[2]) == Values{7});
    CHECK(values(grad(sum(kept[0] * kept[2]), {w.x})[0]) == Values{24});  // 2 x^3: 6 x^2
  }
  w.check();
  for (std::size_t i = 0; i < kept.size(); i += 3) CHECK(values(kept[i]) == Values{4});
  kept.clear();
  w.x = Var();
  w.act = {};
  w.tape->clear();
  CHECK(w.tape->statistics().slots == 0);
}

template <class Row>
void grad_inside() {
  World<Row> w;
  w.does([&] {
    const Var z = w.tape->input(Array{2.0});
    if constexpr (std::is_same_v<Row, CustomFunctionRow>) {  // which runs under no_grad
      CHECK_THROWS_AS(grad(cube_sum(z), {z}), NotDifferentiable);
    } else {
      CHECK(values(grad(cube_sum(z), {z})[0]) == Values{12});
      const Var g = grad(cube_sum(z), {z}, recorded())[0];
      CHECK(values(grad(sum(g), {z})[0]) == Values{12});
    }
    if constexpr (Row::records) CHECK(values(grad(cube_sum(w.x), {w.x})[0]) == Values{12});
  });
  w.check();
}

template <class Row>
void functional_inside() {
  World<Row> w;
  w.does([&] {
    const Var v = w.tape->constant(Array{10.0});
    for (const bool create_graph : {false, true}) {
      const ValueAndGrad both = value_and_grad(cube_sum, w.x, create_graph);
      CHECK(values(both.value) == Values{8});
      CHECK(values(both.grads[0]) == Values{12});
      CHECK(values(vjp(cube, w.x, v, create_graph).cotangents[0]) == Values{120});
      CHECK(values(jvp(cube, w.x, v, create_graph).tangent) == Values{120});
      CHECK(values(hvp(cube_sum, w.x, v, create_graph)) == Values{120});
      CHECK(values(jacobian(cube, w.x, create_graph)) == Values{12});
      CHECK(values(hessian(cube_sum, w.x, create_graph)) == Values{12});
    }
  });
  w.check();
}

template <class Row>
void backward_inside() {
  World<Row> w;
  Parameter own(Array{7.0}, "own");
  w.does([&] {
    own.zero_grad();
    const Var z = w.tape->leaf(own);
    if constexpr (std::is_same_v<Row, CustomFunctionRow>) {
      CHECK_THROWS_AS(backward(sum(z * z)), NotDifferentiable);
    } else {
      backward(sum(z * z));
      CHECK(grad_of(own) == Values{14});
      backward(sum(w.tape->leaf(own) * 3.0), {.keep_recording = true});
      CHECK(grad_of(own) == Values{17});
    }
  });
  w.check();
}

/// A backward inside adds to the gradient of a parameter that the outer one is adding to.
template <class Row>
void backward_into_the_same() {
  World<Row> w;
  int added = 0;
  w.does([&] {
    try {
      const Var z = w.tape->leaf(w.p);
      backward(sum(z * z));  // 2 p
      ++added;
    } catch (const NotDifferentiable&) {  // where z counts as a constant
    }
  });
  w.backward_all();
  CHECK(grad_of(w.p) == Values{120 + 6.0 * added});
  CHECK(grad_of(w.q) == Values{36});
  if constexpr (Row::records) CHECK(added == w.calls);
}

template <class Row>
void gradcheck_inside() {
  World<Row> w;
  w.does([&] {
    const TensorFunction f = [](std::span<const Var> v) { return cube(v[0]); };
    CHECK(gradcheck(f, {Array{1, 2}}).failures.empty());
    CHECK(gradgradcheck(f, {Array{1, 2}}).failures.empty());
  });
  w.check();
}

template <class Row>
void derivatives_on_another_tape() {
  World<Row> w;
  Tape other;
  w.does([&] {
    const Var z = other.input(Array{2.0});
    CHECK(values(grad(cube_sum(z), {z})[0]) == Values{12});
    CHECK(values(value_and_grad(cube_sum, z).grads[0]) == Values{12});
    CHECK(values(hvp(cube_sum, z, other.constant(Array{10.0}))) == Values{120});
    CHECK(values(hessian(cube_sum, z)) == Values{12});
    const auto off = other.no_grad();
    CHECK(values(jvp(cube, z, other.constant(Array{10.0})).tangent) == Values{120});
  });
  w.check();
  CHECK(other.statistics().instructions == 0);
}

template <class Row>
void backward_on_another_tape() {
  World<Row> w;
  w.does([&] {
    Tape other;
    const Var z = other.leaf(w.p);
    backward(sum(z * z));  // 2 p
  });
  w.backward_all();
  CHECK(w.calls > 0);
  CHECK(grad_of(w.p) == Values{120 + 6.0 * w.calls});
  CHECK(grad_of(w.q) == Values{36});
}

template <class Row>
void rewinds_inside() {
  World<Row> w;
  w.does([&] {
    const Tape::Mark mark = w.tape->mark();
    const Var y = w.x * w.x, z = exp(y);
    const bool recorded = y.requires_grad();
    w.tape->rewind(mark);
    CHECK(values(y) == Values{4});
    if (recorded) CHECK_THROWS_AS(z + y, StaleVar);
    const Var again = w.x * w.x;
    w.tape->rewind(w.tape->mark());
    CHECK(values(again + again) == Values{8});
  });
  w.check();
}

template <class Row>
void clears() {
  World<Row> w;
  std::string text;
  w.does([&] { text = error_of([&] { w.tape->clear(); }); });
  w.check();
  CAPTURE(text);
  CHECK(names(text, "clear"));
  CHECK(names_callback<Row>(text));
}

template <class Row>
void rewinds_to_an_outer_mark() {
  World<Row> w;
  std::string text;
  Tape::Mark mark = w.tape->mark();
  w.does([&] { text = error_of([&] { w.tape->rewind(mark); }); });
  w.check_grad();
  CAPTURE(text);
  CHECK(names(text, "rewind"));
  CHECK(names_callback<Row>(text));
  text.clear();
  w.tape->clear();
  w.x = w.tape->input(Array{2.0});
  mark = w.tape->mark();
  w.check_backward();
  CHECK(names_callback<Row>(text));
}

template <class Row>
void clears_and_does_not_catch() {
  World<Row> w;
  w.does([&] { w.tape->clear(); });
  CHECK(names_callback<Row>(error_of([&] { return w.grad_x(); })));
  w.act = {};
  w.check();
}

/// Ends the tape, keeps a handle of what was there, and says what a handle says.
template <class Row>
void end_tape(World<Row>& w, std::string& said) {
  w.act = [&] {
    w.tape.reset();
    said = error_of([&] { return w.x.shape(); });
    CHECK_THROWS_AS(w.x + 1.0, StaleVar);
    CHECK_THROWS_AS(w.x.view(), StaleVar);
    return false;
  };
}

template <class Row>
void ends_the_tape_in_grad() {
  World<Row> w;
  std::string said;
  end_tape(w, said);
  const std::string text = error_of([&] { return w.grad_x(); });
  CHECK(said == "variable: its tape has ended");
  CAPTURE(text);
  CHECK(names_callback<Row>(text));
  CHECK(w.calls == 1);
}

template <class Row>
void ends_the_tape_in_backward() {
  World<Row> w;
  std::string said;
  end_tape(w, said);
  const std::string text = error_of([&] {
    w.backward_all();
    return 0;
  });
  CHECK(said == "variable: its tape has ended");
  CAPTURE(text);
  CHECK(names_callback<Row>(text));
  w.tape = std::make_unique<Tape>();  // the parameters are as good as before
  w.x = w.tape->input(Array{2.0});
  w.act = {};
  w.check();
}

template <class Row>
void ends_the_tape_in_hvp() {
  World<Row> w;
  std::string said;
  end_tape(w, said);
  const std::string text = error_of([&] {
    const UnaryFunction f = [&](const Var& x) { return w.loss() * x; };
    return hvp(f, w.x, w.tape->constant(Array{1.0}));
  });
  CHECK(said == "variable: its tape has ended");
  CHECK(names_callback<Row>(text));
}

template <class Row>
void packs_in_grad() {
  World<Row> w;
  w.does([&] {
    Parameter both[] = {w.q.share(), w.p.share()};
    pack(both);
  });
  w.check_grad();
}

template <class Row>
void packs_in_backward() {
  World<Row> w;
  std::string text;
  w.does([&] {
    Parameter both[] = {w.p.share(), w.q.share()};
    text = error_of([&] {
      pack(both);
      return 0;
    });
  });
  w.check_backward();
  CAPTURE(text);
  CHECK(names(text, "pack") == Row::in_pass);
  w.act = {};
  Parameter both[] = {w.p.share(), w.q.share()};
  pack(both);
  w.check();
}

template <class Row>
void writes_what_is_read() {
  World<Row> w;
  w.does([&] { w.p.assign(Array{100.0}); });
  const Var y = w.loss();
  std::string text;
  try {
    (void)grad(y, {w.x});
  } catch (const ParameterModified& error) {
    text = error.what();
  }
  CAPTURE(text);
  CHECK(names(text, "first"));
  if constexpr (Row::in_pass) CHECK(names_callback<Row>(text));
  w.act = {};
  w.p.assign(Array{3.0});
  w.check();
}

template <class Row>
void writes_what_is_not_read() {
  World<Row> w;
  w.does([&] { w.q.assign(Array{7.0}); });
  const double q = Row::in_pass ? 5 : 7;  // what the square is multiplied with, later
  CHECK(values(w.grad_x()) == Values{36 * q});
  w.q.assign(Array{5.0});
  w.backward_all();
  CHECK(grad_of(w.p) == Values{24 * q});
  CHECK(grad_of(w.q) == Values{36});
  CHECK(value_of(w.q) == Values{7});
  w.act = {};
  w.q.assign(Array{5.0});
  w.x = w.tape->input(Array{2.0});
  w.check();
}

template <class Row>
void throws_in_grad() {
  World<Row> w;
  w.does([] { throw std::runtime_error("from the callback"); });
  if constexpr (Row::in_pass) {
    const Var y = w.loss();
    const TapeStatistics before = w.tape->statistics();
    CHECK_THROWS_WITH(grad(y, {w.x}), "from the callback");
    CHECK_THROWS_WITH(grad(y, {w.x}, recorded()), "from the callback");
    CHECK(same_counts(w.tape->statistics(), before));
    w.act = {};
    CHECK(values(grad(y, {w.x})[0]) == Values{180});
  } else {
    const TapeStatistics before = w.tape->statistics();
    CHECK_THROWS_WITH(w.loss(), "from the callback");
    CHECK(w.tape->statistics().instructions == before.instructions);
    CHECK(w.tape->statistics().bytes_in_use == before.bytes_in_use);
    w.act = {};
  }
  w.check();
}

template <class Row>
void throws_in_backward() {
  World<Row> w;
  w.does([] { throw 7; });
  CHECK_THROWS_AS(w.backward_all(), int);
  CHECK_FALSE(w.p.has_grad());
  CHECK_FALSE(w.q.has_grad());
  if constexpr (Row::in_pass) CHECK(w.tape->statistics().instructions == 0);
  w.act = {};
  w.tape->clear();
  w.x = w.tape->input(Array{2.0});
  w.check();
}

}  // namespace

#define CALLBACK_ROW(Row, name)                                                                              \
  TEST_CASE("callbacks: " name ": computes ops") { computes<Row>(); }                                        \
  TEST_CASE("callbacks: " name ": records and keeps") { keeps_variables<Row>(); }                            \
  TEST_CASE("callbacks: " name ": grad") { grad_inside<Row>(); }                                             \
  TEST_CASE("callbacks: " name ": value_and_grad, hvp and the like") { functional_inside<Row>(); }           \
  TEST_CASE("callbacks: " name ": backward") { backward_inside<Row>(); }                                     \
  TEST_CASE("callbacks: " name ": backward into the same parameter") { backward_into_the_same<Row>(); }      \
  TEST_CASE("callbacks: " name ": gradcheck") { gradcheck_inside<Row>(); }                                   \
  TEST_CASE("callbacks: " name ": derivatives on another tape") { derivatives_on_another_tape<Row>(); }      \
  TEST_CASE("callbacks: " name ": backward on another tape") { backward_on_another_tape<Row>(); }            \
  TEST_CASE("callbacks: " name ": rewinds to a mark made inside") { rewinds_inside<Row>(); }                 \
  TEST_CASE("callbacks: " name ": clears") { clears<Row>(); }                                                \
  TEST_CASE("callbacks: " name ": clears and does not catch") { clears_and_does_not_catch<Row>(); }          \
  TEST_CASE("callbacks: " name ": rewinds to an outer mark") { rewinds_to_an_outer_mark<Row>(); }            \
  TEST_CASE("callbacks: " name ": ends the tape in grad") { ends_the_tape_in_grad<Row>(); }                  \
  TEST_CASE("callbacks: " name ": ends the tape in backward") { ends_the_tape_in_backward<Row>(); }          \
  TEST_CASE("callbacks: " name ": ends the tape in hvp") { ends_the_tape_in_hvp<Row>(); }                    \
  TEST_CASE("callbacks: " name ": packs in grad") { packs_in_grad<Row>(); }                                  \
  TEST_CASE("callbacks: " name ": packs in backward") { packs_in_backward<Row>(); }                          \
  TEST_CASE("callbacks: " name ": writes a parameter that is still read") { writes_what_is_read<Row>(); }    \
  TEST_CASE("callbacks: " name ": writes one that is not read any more") { writes_what_is_not_read<Row>(); } \
  TEST_CASE("callbacks: " name ": throws in grad") { throws_in_grad<Row>(); }                                \
  TEST_CASE("callbacks: " name ": throws in backward") { throws_in_backward<Row>(); }

CALLBACK_ROW(HookRow, "hook")
CALLBACK_ROW(ReplacingHookRow, "replacing hook")
CALLBACK_ROW(StructVjpRow, "struct vjp")
CALLBACK_ROW(CustomFunctionRow, "custom function")
CALLBACK_ROW(CustomVjpRow, "custom vjp")
CALLBACK_ROW(CheckpointRow, "checkpoint")
CALLBACK_ROW(RerunRow, "checkpoint run again")
CALLBACK_ROW(KernelRow, "kernel")
CALLBACK_ROW(PassKernelRow, "kernel in a vjp")
CALLBACK_ROW(HookInCheckpointRow, "hook in a checkpoint")
CALLBACK_ROW(HookInCustomVjpRow, "hook in a custom vjp")
