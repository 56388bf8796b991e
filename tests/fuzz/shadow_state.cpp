// What the shadow knows of tapes, parameters, guards and marks, and the calls that change it.
#include <algorithm>

#include "tests/fuzz/shadow.hpp"

namespace fuzz {

void Shadow::begin(bool shared) {
  state = State{};
  shared_ = shared;
  node_count_ = 0;
  element_chunk_ = elements_used_ = input_chunk_ = inputs_used_ = 0;
  closures_.clear();
  checkpoints_.clear();
  callbacks_.clear();
  silent_ = 0;
  approximate_ = 0;
  checkpoint_ = -1;
  running_ = nullptr;
  state.tape_names.fill(-1);
  for (int p = 0; p < kParameters; ++p) {
    const auto k = static_cast<std::size_t>(p);
    state.parameters[k].memory = state.memory_count++;
    for (int i = 0; i < size_of(p); ++i)
      state.memories[k][static_cast<std::size_t>(i)] = element(static_cast<std::uint32_t>(p) + 1, i);
  }
  mark_state();
}

void Shadow::mark_state() {
  before_ = state;
  nodes_before_ = node_count_;
  closures_before_ = closures_.size();
  checkpoints_before_ = checkpoints_.size();
  had_effect = false;
}

void Shadow::undo() {
  state = before_;
  node_count_ = nodes_before_;
  closures_.resize(closures_before_);
  checkpoints_.resize(checkpoints_before_);
}

// Values ------------------------------------------------------------------------------------------------

N& Shadow::named(int i) {
  N& v = state.vars[static_cast<std::size_t>(i)];
  if (!v) throw Skip{};
  return v;
}

namespace {
const State::Tape::Interval* dropped_in(const State::Tape& tape, N v) {
  if (!v->is_source() || v->kind == Node::value || v->recording != tape.recording) return nullptr;
  for (int k = 0; k < tape.dropped_count; ++k) {
    const auto& interval = tape.dropped[static_cast<std::size_t>(k)];
    if (v->id >= interval.from && v->id < interval.to) return &interval;
  }
  return nullptr;
}
}  // namespace

bool Shadow::is_stale(N v) const {
  const State::Tape& tape = state.tapes[static_cast<std::size_t>(v->tape)];
  return v->is_source() && (v->recording != tape.recording || dropped_in(tape, v));
}

/// Whether it is open if a value is stale.
bool Shadow::may_be_stale(N v) const {
  const auto* interval = dropped_in(state.tapes[static_cast<std::size_t>(v->tape)], v);
  return interval && interval->is_open;
}

/// The nodes from `from` on are no longer recorded.
void Shadow::drop_nodes(State::Tape& tape, int from, bool is_open) {
  if (tape.dropped_count == State::kMostIntervals) throw Skip{};
  tape.dropped[static_cast<std::size_t>(tape.dropped_count++)] = {from, node_count_, is_open};
}

const double* Shadow::elements_of(N v) const {
  return v->parameter < 0 ? v->elements : state.memories[static_cast<std::size_t>(v->memory)].data();
}

bool Shadow::is_overwritten(N v) const { return is_modified(v); }

bool Shadow::is_current_leaf(N n, int tape) const {
  return n->parameter >= 0 && n->tape == tape &&
         n->recording == state.tapes[static_cast<std::size_t>(tape)].recording;
}

bool Shadow::has_leaf(int tape, int parameter) const {
  for (int id = 0; id < node_count_; ++id) {
    if (is_current_leaf(node(id), tape) && node(id)->parameter == parameter) return true;
  }
  return false;
}

namespace {
/// The tape that a name stands for.
int live(const State& state, int name) {
  const int tape = state.tape_names[static_cast<std::size_t>(name)];
  if (tape < 0) throw Skip{};
  return tape;
}
}  // namespace

N Shadow::enter(int tape, const Type& type, std::uint32_t seed, bool requires_grad) {
  double* const elements = new_elements(type.dims.size());
  for (int i = 0; i < type.dims.size(); ++i) elements[i] = element(seed, i);
  return value_node(live(state, tape), type, requires_grad ? kOnInput : 0, elements, 0);
}

N Shadow::leaf_on(int tape, int parameter) {
  const int uid = live(state, tape);
  const auto k = static_cast<std::size_t>(parameter);
  const State::Parameter& p = state.parameters[k];
  N& cached = tape_of(uid).leaves[k];
  if (cached && cached->version == p.version) {
    if (cached->memory != p.memory) throw Skip{};  // packed since: what older Vars of it show later is open
    return cached;
  }
  double* const elements = new_elements(size_of(parameter));
  std::copy_n(values_of(parameter), size_of(parameter), elements);
  Node* const n = const_cast<Node*>(value_node(uid, kParameterTypes[parameter], kOnParameter, elements, 0));
  n->parameter = parameter;
  n->version = p.version;
  n->memory = p.memory;
  return cached = n;
}

N Shadow::constant_like(N like, double value) {
  if (is_dead(like)) throw Fail{kStaleVar};
  return filled(like, {}, value);
}

N Shadow::input_like(N like, std::uint32_t seed) {
  if (is_dead(like)) throw Fail{kStaleVar};
  double* const elements = new_elements(like->dims.size());
  for (int i = 0; i < like->dims.size(); ++i) elements[i] = element(seed, i);
  return value_node(like->tape, {like->dims, like->is_float32}, kOnInput, elements, 0);
}

N Shadow::leaf_like(N like, int parameter) {
  if (is_dead(like)) throw Fail{kStaleVar};
  const auto name = std::find(state.tape_names.begin(), state.tape_names.end(), like->tape);
  return leaf_on(static_cast<int>(name - state.tape_names.begin()), parameter);
}

void Shadow::read(N v) {
  if (is_dead(v)) throw Fail{kStaleVar};
  if (checkpoint_ >= 0 && !innermost_on(v->tape)) throw Skip{};  // it may have ended when this runs again
}

void Shadow::fail() { throw Fail{kCallbackError}; }

// Parameters --------------------------------------------------------------------------------------------

void Shadow::zero_grad(int parameter) {
  state.parameters[static_cast<std::size_t>(parameter)].grad = State::Parameter::none;
}

void Shadow::sgd(int parameter) {
  State::Parameter& p = state.parameters[static_cast<std::size_t>(parameter)];
  if (p.grad == State::Parameter::unknown) throw Skip{};
  if (p.grad == State::Parameter::none) throw Fail{kPlainError};
  for (std::size_t i = 0; i < static_cast<std::size_t>(size_of(parameter)); ++i) {
    double& v = values_of(parameter)[i];
    v = std::clamp(v - p.grad_elements[i] / 16, -2.0, 2.0);
  }
  ++p.version;
}

void Shadow::write(int parameter, std::uint32_t seed) {
  for (int i = 0; i < size_of(parameter); ++i) values_of(parameter)[i] = element(seed, i);
  ++state.parameters[static_cast<std::size_t>(parameter)].version;
}

/// What a callback does to a parameter.
void Shadow::halve(int parameter) {
  had_effect = true;
  if (checkpoint_ >= 0 || callbacks_.empty()) throw Skip{};  // it must happen once
  if (shared_ && parameter == kParameters - 1) throw Skip{};
  // A leaf that was given as a cotangent shows the new value: what its sum is then is open.
  for (const Sweep* sweep = running_; sweep; sweep = sweep->outer) {
    for (const N u : sweep->cotangents) {
      if (u && u->parameter == parameter) throw Skip{};
    }
  }
  for (int i = 0; i < size_of(parameter); ++i) values_of(parameter)[i] /= 2;
  ++state.parameters[static_cast<std::size_t>(parameter)].version;
}

void Shadow::pack(std::span<const std::int8_t> parameters) {
  had_effect = had_effect || !callbacks_.empty();
  if (checkpoint_ >= 0) throw Skip{};
  for (const std::int8_t p : parameters) {
    if (shared_ && p == kParameters - 1) throw Skip{};
    const auto in_backward = state.parameters[static_cast<std::size_t>(p)].in_backward;
    if (in_backward == State::Parameter::written) throw Fail{kPlainError};
    if (in_backward == State::Parameter::entered) throw Skip{};  // whether the pass holds its memory is open
  }
  for (const std::int8_t p : parameters) {
    if (state.memory_count == State::kMostMemories) throw Skip{};
    State::Parameter& parameter = state.parameters[static_cast<std::size_t>(p)];
    const auto made = static_cast<std::size_t>(state.memory_count++);
    state.memories[made] = state.memories[static_cast<std::size_t>(parameter.memory)];
    parameter.memory = static_cast<int>(made);
  }
}

// Marks, recordings and tapes ---------------------------------------------------------------------------

void Shadow::set_mark(int mark, int tape) {
  const int uid = live(state, tape);
  state.marks[static_cast<std::size_t>(mark)] = {uid, tape_of(uid).recording, node_count_};
}

void Shadow::rewind(int mark, int name) {
  const State::Mark& m = state.marks[static_cast<std::size_t>(mark)];
  const int uid = live(state, name);
  if (m.tape < 0) throw Skip{};
  if (m.tape != uid) throw Fail{kTapeMismatch};
  State::Tape& tape = tape_of(m.tape);
  if (m.recording != tape.recording) throw Fail{kStaleVar};
  drop_nodes(tape, m.id, false);
}

/// What a callback hands out to the sequence.
void Shadow::escape(int i, N v) {
  had_effect = true;
  if (checkpoint_ >= 0 || callbacks_.empty()) throw Skip{};
  if (is_dead(v) || is_overwritten(v)) throw Skip{};
  state.vars[static_cast<std::size_t>(i)] = v;
}

void Shadow::rewind_inside(N like, Op what) {
  if (is_dead(like)) throw Fail{kStaleVar};
  const int from = node_count_;
  N x = like;
  op(what, 0, x, false, nullptr, false);
  drop_nodes(tape_of(like->tape), from, false);
}

void Shadow::clear_inside(N like) {
  if (is_dead(like)) throw Fail{kStaleVar};
  if (!innermost_on(like->tape)) throw Skip{};
}

void Shadow::rewind_out(int mark) {
  const State::Mark& m = state.marks[static_cast<std::size_t>(mark)];
  if (checkpoint_ >= 0) throw Skip{};  // when it runs again, the name may stand for another mark
  if (m.tape < 0 || !tape_of(m.tape).alive || !innermost_on(m.tape)) throw Skip{};
  // Nothing may have been recorded between the mark and the callback.
  if (m.recording != tape_of(m.tape).recording) throw Skip{};
  bool between = false;
  for (int id = m.id; id < innermost_on(m.tape)->first; ++id) between = between || node(id)->tape == m.tape;
  if (!between) throw Skip{};
}

void Shadow::clear(int tape) {
  State::Tape& t = tape_of(live(state, tape));
  ++t.recording;
  t.dropped_count = 0;
  t.leaves.fill(nullptr);
}

void Shadow::new_tape(int tape) {
  int& name = state.tape_names[static_cast<std::size_t>(tape)];
  if (name >= 0 || state.tape_count == State::kMostTapes) throw Skip{};
  name = state.tape_count++;
  tape_of(name).alive = true;
}

void Shadow::end_tape(int tape) {
  int& name = state.tape_names[static_cast<std::size_t>(tape)];
  if (name < 0) throw Skip{};
  had_effect = had_effect || !callbacks_.empty();
  if (checkpoint_ >= 0) throw Skip{};
  tape_of(name).alive = false;
  name = -1;
}

void Shadow::detect_nan(int tape, bool on) { tape_of(live(state, tape)).nan_check = on; }
void Shadow::print(int tape) const { live(state, tape); }

// Guards ------------------------------------------------------------------------------------------------

void Shadow::begin_guard(int guard, GuardKind kind, int tape, int profile) {
  State::Guard& g = state.guards[static_cast<std::size_t>(guard)];
  const int uid = live(state, tape);
  if (g.kind != GuardKind::none) throw Skip{};
  g = {kind, uid};
  if (kind == GuardKind::no_grad) ++tape_of(uid).paused;
  if (kind == GuardKind::profile) state.profiles[static_cast<std::size_t>(profile)] = true;
}

void Shadow::end_guard(int guard) {
  State::Guard& g = state.guards[static_cast<std::size_t>(guard)];
  if (g.kind == GuardKind::none) throw Skip{};
  if (g.kind == GuardKind::no_grad) --tape_of(g.tape).paused;
  g = {};
}

void Shadow::end_profile(int profile) {
  bool& alive = state.profiles[static_cast<std::size_t>(profile)];
  if (!alive) throw Skip{};
  alive = false;
}

Shadow::Paused Shadow::no_grad(N like) {
  if (is_dead(like)) throw Fail{kStaleVar};
  return Paused(*this, like->tape);
}

}  // namespace fuzz
