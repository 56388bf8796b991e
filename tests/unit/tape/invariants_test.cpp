// The recounts of Values, Recording and Pass notice each invariant that is broken.
#include <stdexcept>

#include "lib/tape/core.hpp"
#include "tests/unit/tape/faults.hpp"
#include "xgrad/ops/shape.hpp"

namespace xgrad::detail {

/// Lets the tests break what is private.
struct Tamper {
  static SlotId& free_list(Values& v) { return v.free_; }
  static std::size_t& live(Values& v) { return v.live_; }
  static BufferPool& pool(Values& v) { return v.pool_; }
  static std::size_t& count(Recording& r) { return r.count_; }
  static std::size_t& leaf_count(Recording& r) { return r.leaf_count_; }
  static Leaf& leaf(Recording& r, std::size_t i) { return *r.leaves_[i]; }
  static LeafTable& table(Recording& r) { return r.leaf_table_; }
  static Cotangent& entry(Pass& p, SlotId i) { return p.entry(i); }
  static Instruction*& pending(Pass& p) { return p.pending_; }
  static PassMemory& memory(Pass& p) { return *p.memory_; }
};

}  // namespace xgrad::detail

using namespace xgrad;
using namespace xgrad::test;
using namespace xgrad::detail;

namespace {

/// Sets a variable for as long as it lives, and its value from before afterwards.
template <class T>
class Broken {
 public:
  Broken(T& variable, std::type_identity_t<T> value)
      : variable_(variable), before_(std::exchange(variable, value)) {}
  ~Broken() { variable_ = before_; }
  Broken(const Broken&) = delete;
  Broken& operator=(const Broken&) = delete;

 private:
  T& variable_;
  T before_;
};

/// What a recount says; empty when all is well.
template <class Counted>
std::string said(const Counted& counted) {
  try {
    counted.check();
  } catch (const std::logic_error& error) {
    return error.what();
  }
  return {};
}

/// y = sum(x p) + sum(x q): an input, two parameters, four listed instructions and a free slot.
struct Small {
  Tape tape;
  Parameter p{Array{3.0, 4.0}, "p"}, q{Array{5.0, 6.0}, "q"};
  Var x = tape.input(Array{1.0, 2.0});
  Var leaf = tape.leaf(p);
  Var product = x * leaf;
  Var y = sum(product) + sum(x * tape.leaf(q));
  TapeCore& core = *Access::core(x);
  detail::Values& values = core.values;
  Recording& recording = core.recording;

  Small() {
    { const Var dropped = tape.constant(1.0, DType::float64); }
    REQUIRE(said(values) == "");
    REQUIRE(said(recording) == "");
    REQUIRE(recording.count() == 5);
    REQUIRE(Tamper::free_list(values) != 0);
  }
  ~Small() {
    CHECK(said(values) == "");
    CHECK(said(recording) == "");
  }
  Slot& slot(const Var& v) { return values[Access::index(v)]; }
  Slot& free_slot() { return values[Tamper::free_list(values)]; }
};

/// Calls `f` with a pass and the Backward of a vjp of its: dy of which is not in the pass, and whose operand
/// is `m`. The slot of `r`, an operand of later instructions and of earlier ones, has a cotangent.
void in_pass(bool create_graph, const std::function<void(Pass&, Backward&, SlotId r, Instruction&)>& f) {
  Tape tape;
  const Var x = tape.input(Array{1.0, 2.0});
  const Var r = x * 2.0;
  int calls = 0;
  const Var m = apply(CallingOp{[&](Backward& b) {
                        Pass& pass = Access::pass(b);
                        const SlotId i = Access::index(r);
                        REQUIRE(said(pass) == "");
                        REQUIRE(Tamper::entry(pass, i).state == Cotangent::State::full);
                        REQUIRE(Tamper::memory(pass).segments.size() == 1);
                        ++calls;
                        f(pass, b, i, *Tamper::memory(pass).segments[0].next);
                        CHECK(said(pass) == "");
                        b.dx(0) += b.dy();
                      }},
                      r);
  const Var y = sum(m + r * r);  // the square is differentiated first
  const Var g = grad(y, {x}, recorded(create_graph))[0];
  CHECK(calls == 1);
  CHECK(test::values(g) == std::vector<double>{10.0, 18.0});
}

}  // namespace

