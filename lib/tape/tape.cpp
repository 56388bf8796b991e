#include "xgrad/tape/tape.hpp"

#include <algorithm>
#include <cstring>

#include "lib/support/scratch.hpp"
#include "lib/tape/mutation.hpp"
#include "lib/tape/state.hpp"

namespace xgrad {

using detail::Access;
using detail::Slot;
using detail::SlotKind;
using detail::TapeState;

// Var ---------------------------------------------------------------------------------------------------

const Shape& Var::shape() const& { return Access::slot(*this).shape; }
DType Var::dtype() const { return Access::slot(*this).dtype; }
bool Var::requires_grad() const { return Access::slot(*this).depends != detail::kOnNothing; }

Tape& Var::tape() const {
  Access::slot(*this);
  return *state_->tape;
}

ConstView Var::view() const& {
  const Slot& slot = Access::slot(*this);
  if (!slot.data) {  // only inside a backward pass is a value not there yet
    state_->flush();
    if (!slot.data) throw Error("variable: its value was not kept; name it in the op's `reads`");
  }
  return state_->view(slot);
}

// Recording ---------------------------------------------------------------------------------------------

namespace {
/// Lets go of what is given up, when an op is done with it or fails on the way.
struct LetGo {
  std::span<const Arg> x;
  bool any;
  ~LetGo() {
    if (!any) return;
    for (const Arg& v : x) v.release();
  }
};
}  // namespace

Var detail::record(const OpInfo& info, const void* op, std::span<const Arg> x) {
  if (x.empty()) throw ShapeError(text(info.name, ": no operands"));
  if (x.size() > UINT16_MAX) throw ShapeError(text(info.name, ": more than 65535 operands"));
  TapeState& state = Access::live_state(*x[0]);

  const Scratch<ConstView> view_room(x.size());
  const Scratch<std::uint32_t> index_room(x.size());
  const auto views = view_room.items();
  const auto indices = index_room.items();
  std::uint8_t depends = kOnNothing;
  std::uint32_t given_up = 0;
  LetGo let_go{x, false};
  Reads reads = kReadsNothing;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (Access::state(*x[i]) != &state) {
      Access::slot(*x[i]);  // throws when it is empty or its tape has ended
      throw TapeMismatch(text(info.name, ": operands 0 and ", i, " belong to different tapes"));
    }
    const Slot& slot = Access::current_slot(state, *x[i], info.name);
    indices[i] = Access::index(*x[i]);
    views[i] = state.view(slot);
    depends |= slot.depends;
    if (slot.depends) reads |= info.reads_of(i);
    if (x[i].is_donated()) given_up |= 1u << std::min<std::size_t>(i, 31);
  }
  const TensorType type = info.infer(op, views);
  let_go.any = given_up != 0;
  if (info.constant || state.paused || (state.deferring && !state.graph)) depends = kOnNothing;
  if (!depends) reads = kReadsNothing;

  const std::uint32_t output = state.new_slot(type, SlotKind::result, depends);
  Var result = Access::var(state, output);  // gives the slot back should anything below throw
  if (state.deferring) {
    state.append(info, op, indices, output, false, kReadsNothing);
    if constexpr (kMutation) {
      if (const MutatorCall call; call) result = call->recorded(info, x, result);
    }
    return result;
  }
  Slot& out = state.slots[output];
  const bool checked = state.nan_check != NanCheck::off;
  state.compute(info, op, indices, views, out, state.overwritable(info, indices, given_up, reads));
  if (depends || checked) {
    const Instruction& instruction = state.append(info, op, indices, output, true, reads);
    if (checked) state.check_result(instruction, state.view(out));
    if (!depends) state.pop_tail();
  }
  return result;
}

// Tape --------------------------------------------------------------------------------------------------

Tape::Tape() : state_(new TapeState(this)) {}

Tape::~Tape() {
  state_->deferring = false;
  std::size_t handles = 0;
  state_->consume();
  for (std::size_t i = 1; i < state_->slots.size(); ++i) handles += state_->slots[i].handles;
  if (handles == 0) {
    delete state_;
    return;
  }
  // The handles that are left find an ended tape, and the last of them deletes what is left of it.
  state_->tape = nullptr;
  state_->orphans = handles;
  state_->slots = {};
  state_->past_leaves.clear();
  state_->pool.reset();
}

Var Tape::enter(TensorType type, bool requires_grad, View& view) {
  if (requires_grad && !is_floating(type.dtype)) {
    throw DTypeError(detail::text("input: dtype must be float32 or float64 to be differentiated, not ",
                                  type.dtype, "; enter it with constant"));
  }
  const std::uint32_t index = state_->new_slot(type, requires_grad ? SlotKind::input : SlotKind::constant,
                                               requires_grad ? detail::kOnInput : detail::kOnNothing);
  Var v = Access::var(*state_, index);
  Slot& slot = state_->slots[index];
  state_->allocate(slot);
  view = {slot.data, slot.dtype, &slot.shape};
  return v;
}

