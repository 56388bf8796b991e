#include "lib/tape/pass.hpp"

#include <algorithm>
#include <cstring>

#include "lib/tape/mutation.hpp"
#include "lib/tensor/copy.hpp"
#include "lib/tensor/strided.hpp"

namespace xgrad {
namespace detail {
namespace {

/// The sum of operands of equal shapes: how cotangents are summed up.
struct Accumulate {
  static constexpr const char* name = "accumulate";
  static constexpr Reads reads[] = {kReadsNothing};
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View y, Write write) const {
    for (const ConstView& v : x) copy(v, y, std::exchange(write, Write::accumulate));
  }
  void vjp(Backward& b) const {
    b.dx(0) += b.dy();
    b.dx(1) += b.dy();
  }
};

/// A cotangent at last as large as what it belongs to. Only where the gradient is not itself recorded.
struct Repeat {
  static constexpr const char* name = "repeat";
  Shape shape;
  TensorType infer(Operands x) const { return {x[0].dtype, shape}; }
  void eval(Operands x, View y, Write write) const {
    copy_strided(x[0], 0, broadcast_strides(x[0].shape(), shape), y, write);
  }
};

/// Makes the cotangent of a slot as large as the slot where it is yet to be repeated.
void repeat_cotangent(TapeState& state, Slot& slot) {
  if (!std::exchange(slot.small_cotangent, false)) return;
  const Var large = apply(Repeat{slot.shape}, Access::var(state, slot.cotangent));
  state.flush();
  state.release_handle(std::exchange(slot.cotangent, Access::index(large)));
  ++state.slots[slot.cotangent].handles;
}

}  // namespace

void fill(const View& v, double value) {
  if (v.dtype == DType::float32) {
    std::fill_n(v.as<float>(), v.size(), static_cast<float>(value));
  } else {
    std::fill_n(v.as<double>(), v.size(), value);
  }
}

Var enter_again(const Var& x) {
  TapeState& state = *Access::state(x);
  const Slot& from = Access::slot(x);
  if (!is_floating(from.dtype)) {
    throw DTypeError(text("grad: an operand is ", from.dtype, ", not floating; capture it instead"));
  }
  Var v = Access::var(state, state.new_slot({from.dtype, from.shape}, SlotKind::input, kOnInput));
  Slot& slot = state.slots[Access::index(v)];
  slot.buffer = from.buffer;
  slot.data = from.data;
  ++slot.buffer->owners;
  return v;
}

void spread_mark(TapeState& state, std::size_t first, std::uint32_t mark) {
  for (std::size_t k = first; k < state.list.size(); ++k) {
    for (std::uint32_t i : state.list[k]->operands()) {
      if (state.slots[i].mark == mark) state.slots[state.list[k]->output].mark = mark;
    }
  }
}

// Pass --------------------------------------------------------------------------------------------------

Pass::Pass(TapeState& state, bool graph, bool consume, std::uint32_t mark)
    : state_(state),
      consume_(consume),
      mark_(mark),
      outer_deferring_(state.deferring),
      outer_graph_(state.graph),
      outer_from_(state.deferred_from) {
  if (outer_deferring_) state_.flush();
  state_.deferring = true;
  state_.graph = graph;
  state_.deferred_from = state_.list.size();
}

Pass::~Pass() {
  if (!finished_) abandon();
  state_.deferring = outer_deferring_;
  state_.graph = outer_graph_;
  state_.deferred_from = outer_deferring_ ? state_.list.size() : outer_from_;
  if (!finished_) state_.trim_tail();  // of a graph that nobody will ask for
}

void Pass::run(std::size_t first) {
  for (std::size_t k = state_.list.size(); k-- > first;) {
    const Instruction& instruction = *state_.list[k];
    Slot& out = state_.slots[instruction.output];
    if (out.cotangent) differentiate(instruction, out);
    if (consume_) {
      state_.pop_tail();
      state_.deferred_from = state_.list.size();
    }
  }
  finished_ = true;
}

void Pass::differentiate(const Instruction& instruction, Slot& out) {
  Var dy = Access::var(state_, out.cotangent);
  const bool small = out.small_cotangent;
  if (!out.wanted) {
    state_.release_handle(std::exchange(out.cotangent, 0));
    out.small_cotangent = false;
  }
  const auto operands = instruction.operands();
  if (std::none_of(operands.begin(), operands.end(), [&](auto i) { return needed(state_.slots[i], mark_); }))
    return;
  const OpInfo& op = *instruction.op;
  if (!op.vjp) throw NotDifferentiable(text(op.name, ": has no derivative"));
  Backward b = Access::backward(state_, instruction, std::move(dy), small, mark_);
  const Instruction* outer = std::exchange(state_.differentiated, &instruction);
  if constexpr (kMutation) {
    if (const MutatorCall call; call) call->begin(op, instruction.attributes(), state_.graph);
  }
  op.vjp(instruction.attributes(), b);
  state_.flush();
  state_.differentiated = outer;
}

void Pass::abandon() {
  state_.differentiated = nullptr;
  state_.sweep_deferred();
  for (std::size_t i = 1; i < state_.slots.size(); ++i) {
    Slot& slot = state_.slots[i];
    slot.wanted = slot.small_cotangent = false;
    if (slot.cotangent) state_.release_handle(std::exchange(slot.cotangent, 0));
  }
}

/// Adds `v`, which a vjp of `op` made, to the cotangent of a slot. With `move`, nobody else will read `v`.
void add_cotangent(TapeState& state, Slot& slot, const Var& v, bool move, const char* op) {
  repeat_cotangent(state, slot);
  const std::uint32_t index = Access::index(v);
  const auto require = [&](bool kept) {
    if (!kept) throw Error(text(op, ": vjp reads a value that was not kept; name it in `reads`"));
  };
  if (slot.cotangent && !state.graph) {
    Slot& sum = state.slots[slot.cotangent];
    // Only what nobody else reads is written to: no Var, no instruction, no other shape of the same memory.
    if (sum.handles == 1 && sum.uses == 0 && (!sum.buffer || sum.buffer->owners == 1)) {
      const View destination{sum.data, sum.dtype, &sum.shape};
      const Write write = sum.unwritten ? Write::assign : Write::accumulate;
      sum.unwritten = false;
      Instruction* last = state.list.size() > state.deferred_from ? state.list.back() : nullptr;
      if (move && last && last->output == index && !last->executed) {
        state.execute_deferred(state.list.size() - 1);
        require(state.has_operands(*last));
        state.execute(*last, &destination, write);
        state.sweep_deferred();
      } else {
        state.flush();
        require(state.slots[index].data != nullptr);
        const ConstView summand = v.view();
        const Accumulate addition;
        state.evaluate(op_info<Accumulate>, &addition, {&summand, 1}, destination, write);
        if (state.nan_check != NanCheck::off) state.check_sum(destination);
      }
      return;
    }
  }
  Instruction* last = state.list.size() == state.deferred_from + 1 ? state.list.back() : nullptr;
  if (!slot.cotangent && move && last && last->output == index && !state.graph && !last->executed) {
    require(state.has_operands(*last));  // the usual case: one op makes the whole cotangent
    state.execute(*last, nullptr, Write::assign);
    slot.cotangent = index;
    ++state.slots[index].handles;
    state.pop_tail();
    return;
  }
  Var sum = slot.cotangent ? apply(Accumulate{}, Access::var(state, slot.cotangent), v) : v;
  state.flush();
  require(state.slots[Access::index(sum)].data != nullptr);
  if (slot.cotangent) state.release_handle(slot.cotangent);
  slot.cotangent = Access::index(sum);
  ++state.slots[slot.cotangent].handles;
}

// Backward ----------------------------------------------------------------------------------------------

Backward Access::backward(TapeState& state, const Instruction& instruction, Var dy, bool small,
                          std::uint32_t mark) {
  Backward b;
  b.state_ = &state;
  b.instruction_ = &instruction;
  b.dy_ = std::move(dy);
  b.dy_is_small_ = small;
  b.mark_ = mark;
  return b;
}

}  // namespace detail