// Values ------------------------------------------------------------------------------------------------

TEST_CASE("invariants: a live slot is held") {
  Small s;
  const Var c = s.tape.constant(1.0, DType::float64);
  const Broken handles(s.slot(c).handles, 0);
  CHECK(said(s.values) == "values: a live slot is not held");
}

TEST_CASE("invariants: a free slot is not held") {
  Small s;
  for (std::uint32_t Slot::*count : {&Slot::handles, &Slot::uses, &Slot::readers}) {
    const Broken held(s.free_slot().*count, 1);
    CHECK(said(s.values) == "values: a free slot is held");
  }
}

TEST_CASE("invariants: a free slot has no memory") {
  Small s;
  const Broken data(s.free_slot().data, s.slot(s.x).data);
  CHECK(said(s.values) == "values: a free slot has memory");
}

TEST_CASE("invariants: a slot without handles and readers has no memory") {
  Small s;
  // sum does not read its operand: only the handle keeps the product's memory.
  REQUIRE(s.slot(s.product).readers == 0);
  const Broken handles(s.slot(s.product).handles, 0);
  CHECK(said(s.values) == "values: a slot that nobody reads has memory");
}

TEST_CASE("invariants: data is the buffer's payload") {
  Small s;
  {
    const Broken data(s.slot(s.x).data, s.slot(s.y).data);
    CHECK(said(s.values) == "values: data is not its buffer's payload");
  }
  const Broken data(s.slot(s.x).data, nullptr);
  CHECK(said(s.values) == "values: data is not its buffer's payload");
}

TEST_CASE("invariants: only a parameter's slot has data without a buffer") {
  Small s;
  const Broken buffer(s.slot(s.x).buffer, nullptr);
  CHECK(said(s.values) == "values: data without a buffer");
}

TEST_CASE("invariants: a buffer has as many owners as slots share it") {
  Small s;
  const Var same = reshape(s.x, {2, 1});
  Buffer& buffer = *s.slot(s.x).buffer;
  REQUIRE(buffer.owners == 2);
  for (const std::uint32_t owners : {1u, 3u}) {
    const Broken count(buffer.owners, owners);
    CHECK(said(s.values) == "values: a buffer's owners are not the slots that share it");
  }
}

TEST_CASE("invariants: the free list holds free slots only") {
  Small s;
  const Broken first(Tamper::free_list(s.values), Access::index(s.x));
  CHECK(said(s.values) == "values: a live slot is on the free list");
}

TEST_CASE("invariants: the free list holds all free slots, each once") {
  Small s;
  {
    const Broken first(Tamper::free_list(s.values), 0);
    CHECK(said(s.values) == "values: the free list does not hold the free slots");
  }
  const Broken next(s.free_slot().id, Tamper::free_list(s.values));  // a ring
  CHECK(said(s.values) == "values: the free list does not hold the free slots");
}

TEST_CASE("invariants: live() counts the slots that are not free") {
  Small s;
  const Broken live(Tamper::live(s.values), s.values.live() + 1);
  CHECK(said(s.values) == "values: the count of live slots is wrong");
}

TEST_CASE("invariants: the pool's bytes in use are the slots'") {
  Small s;
  Buffer* const lost = Tamper::pool(s.values).acquire(8);
  CHECK(said(s.values) == "values: the pool's bytes in use are not those of the slots");
  Tamper::pool(s.values).release(lost);
}

// Recording ---------------------------------------------------------------------------------------------