Var Tape::enter_scalar(double value, DType dtype, bool requires_grad) {
  View view;
  Var v = enter({dtype, Shape{}}, requires_grad, view);
  switch (dtype) {
    case DType::float32:
      *view.as<float>() = static_cast<float>(value);
      break;
    case DType::float64:
      *view.as<double>() = value;
      break;
    case DType::int32:
      *view.as<std::int32_t>() = static_cast<std::int32_t>(value);
      break;
    case DType::int64:
      *view.as<std::int64_t>() = static_cast<std::int64_t>(value);
      break;
    case DType::uint8:
      *view.as<std::uint8_t>() = static_cast<std::uint8_t>(value);
      break;
    case DType::boolean:
      *view.as<bool>() = value != 0;
      break;
  }
  return v;
}

Var Tape::leaf(const Parameter& parameter) {
  const auto& shared = Access::shared_state(parameter);
  detail::ParameterState& p = Access::state(parameter);
  if (const std::uint32_t* found = state_->leaf_table.find(&p)) {
    const detail::Leaf& current = state_->leaves[*found];
    if (current.version == p.version) return Access::var(*state_, current.slot);
    // Written since: a slot of an older value that nothing uses any more may stand for the new one.
    for (std::size_t i = 0; i < state_->leaves.size(); ++i) {
      detail::Leaf& leaf = state_->leaves[i];
      const Slot& slot = state_->slots[leaf.slot];
      if (leaf.parameter != shared || slot.handles > 1 || slot.uses > 0) continue;
      state_->leaf_table.set(&p, static_cast<std::uint32_t>(i));
      leaf.version = p.version;
      leaf.memory = p.memory;
      state_->slots[leaf.slot].data = p.value();
      return Access::var(*state_, leaf.slot);
    }
  }
  // New to this recording, or written since: then a second slot stands for the new value.
  const std::uint32_t index = state_->new_slot(p.type, SlotKind::leaf, detail::kOnParameter);
  Var v = Access::var(*state_, index);  // gives the slot back should anything below throw
  Slot& slot = state_->slots[index];
  slot.data = p.value();
  auto &leaves = state_->leaves, &past = state_->past_leaves;
  if (leaves.size() == leaves.capacity()) leaves.reserve(2 * leaves.size() + 8);
  const std::size_t places = past.size() + leaves.size() + 1;  // what `consume` may need
  if (places > past.capacity()) past.reserve(2 * places);
  state_->leaf_table.set(&p, static_cast<std::uint32_t>(leaves.size()));
  leaves.push_back({shared, p.memory, p.version, index, slot.generation});
  ++slot.handles;  // the table's own
  return v;
}

Tape::Mark Tape::mark() const {
  Mark mark;
  mark.tape = this;
  mark.recording = state_->recording;
  mark.id = state_->next_id;
  return mark;
}

void Tape::rewind(Mark mark) {
  if (mark.tape != this) throw TapeMismatch("rewind: the mark belongs to another tape");
  if (mark.recording != state_->recording) {
    throw StaleVar(detail::text("rewind: the mark belongs to recording ", mark.recording,
                                ", the current one is ", state_->recording));
  }
  while (!state_->list.empty()) {
    Slot& out = state_->slots[state_->list.back()->output];
    if (out.id < mark.id) break;
    out.recording = 0;
    out.depends = detail::kOnNothing;
    state_->pop_tail();
  }
}

void Tape::clear() {
  for (std::size_t i = 1; i < state_->slots.size(); ++i) state_->slots[i].recording = 0;
  state_->consume();
}

Tape::Pause::Pause(TapeState* state) : state_(state) { ++state_->paused; }
Tape::Pause::~Pause() {
  if (state_) --state_->paused;
}
Tape::Pause Tape::no_grad() { return Pause(state_); }

Tape::Profiling::Profiling(TapeState* state, Profile* profile)
    : state_(state), outer_(std::exchange(state->profile, profile)) {
  if (profile) profile->start();
}
Tape::Profiling::~Profiling() {
  if (!state_) return;
  if (state_->profile) state_->profile->stop();
  state_->profile = outer_;
}
Tape::Profiling Tape::profile(Profile* profile) { return Profiling(state_, profile); }

void Tape::detect_nan(NanCheck check) { state_->nan_check = check; }

Tape::Scope Tape::scope(std::string_view name) {
  state_->scopes.enter(name, state_->next_id);
  return Scope(state_);
}
Tape::Scope::~Scope() {
  if (state_) state_->scopes.leave(state_->next_id);
}

TapeStatistics Tape::statistics() const {
  return {state_->list.size(),       state_->live_slots,        state_->pool.bytes_in_use(),
          state_->pool.bytes_held(), state_->pool.peak_bytes(), state_->recording};
}

}  // namespace xgrad
