// The backward pass: one loop from the end of the recording to its front.
#include <algorithm>
#include <cstring>

#include "lib/tape/state.hpp"
#include "xgrad/tape/grad.hpp"

namespace xgrad {

using detail::Access;
using detail::Instruction;
using detail::Slot;
using detail::SlotKind;
using detail::TapeState;

namespace {

/// x0 + x1 of equal shapes: how cotangents are summed up when they cannot be summed in place.
struct Accumulate {
  static constexpr const char* name = "accumulate";
  static constexpr Reads reads[] = {kReadsNothing};
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View y, Write write) const {
    add(x[0], y, write);
    add(x[1], y, Write::accumulate);
  }
  void vjp(Backward& b) const {
    b.dx(0) += b.dy();
    b.dx(1) += b.dy();
  }
  template <class T>
  static void add_as(const ConstView& x, const View& y) {
    const T* from = x.as<T>();
    T* to = y.as<T>();
    const std::int64_t n = x.size();
    for (std::int64_t i = 0; i < n; ++i) to[i] += from[i];
  }
  static void add(const ConstView& x, const View& y, Write write) {
    if (write == Write::assign) {
      std::memcpy(y.data, x.data, static_cast<std::size_t>(x.size()) * size_of(x.dtype));
    } else if (x.dtype == DType::float32) {
      add_as<float>(x, y);
    } else {
      add_as<double>(x, y);
    }
  }
};

bool fill(const View& v, double value) {
  if (v.dtype == DType::float32) std::fill_n(v.as<float>(), v.size(), static_cast<float>(value));
  if (v.dtype == DType::float64) std::fill_n(v.as<double>(), v.size(), value);
  return is_floating(v.dtype);
}

/// Whether a pass needs the cotangent of a slot: that of one on a path from xs when it has a mark, otherwise
/// that of every one that depends on a parameter.
bool needed(const Slot& slot, std::uint32_t mark) {
  return mark ? slot.mark == mark : (slot.depends & detail::kOnParameter) != 0;
}

/// One run over the recording. While it lives, ops are deferred (see state.hpp).
class Pass {
 public:
  /// With `consume`, instructions are dropped as they are differentiated. For `mark`, see `needed`.
  Pass(TapeState& state, bool graph, bool consume, std::uint32_t mark)
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
  ~Pass() {
    if (!finished_) abandon();
    state_.deferring = outer_deferring_;
    state_.graph = outer_graph_;
    state_.deferred_from = outer_deferring_ ? state_.list.size() : outer_from_;
  }
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  void run() {
    for (std::size_t k = state_.list.size(); k-- > 0;) {
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

 private:
  void differentiate(const Instruction& instruction, Slot& out) {
    Var dy = Access::var(state_, out.cotangent);
    if (!out.wanted) {
      state_.release_handle(out.cotangent);
      out.cotangent = 0;
    }
    const auto operands = instruction.operands();
    if (std::none_of(operands.begin(), operands.end(),
                     [&](auto i) { return needed(state_.slots[i], mark_); }))
      return;
    const OpInfo& op = *instruction.op;
    if (!op.vjp) throw NotDifferentiable(detail::text(op.name, ": has no derivative"));
    Backward b = Access::backward(state_, instruction, std::move(dy), mark_);
    op.vjp(instruction.attributes(), b);
    state_.flush();
  }

  /// After an error: no half-made gradient may be left behind.
  void abandon() {
    state_.sweep_deferred();
    for (std::size_t i = 1; i < state_.slots.size(); ++i) {
      Slot& slot = state_.slots[i];
      slot.wanted = false;
      if (slot.cotangent) state_.release_handle(std::exchange(slot.cotangent, 0));
    }
  }

  TapeState& state_;
  bool consume_;
  std::uint32_t mark_;
  bool outer_deferring_, outer_graph_;
  std::size_t outer_from_;
  bool finished_ = false;
};

/// Adds `v`, which a vjp of `op` made, to the cotangent of a slot. With `move`, nobody else will read `v`.
void add_cotangent(TapeState& state, Slot& slot, const Var& v, bool move, const char* op) {
  const std::uint32_t index = Access::index(v);
  const auto require = [&](bool kept) {
    if (!kept) throw Error(detail::text(op, ": vjp reads a value that was not kept; name it in `reads`"));
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
        Accumulate::add(v.view(), destination, write);
      }
      return;
    }
  }
  Var sum = slot.cotangent ? apply(Accumulate{}, Access::var(state, slot.cotangent), v) : v;
  state.flush();
  require(state.slots[Access::index(sum)].data != nullptr);
  if (slot.cotangent) state.release_handle(slot.cotangent);
  slot.cotangent = Access::index(sum);
  ++state.slots[slot.cotangent].handles;
}

/// A new slot of the type of another.
std::uint32_t slot_like(TapeState& state, const Slot& slot) {
  return state.new_slot({slot.dtype, slot.shape}, SlotKind::constant, detail::kOnNothing);
}

Var filled_like(TapeState& state, const Slot& slot, double value) {
  Var v = Access::var(state, slot_like(state, slot));
  Slot& result = state.slots[Access::index(v)];
  state.allocate(result);
  fill({result.data, result.dtype, &result.shape}, value);
  return v;
}

/// The checked starting point of a pass.
Slot& root_of(const Var& y, const char* use) {
  Slot& slot = Access::current_slot(y, use);
  if (Access::state(y)->deferring) {
    throw Error(detail::text(use, ": called inside a vjp; use a tape of its own there"));
  }
  if (!is_floating(slot.dtype)) throw DTypeError(detail::text(use, ": y is ", slot.dtype, ", not floating"));
  return slot;
}

/// Throws when a parameter was written since it was recorded and its old value is needed.
void check_versions(TapeState& state, const char* use) {
  for (const detail::Leaf& leaf : state.leaves) {
    if (leaf.version == leaf.parameter->version) continue;
    const Slot* written = &state.slots[leaf.slot];
    for (const Instruction* instruction : state.list) {
      state.for_each_read(*instruction, [&](const Slot& s) {
        if (&s != written) return;
        throw ParameterModified(detail::text(use, ": parameter ", leaf.parameter->name, " was written after ",
                                             instruction->op->name,
                                             " recorded it, and its old value is needed",
                                             "; step the optimiser after backward, or use p.clone()"));
      });
    }
  }
}

/// Lets the cotangents of the leaves be written straight into the parameters' gradients.
class LeafGradients {
 public:
  explicit LeafGradients(TapeState& state) : state_(state) {}
  void prepare() {
    for (const detail::Leaf& leaf : state_.leaves) {
      detail::ParameterState& p = *leaf.parameter;
      Slot& slot = state_.slots[leaf.slot];
      if (!p.grad) {
        p.grad = std::make_unique_for_overwrite<std::byte[]>(static_cast<std::size_t>(p.type.shape.size()) *
                                                             size_of(p.type.dtype));
      }
      if (leaf.version != p.version) continue;  // there may be a second leaf: `finish` adds this one's
      slot.cotangent = slot_like(state_, slot);
      Slot& gradient = state_.slots[slot.cotangent];
      ++gradient.handles;
      gradient.data = p.grad.get();
      gradient.unwritten = !p.has_grad;
    }
  }
  void finish() {
    for (const detail::Leaf& leaf : state_.leaves) {
      Slot& slot = state_.slots[leaf.slot];
      if (!slot.cotangent || leaf.version != leaf.parameter->version) continue;
      Slot& gradient = state_.slots[slot.cotangent];
      leaf.parameter->has_grad = !gradient.unwritten;
      gradient.unwritten = false;
      state_.release_handle(std::exchange(slot.cotangent, 0));
    }
    for (const detail::Leaf& leaf : state_.leaves) {
      Slot& slot = state_.slots[leaf.slot];
      if (!slot.cotangent) continue;
      detail::ParameterState& p = *leaf.parameter;
      Accumulate::add(state_.view(state_.slots[slot.cotangent]), {p.grad.get(), p.type.dtype, &p.type.shape},
                      p.has_grad ? Write::accumulate : Write::assign);
      p.has_grad = true;
      state_.release_handle(std::exchange(slot.cotangent, 0));
    }
    finished_ = true;
  }
  ~LeafGradients() {
    if (finished_) return;
    for (const detail::Leaf& leaf : state_.leaves) {
      leaf.parameter->has_grad = false;  // half-made
      Slot& slot = state_.slots[leaf.slot];
      if (slot.cotangent) state_.release_handle(std::exchange(slot.cotangent, 0));
    }
  }
  LeafGradients(const LeafGradients&) = delete;
  LeafGradients& operator=(const LeafGradients&) = delete;