TEST_CASE("invariants: the list's links agree") {
  Small s;
  Instruction& last = *s.recording.last();
  {
    const Broken previous(last.previous, nullptr);
    CHECK(said(s.recording) == "recording: the list's links do not agree");
  }
  const Broken listed(last.listed, false);
  CHECK(said(s.recording) == "recording: the list's links do not agree");
}

TEST_CASE("invariants: the list has count() members") {
  Small s;
  {
    const Broken count(Tamper::count(s.recording), s.recording.count() - 1);
    CHECK(said(s.recording) == "recording: the list is longer than its count");
  }
  const Broken count(Tamper::count(s.recording), s.recording.count() + 1);
  CHECK(said(s.recording) == "recording: the count of instructions is wrong");
}

TEST_CASE("invariants: a listed result is an op's") {
  Small s;
  for (const Origin origin : {Origin::free, Origin::input}) {
    const Broken wrong(s.slot(s.y).origin, origin);
    CHECK(said(s.recording) == "recording: a listed result is free or no op's");
  }
}

TEST_CASE("invariants: a listed result depends on an input or a parameter") {
  Small s;
  for (const std::uint8_t depends : {std::uint8_t{kOnNothing}, std::uint8_t{kFlatly}}) {
    const Broken wrong(s.slot(s.y).depends, depends);
    CHECK(said(s.recording) == "recording: a listed result depends on nothing");
  }
}

TEST_CASE("invariants: what a listed derivative reads has its elements") {
  Small s;
  REQUIRE(s.slot(s.x).readers > 0);
  const Broken data(s.slot(s.x).data, nullptr);
  CHECK(said(s.recording) == "recording: what a derivative reads has no elements");
}

TEST_CASE("invariants: ids of results grow along the list") {
  Small s;
  const Instruction& last = *s.recording.last();
  const Broken id(s.values[last.y].id, s.recording.id(*last.previous));
  CHECK(said(s.recording) == "recording: results are out of order");
}

TEST_CASE("invariants: an operand is older than its result") {
  Small s;
  Instruction& first = *s.recording.first();
  REQUIRE(first.operands[0] == Access::index(s.x));
  const Broken operand(first.operands[0], s.recording.last()->y);
  CHECK(said(s.recording) == "recording: an operand is younger than its result");
}

TEST_CASE("invariants: an operand is not free") {
  Small s;
  const Broken operand(s.recording.first()->operands[0], Tamper::free_list(s.values));
  CHECK(said(s.recording) == "recording: an operand is free");
}

TEST_CASE("invariants: uses, readers and producers are those of the list") {
  Small s;
  for (const std::uint32_t change : {~0u, 1u}) {
    {
      const Broken uses(s.slot(s.x).uses, s.slot(s.x).uses + change);
      CHECK(said(s.recording) == "recording: a slot's uses are not those of the list");
    }
    const Broken readers(s.slot(s.x).readers, s.slot(s.x).readers + change);
    CHECK(said(s.recording) == "recording: a slot's readers are not those of the list");
  }
  for (Instruction* producer : {static_cast<Instruction*>(nullptr), s.recording.first()}) {
    const Broken wrong(s.slot(s.y).producer, producer);
    CHECK(said(s.recording) == "recording: a slot's producer is not the one in the list");
  }
}

TEST_CASE("invariants: each listed result is reachable") {
  Small s;
  const Broken handles(s.slot(s.y).handles, 0);
  CHECK(said(s.recording) == "recording: a result is unreachable");
}

TEST_CASE("invariants: each parameter's slot has a leaf of its own") {
  Small s;
  {
    const Broken leaf(s.slot(s.leaf).leaf, nullptr);
    CHECK(said(s.recording) == "recording: a parameter's slot has no leaf of its own");
  }
  const Broken slot(Tamper::leaf(s.recording, 0).slot, Access::index(s.x));
  CHECK(said(s.recording) == "recording: a parameter's slot has no leaf of its own");
}