using detail::Access;
using detail::Instruction;
using detail::Slot;
using detail::TapeState;

namespace {
const Instruction& instruction_of(const void* p) { return *static_cast<const Instruction*>(p); }

[[noreturn]] void throw_no_operand(const Instruction& instruction, int i) {
  throw Error(detail::text(instruction.op->name, ": vjp names operand ", i, " of ", instruction.input_count));
}

std::uint32_t operand_of(const Instruction& instruction, int i) {
  if (i < 0 || i >= instruction.input_count) throw_no_operand(instruction, i);
  return instruction.inputs[i];
}
}  // namespace

const Var& Backward::dy() {
  if (std::exchange(dy_is_small_, false)) dy_ = apply(detail::Repeat{y_shape()}, dy_);
  return dy_;
}

bool Backward::create_graph() const { return state_->graph; }
int Backward::operand_count() const { return instruction_of(instruction_).input_count; }

Var Backward::x(int i) const {
  const Instruction& instruction = instruction_of(instruction_);
  const std::uint32_t index = operand_of(instruction, i);
  if (i >= 31 || !(instruction.op->all_reads & reads_x(i))) {
    throw Error(
        detail::text(instruction.op->name, ": vjp reads x(", i, "), which its `reads` does not name"));
  }
  return Access::var(*state_, index);
}