 private:
  TapeState& state_;
  bool finished_ = false;
};

}  // namespace

// Backward ----------------------------------------------------------------------------------------------

Backward Access::backward(TapeState& state, const Instruction& instruction, Var dy, std::uint32_t mark) {
  Backward b;
  b.state_ = &state;
  b.instruction_ = &instruction;
  b.dy_ = std::move(dy);
  for (int i = 0; i < instruction.input_count; ++i) b.reads_ |= instruction.op->reads(i);
  b.mark_ = mark;
  return b;
}

namespace {
const Instruction& instruction_of(const void* p) { return *static_cast<const Instruction*>(p); }

std::uint32_t operand_of(const Instruction& instruction, int i) {
  if (i < 0 || i >= instruction.input_count) {
    throw Error(
        detail::text(instruction.op->name, ": vjp names operand ", i, " of ", instruction.input_count));
  }
  return instruction.inputs[i];
}
}  // namespace

bool Backward::create_graph() const { return state_->graph; }
int Backward::operand_count() const { return instruction_of(instruction_).input_count; }

Var Backward::x(int i) const {
  const Instruction& instruction = instruction_of(instruction_);
  const std::uint32_t index = operand_of(instruction, i);
  if (i >= 31 || !(reads_ & reads_x(i))) {
    throw Error(
        detail::text(instruction.op->name, ": vjp reads x(", i, "), which its `reads` does not name"));
  }
  return Access::var(*state_, index);
}