TEST_CASE("invariants: each leaf has a slot") {
  Small s;
  const Broken count(Tamper::leaf_count(s.recording), 1);
  CHECK(said(s.recording) == "recording: a leaf has no slot");
}

TEST_CASE("invariants: each leaf is in its place") {
  Small s;
  Leaf& leaf = Tamper::leaf(s.recording, 0);
  {
    const Broken index(leaf.index, 1);
    CHECK(said(s.recording) == "recording: a leaf is out of its place");
  }
  {
    const Broken parameter(leaf.parameter, nullptr);
    CHECK(said(s.recording) == "recording: a leaf is out of its place");
  }
  const Broken memory(leaf.memory, nullptr);
  CHECK(said(s.recording) == "recording: a leaf is out of its place");
}

TEST_CASE("invariants: the table maps a parameter to its newest leaf") {
  Small s;
  s.p.assign(Array{7.0, 8.0});
  const Var newest = s.tape.leaf(s.p);
  REQUIRE(said(s.recording) == "");
  Tamper::table(s.recording).set(&Tamper::leaf(s.recording, 0));
  CHECK(said(s.recording) == "recording: the table maps a parameter to an older leaf");
  Tamper::table(s.recording).set(s.slot(newest).leaf);
}

TEST_CASE("invariants: the table holds leaves only") {
  Small s;
  const Parameter other(Array{1.0}, "other");
  Leaf stray;
  stray.parameter = Access::shared_state(other);
  Tamper::table(s.recording).set(&stray);
  CHECK(said(s.recording) == "recording: the table holds what is no leaf");
  Tamper::table(s.recording).erase(&stray);
}

// Pass --------------------------------------------------------------------------------------------------

TEST_CASE("invariants: a pass holds the slots with a cotangent, and the cotangents") {
  in_pass(false, [](Pass& pass, Backward&, SlotId r, Instruction&) {
    detail::Values& values = pass.core().values;
    {
      const Broken handles(values[r].handles, 0);
      CHECK(said(pass) == "pass: the pass does not hold a slot that it names");
    }
    const Broken handles(values[Tamper::entry(pass, r).value].handles, 0);
    CHECK(said(pass) == "pass: the pass does not hold a slot that it names");
  });
}

TEST_CASE("invariants: a pass holds the result that a segment goes on from") {
  in_pass(false, [](Pass& pass, Backward&, SlotId, Instruction& next) {
    const Broken handles(pass.core().values[next.y].handles, 0);
    CHECK(said(pass) == "pass: the pass does not hold a slot that it names");
  });
}

TEST_CASE("invariants: a pass holds the pending call's operands and result") {
  in_pass(false, [](Pass& pass, Backward& b, SlotId, Instruction&) {
    const Var c = b.dy().tape().constant(Array{1.0, 1.0}), pending = c * b.dy();
    REQUIRE(Tamper::pending(pass) != nullptr);
    REQUIRE(said(pass) == "");
    for (const Var& v : {c, pending}) {
      const Broken handles(pass.core().values[Access::index(v)].handles, 0);
      CHECK(said(pass) == "pass: the pass does not hold a slot that it names");
    }
  });
}

TEST_CASE("invariants: a cotangent has its elements") {
  in_pass(false, [](Pass& pass, Backward&, SlotId r, Instruction&) {
    const Broken data(pass.core().values[Tamper::entry(pass, r).value].data, nullptr);
    CHECK(said(pass) == "pass: a cotangent has no elements");
  });
}

TEST_CASE("invariants: a cotangent has its slot's dtype") {
  in_pass(false, [](Pass& pass, Backward&, SlotId r, Instruction&) {
    const Broken dtype(pass.core().values[r].dtype, DType::float32);
    CHECK(said(pass) == "pass: a cotangent has another dtype than its slot");
  });
}

