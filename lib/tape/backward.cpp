// The derivatives of a recording: backward into parameters, grad as values.
#include "xgrad/tape/grad.hpp"

#include "lib/tape/pass.hpp"
#include "lib/tensor/copy.hpp"

namespace xgrad {

using detail::Access;
using detail::add_cotangent;
using detail::Instruction;
using detail::Pass;
using detail::Slot;
using detail::SlotKind;
using detail::TapeState;

namespace {

/// A new slot of the type of another.
std::uint32_t slot_like(TapeState& state, const Slot& slot) {
  return state.new_slot({slot.dtype, slot.shape}, SlotKind::constant, detail::kOnNothing);
}

Var filled_like(TapeState& state, const Slot& slot, double value) {
  Var v = Access::var(state, slot_like(state, slot));
  Slot& result = state.slots[Access::index(v)];
  state.allocate(result);
  detail::fill({result.data, result.dtype, &result.shape}, value);
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

/// Checks one of grad's ys and its cotangent, which is empty when there is none.
void check_root(const Var& y, const Var& cotangent, const Var& first) {
  const Slot& root = root_of(y, "grad");
  if (Access::state(y) != Access::state(first)) throw TapeMismatch("grad: the ys belong to different tapes");
  if (!cotangent.defined()) {
    if (root.shape.size() == 1) return;
    throw ShapeError(detail::text("grad: y ", root.shape, " must have one element; give a cotangent"));
  }
  const Slot& given = Access::current_slot(cotangent, "grad");
  if (Access::state(cotangent) != Access::state(y))
    throw TapeMismatch("grad: y and the cotangent belong to different tapes");
  if (given.shape != root.shape || given.dtype != root.dtype) {
    throw ShapeError(detail::text("grad: the cotangent is ", given.dtype, ' ', given.shape, ", y is ",
                                  root.dtype, ' ', root.shape));
  }
}

/// Throws when a parameter was written since it was recorded and its old value is needed.
void check_versions(TapeState& state, const char* use) {
  for (const detail::Leaf& leaf : state.leaves) {
    if (leaf.version == leaf.parameter->version) continue;
    const Slot* written = &state.slots[leaf.slot];
    for (const Instruction* instruction : state.list) {
      for (std::size_t i = 0; i < instruction->input_count; ++i) {
        if (&state.slots[instruction->inputs[i]] != written || !instruction->needs(i)) continue;
        throw ParameterModified(detail::text(use, ": parameter ", leaf.parameter->name, " was written after ",
                                             instruction->op->name,
                                             " recorded it, and its old value is needed",
                                             "; step the optimiser after backward, or use p.clone()"));
      }
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
      if (!p.memory->grads) p.memory->grads = detail::make_aligned(p.bytes());
      p.in_backward = true;
      if (leaf.version != p.version) continue;  // there may be a second leaf: `finish` adds this one's
      slot.cotangent = slot_like(state_, slot);
      Slot& gradient = state_.slots[slot.cotangent];
      ++gradient.handles;
      gradient.data = p.grad();
      gradient.unwritten = !p.has_grad;
    }
  }
  void finish() {
    for (const detail::Leaf& leaf : state_.leaves) {
      Slot& slot = state_.slots[leaf.slot];
      leaf.parameter->in_backward = false;
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
      detail::copy(state_.view(state_.slots[slot.cotangent]), {p.grad(), p.type.dtype, &p.type.shape},
                   p.has_grad ? Write::accumulate : Write::assign);
      p.has_grad = true;
      state_.release_handle(std::exchange(slot.cotangent, 0));
    }
    finished_ = true;
  }
  ~LeafGradients() {
    if (finished_) return;
    for (const detail::Leaf& leaf : state_.leaves) {
      leaf.parameter->has_grad = leaf.parameter->in_backward = false;  // half-made
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
  return grad(std::span(&y, 1), std::span(&options.cotangent, 1), xs, options.create_graph);
}

std::vector<Var> grad(std::span<const Var> ys, std::span<const Var> cotangents, std::span<const Var> xs,
                      bool create_graph) {
  if (ys.empty() || cotangents.size() != ys.size()) {
    throw ShapeError(detail::text("grad: ", ys.size(), " ys and ", cotangents.size(),
                                  " cotangents; give at least one y, and a cotangent for each"));
  }
  for (std::size_t k = 0; k < ys.size(); ++k) check_root(ys[k], cotangents[k], ys[0]);
  TapeState& state = *Access::state(ys[0]);
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
  const auto slot_of = [&](const Var& v) -> Slot& { return state.slots[Access::index(v)]; };
  for (const Var& x : xs) slot_of(x).mark = mark;
  detail::spread_mark(state, 0, mark);
  std::vector<Var> result;
  result.reserve(xs.size());  // nothing may fail between the pass and the end
  {
    Pass pass(state, create_graph, false, mark);
    for (const Var& x : xs) slot_of(x).wanted = true;
    for (std::size_t k = 0; k < ys.size(); ++k) {
      Slot& root = slot_of(ys[k]);
      if (root.mark != mark) continue;  // it depends on none of xs
      add_cotangent(state, root, cotangents[k].defined() ? cotangents[k] : filled_like(state, root, 1), false, "grad");
    }
    pass.run();
    for (const Var& x : xs) {
      const std::uint32_t cotangent = slot_of(x).cotangent;
      result.push_back(cotangent ? Access::var(state, cotangent) : Var());
    }
    for (const Var& x : xs) {
      Slot& slot = slot_of(x);
      slot.wanted = false;
      if (slot.cotangent) state.release_handle(std::exchange(slot.cotangent, 0));
    }
  }
  for (std::size_t i = 0; i < xs.size(); ++i) {
    if (!result[i].defined()) result[i] = filled_like(state, slot_of(xs[i]), 0);
  }
  return result;
}

}  // namespace xgrad