Var Backward::y() const {
  const Instruction& instruction = instruction_of(instruction_);
  if (!(reads_ & kReadsOutput)) {
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
  return xgrad::needed(backward_.state_->slots[operand_of(instruction, operand_)], backward_.mark_);
}

void Backward::Cotangent::add(const Var& v, bool move) const {
  if (!needed()) return;
  const Instruction& instruction = instruction_of(backward_.instruction_);
  TapeState& state = *backward_.state_;
  Slot& operand = state.slots[operand_of(instruction, operand_)];
  const Slot& given = Access::current_slot(v, instruction.op->name);
  if (Access::state(v) != &state) {
    throw TapeMismatch(
        detail::text(instruction.op->name, ": vjp gives a value of another tape for operand ", operand_));
  }
  if (given.shape != operand.shape || given.dtype != operand.dtype) {
    throw ShapeError(detail::text(instruction.op->name, ": vjp gives ", given.dtype, ' ', given.shape,
                                  " for operand ", operand_, " of type ", operand.dtype, ' ', operand.shape));
  }
  add_cotangent(state, operand, v, move && given.handles == 1 && given.uses == 0, instruction.op->name);
}

// Public functions --------------------------------------------------------------------------------------

void backward(const Var& loss, BackwardOptions options) {
  Slot& root = root_of(loss, "backward");
  TapeState& state = *Access::state(loss);
  if (root.shape.size() != 1) {
    throw ShapeError(detail::text("backward: loss ", root.shape,
                                  " must have one element; sum it, or use grad with a cotangent"));
  }
  if (!(root.depends & detail::kOnParameter)) {
    throw NotDifferentiable("backward: the loss depends on no parameter; use grad for inputs");
  }
  check_versions(state, "backward");
  const bool consume = !options.keep_recording;
  try {
    LeafGradients gradients(state);
    gradients.prepare();
    Pass pass(state, false, consume, 0);
    add_cotangent(state, root, filled_like(state, root, 1), false, "backward");
    pass.run();
    gradients.finish();
  } catch (...) {
    if (consume) state.consume();
    throw;
  }
  if (consume) state.consume();
}

std::vector<Var> grad(const Var& y, std::span<const Var> xs, const GradOptions& options) {
  Slot& root = root_of(y, "grad");
  TapeState& state = *Access::state(y);
  Var seed = options.cotangent;
  if (seed) {
    const Slot& given = Access::current_slot(seed, "grad");
    if (Access::state(seed) != &state)
      throw TapeMismatch("grad: y and the cotangent belong to different tapes");
    if (given.shape != root.shape || given.dtype != root.dtype) {
      throw ShapeError(detail::text("grad: the cotangent is ", given.dtype, ' ', given.shape, ", y is ",
                                    root.dtype, ' ', root.shape));
    }
  } else if (root.shape.size() != 1) {
    throw ShapeError(detail::text("grad: y ", root.shape, " must have one element; give a cotangent"));
  }
  for (const Var& x : xs) {
    const Slot& slot = Access::current_slot(x, "grad");
    if (Access::state(x) != &state) throw TapeMismatch("grad: y and x belong to different tapes");
    if (slot.depends == detail::kOnNothing) {
      throw NotDifferentiable(detail::text("grad: x %", slot.id, " ", slot.shape,
                                           " needs no gradient; enter it with tape.input or tape.leaf"));
    }
  }
  check_versions(state, "grad");

  const std::uint32_t mark = ++state.passes;
  for (const Var& x : xs) state.slots[Access::index(x)].mark = mark;
  for (const Instruction* instruction : state.list) {
    for (std::uint32_t i : instruction->operands()) {
      if (state.slots[i].mark == mark) state.slots[instruction->output].mark = mark;
    }
  }
  std::vector<Var> result;
  result.reserve(xs.size());  // nothing may fail between the pass and the end
  if (root.mark == mark) {
    Pass pass(state, options.create_graph, false, mark);
    for (const Var& x : xs) state.slots[Access::index(x)].wanted = true;
    if (!seed) seed = filled_like(state, root, 1);
    add_cotangent(state, root, seed, false, "grad");
    pass.run();
    for (const Var& x : xs) {
      const std::uint32_t cotangent = state.slots[Access::index(x)].cotangent;
      result.push_back(cotangent ? Access::var(state, cotangent) : Var());
    }
    for (const Var& x : xs) {
      Slot& slot = state.slots[Access::index(x)];
      slot.wanted = false;
      if (slot.cotangent) state.release_handle(std::exchange(slot.cotangent, 0));
    }
  }
  result.resize(xs.size());
  for (std::size_t i = 0; i < xs.size(); ++i) {
    if (!result[i]) result[i] = filled_like(state, state.slots[Access::index(xs[i])], 0);
  }
  return result;
}

}  // namespace xgrad