TEST_CASE("invariants: a cotangent fits its slot's shape") {
  in_pass(false, [](Pass& pass, Backward&, SlotId r, Instruction&) {
    Slot& slot = pass.core().values[r];
    {
      const Broken shape(slot.shape, Shape{3, 2});
      CHECK(said(pass) == "pass: a cotangent does not fit its slot's shape");
      const Broken state(Tamper::entry(pass, r).state, Cotangent::State::unexpanded);
      CHECK(said(pass) == "");
    }
    const Broken state(Tamper::entry(pass, r).state, Cotangent::State::unexpanded);
    const Broken shape(slot.shape, Shape{3});
    CHECK(said(pass) == "pass: a cotangent does not fit its slot's shape");
  });
}

TEST_CASE("invariants: the cotangents of targets and leaves are not unexpanded") {
  in_pass(false, [](Pass& pass, Backward&, SlotId r, Instruction&) {
    const Broken state(Tamper::entry(pass, r).state, Cotangent::State::unexpanded);
    REQUIRE(said(pass) == "");
    {
      const Broken requested(Tamper::entry(pass, r).requested, true);
      CHECK(said(pass) == "pass: the cotangent of a target or a leaf is unexpanded");
    }
    const Broken origin(pass.core().values[r].origin, Origin::parameter);
    CHECK(said(pass) == "pass: the cotangent of a target or a leaf is unexpanded");
  });
}

TEST_CASE("invariants: an empty cotangent names no value") {
  in_pass(false, [](Pass& pass, Backward&, SlotId r, Instruction&) {
    {
      const Broken state(Tamper::entry(pass, r).state, Cotangent::State::empty);
      CHECK(said(pass) == "pass: an empty cotangent names a value");
    }
    const Broken value(Tamper::entry(pass, r).value, 0);
    CHECK(said(pass) == "pass: an empty cotangent names a value");
  });
}

TEST_CASE("invariants: without a graph cotangents depend on nothing") {
  for (const bool create_graph : {false, true}) {
    in_pass(create_graph, [&](Pass& pass, Backward&, SlotId r, Instruction&) {
      const Broken depends(pass.core().values[Tamper::entry(pass, r).value].depends, kOnInput);
      CHECK(said(pass) == (create_graph ? "" : "pass: a cotangent without a graph depends on something"));
    });
  }
}

TEST_CASE("invariants: a segment goes on from a listed instruction") {
  in_pass(false, [](Pass& pass, Backward&, SlotId, Instruction& next) {
    const Broken listed(next.listed, false);
    CHECK(said(pass) == "pass: a segment goes on from what is not listed");
  });
}

TEST_CASE("invariants: the pending call is not listed and its result has no elements") {
  in_pass(false, [](Pass& pass, Backward& b, SlotId, Instruction&) {
    const Var pending = b.dy() * 2.0;
    REQUIRE(Tamper::pending(pass) != nullptr);
    {
      const Broken listed(Tamper::pending(pass)->listed, true);
      CHECK(said(pass) == "pass: the pending call is listed");
    }
    Slot& result = pass.core().values[Access::index(pending)];
    const Broken data(result.data, pass.core().values[Access::index(b.dy())].data);
    CHECK(said(pass) == "pass: the pending call's result has elements already");
  });
}

TEST_CASE("invariants: a tape recounts all of them, the pass that is under way included") {
  in_pass(false, [](Pass& pass, Backward&, SlotId r, Instruction&) {
    CHECK(said(pass.core()) == "");
    {
      const Broken state(Tamper::entry(pass, r).state, Cotangent::State::empty);
      CHECK(said(pass.core()) == "pass: an empty cotangent names a value");
    }
    {
      const Broken live(Tamper::live(pass.core().values), 0);
      CHECK(said(pass.core()) == "values: the count of live slots is wrong");
    }
    const Broken count(Tamper::count(pass.core().recording), 1000);
    CHECK(said(pass.core()) == "recording: the count of instructions is wrong");
  });
}