Var Backward::y() const {
  const Instruction& instruction = instruction_of(instruction_);
  if (!(instruction.op->all_reads & kReadsOutput)) {
    throw Error(detail::text(instruction.op->name, ": vjp reads y, which its `reads` does not name"));
  }
  return Access::var(*state_, instruction.output);
}

const Shape& Backward::x_shape(int i) const {
  return state_->slots[operand_of(instruction_of(instruction_), i)].shape;
}
const Shape& Backward::y_shape() const { return state_->slots[instruction_of(instruction_).output].shape; }

bool Backward::Cotangent::needed() const {
  const Instruction& instruction = instruction_of(backward_.instruction_);
  return detail::needed(backward_.state_->slots[operand_of(instruction, operand_)], backward_.mark_);
}

/// The slot of the operand that v is to be a cotangent of, perhaps `repeated`, after all checks.
Slot& Backward::Cotangent::checked_operand(const Var& v, bool repeated) const {
  const Instruction& instruction = instruction_of(backward_.instruction_);
  TapeState& state = *backward_.state_;
  Slot& operand = state.slots[operand_of(instruction, operand_)];
  const Slot& given = Access::current_slot(v, instruction.op->name);
  if (Access::state(v) != &state) {
    throw TapeMismatch(
        detail::text(instruction.op->name, ": vjp gives a value of another tape for operand ", operand_));
  }
  const bool fits = repeated ? broadcasts_to(given.shape, operand.shape) : given.shape == operand.shape;
  if (!fits || given.dtype != operand.dtype) {
    throw ShapeError(detail::text(instruction.op->name, ": vjp gives ", given.dtype, ' ', given.shape,
                                  " for operand ", operand_, " of type ", operand.dtype, ' ', operand.shape));
  }
  return operand;
}

void Backward::Cotangent::add_broadcast(const Var& v) const {
  if (!needed()) return;
  TapeState& state = *backward_.state_;
  const char* op = instruction_of(backward_.instruction_).op->name;
  Slot& operand = checked_operand(v, true);
  if (state.graph) throw Error(detail::text(op, ": vjp repeats a cotangent that is itself recorded"));
  const bool asked_for = operand.wanted || operand.kind != detail::SlotKind::result;
  if (detail::kMutation || operand.cotangent || asked_for) {
    return add(apply(detail::Repeat{operand.shape}, v), true);
  }
  add_cotangent(state, operand, v, false, op);
  operand.small_cotangent = v.shape() != operand.shape;
}

void Backward::Cotangent::add(const Var& v, bool move) const {
  if (!needed()) return;
  if constexpr (detail::kMutation) {
    if (const detail::MutatorCall call; call) {
      if (const Var changed = call->added(v); changed.defined()) add(changed, false);
      return;
    }
  }
  Slot& operand = checked_operand(v, false);
  const Slot& given = Access::slot(v);
  detail::add_cotangent(*backward_.state_, operand, v, move && given.handles == 1 && given.uses == 0,
                        instruction_of(backward_.instruction_).op->name);
}

}  // namespace xgrad
