// Pass: the reverse sweep and the pending call.
#include "lib/tape/pass.hpp"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>

#include "lib/support/scratch.hpp"
#include "lib/tape/core.hpp"
#include "lib/tape/mutation.hpp"
#include "lib/tensor/copy.hpp"

namespace xgrad::detail {
namespace {

using State = Cotangent::State;

/// Tells observers which call is being differentiated.
class Differentiating {
 public:
  Differentiating(Executor& executor, const Call& call)
      : executor_(executor), outer_(std::exchange(executor.derivative_of, &call)) {}
  ~Differentiating() { executor_.derivative_of = outer_; }
  Differentiating(const Differentiating&) = delete;
  Differentiating& operator=(const Differentiating&) = delete;

 private:
  Executor& executor_;
  const Call* outer_;
};

Call call_of(const Instruction& i) { return {i.op, i.attributes(), i.x(), i.y, i.scope, nullptr}; }

}  // namespace

// Beginning and end -------------------------------------------------------------------------------------

Pass::Pass(TapeCore& core, const char* name, PassKind kind)
    : core_(core),
      name_(name),
      kind_(kind),
      outer_(core.pass),
      pauses_outside_(core.pauses_outside),
      began_at_(core.values.next_id()),
      floor_(kind == PassKind::gradients ? 0 : UINT64_MAX) {
  if (outer_) outer_->flush();
  if (core.spare.empty()) {
    memory_ = std::make_unique<PassMemory>();
  } else {
    memory_ = std::move(core.spare.back());
    core.spare.pop_back();
  }
  if (++memory_->serial == 0) {
    std::fill(memory_->cotangents.begin(), memory_->cotangents.end(), Cotangent{});
    memory_->serial = 1;
  }
  core.pass = this;
  core.pauses_outside = core.pauses;
}

Pass::~Pass() {
  if (pending_) drop_pending(*std::exchange(pending_, nullptr));
  for (const auto& segment : memory_->segments) {
    if (segment.next) core_.release(segment.next->y);
  }
  memory_->segments.clear();
  for (const auto& p : memory_->parameters) {
    p->writer = nullptr;
    if (!finished_) p->has_grad = false;
  }
  memory_->parameters.clear();
  if (finished_) {
    for (const SlotId x : memory_->targets) {
      if (Cotangent& c = entry(x); c.state != State::empty) clear(c, x);
    }
  } else {
    for (SlotId i = 1; i < memory_->cotangents.size(); ++i) {
      Cotangent& c = memory_->cotangents[i];
      if (c.pass == memory_->serial && c.state != State::empty) clear(c, i);
    }
  }
  memory_->targets.clear();
  core_.pass = outer_;
  core_.pauses_outside = std::min(pauses_outside_, core_.pauses);
  if (core_.spare.size() < core_.spare.capacity()) core_.spare.push_back(std::move(memory_));
}

Cotangent& Pass::new_entry(SlotId i) {
  auto& cotangents = memory_->cotangents;
  if (i >= cotangents.size()) cotangents.resize(std::max<std::size_t>(core_.values.size(), 64));
  return cotangents[i] = {0, memory_->serial, core_.values[i].generation, State::empty, false, false};
}

void Pass::clear(Cotangent& c, SlotId operand) noexcept {
  const SlotId value = std::exchange(c.value, 0);
  c.state = State::empty;
  core_.release(value);
  core_.release(operand);
}

// Paths -------------------------------------------------------------------------------------------------

void Pass::request(SlotId x) {
  memory_->targets.push_back(x);
  Cotangent& c = entry(x);
  c.on_path = c.requested = true;
  floor_ = std::min(floor_, core_.values[x].id + 1);
}

void Pass::mark_reachable(Instruction* last, std::uint64_t floor) {
  Instruction* i = last;
  if (!i || core_.recording.id(*i) < floor) return;
  while (i->previous && core_.recording.id(*i->previous) >= floor) i = i->previous;
  for (; i; i = i == last ? nullptr : i->next) {
    for (const SlotId x : i->x()) {
      if (const Cotangent* c = find(x); c && c->on_path) {
        entry(i->y).on_path = true;
        break;
      }
    }
  }
}

void Pass::require_unmodified(std::span<const Var> ys) const {
  const auto leaves = core_.recording.leaves();
  if (std::none_of(leaves.begin(), leaves.end(), [](const auto& leaf) { return leaf->is_modified(); }))
    return;
  std::vector<bool> is_reached(core_.values.size());
  for (const Var& y : ys) is_reached[Access::index(y)] = true;
  for (const Instruction* i = core_.recording.last(); i && core_.recording.id(*i) >= floor_;
       i = i->previous) {
    const auto x = i->x();
    if (!is_reached[i->y] || std::none_of(x.begin(), x.end(), [&](SlotId k) { return needs(k); })) continue;
    require_unmodified(*i, false);
    for (const SlotId k : x) is_reached[k] = true;
  }
}

void Pass::require_unmodified(const Instruction& instruction, bool is_running) const {
  for (std::size_t k = 0; k < instruction.operand_count; ++k) {
    const Slot& x = core_.values[instruction.operands[k]];
    if (x.origin != Origin::parameter || !x.leaf->is_modified() || !instruction.reads_operand(k)) continue;
    const std::string where = !is_running                ? ""
                              : x.leaf->modified_in.what ? " inside " + x.leaf->modified_in.text()
                                                         : " during the pass";
    throw ParameterModified(text(name_, ": parameter ", x.leaf->parameter->name, " was written", where,
                                 " after ", instruction.op->name, " recorded it, and its old value is needed",
                                 "; step the optimiser after backward, or use p.clone()"));
  }
}

void Pass::acquire_gradients() {
  for (const auto& leaf : core_.recording.leaves()) {
    if (core_.values[leaf->slot].recording == core_.recording.number()) acquire_gradient(leaf->parameter);
  }
}

bool Pass::acquire_gradient(const std::shared_ptr<ParameterState>& p) {
  if (p->writer) return p->writer == this;
  if (!p->memory->grads) p->memory->grads = make_aligned(p->bytes());
  memory_->parameters.push_back(p);
  p->writer = this;
  return true;
}

// The sweep ---------------------------------------------------------------------------------------------

void Pass::seed(const Var& y, const Var& cotangent) {
  const SlotId i = Access::index(y);
  if (!needs(i)) return;
  add(i, cotangent, false);
  Instruction* const made_by = producer_of(core_.values[i]);
  if (!made_by) return;
  auto& segments = memory_->segments;
  if (segments.empty()) segments.push_back({nullptr, floor_});
  Instruction*& root = segments[0].next;
  if (root && core_.recording.id(*root) >= core_.recording.id(*made_by)) return;
  core_.hold(i);
  if (root) core_.release(root->y);
  root = made_by;
}

void Pass::push_segment(std::uint64_t floor) {
  Instruction* last = core_.recording.last();
  if (!last || core_.recording.id(*last) < floor) return;
  if (kind_ != PassKind::gradients) mark_reachable(last, floor);
  memory_->segments.push_back({last, floor});
  core_.hold(last->y);
}

void Pass::run(bool consume, const Frame* callback) {
  auto& segments = memory_->segments;
  Recording& recording = core_.recording;
  while (!segments.empty()) {
    const std::size_t level = segments.size() - 1;
    Instruction* i = segments[level].next;
    if (!i || recording.id(*i) < segments[level].floor) {
      segments.pop_back();
      if (i) core_.release(i->y);
      continue;
    }
    const bool is_reached = differentiate(*i);  // which may push a segment
    if (i->previous) core_.hold(i->previous->y);
    segments[level].next = i->previous;
    const SlotId y = i->y;
    Slot& result = core_.values[y];
    if (consume && is_reached && result.uses == 0 && (!callback || result.id >= callback->floor())) {
      if (callback) result.recording = 0;
      recording.drop(*i);
    }
    core_.release(y);
  }
}

bool Pass::differentiate(Instruction& instruction) {
  Cotangent* c = const_cast<Cotangent*>(find(instruction.y));
  if (!c || c->state == State::empty) return false;
  const bool is_unexpanded = c->state == State::unexpanded;
  Var dy = Access::var(core_, c->value);
  if (!c->requested) clear(*c, instruction.y);
  std::uint32_t needed = 0;  // as bits; the highest stands for all further operands
  bool has_modified = false;
  for (std::size_t i = 0; i < instruction.operand_count; ++i) {
    const Slot& x = core_.values[instruction.operands[i]];
    if (needs(instruction.operands[i])) needed |= 1u << std::min<std::size_t>(i, 31);
    if (x.origin == Origin::parameter) has_modified = has_modified || x.leaf->is_modified();
  }
  if (!needed) return true;
  const OpInfo& op = *instruction.op;
  if (!op.vjp) throw NotDifferentiable(text(op.name, ": has no derivative"));
  if (has_modified) require_unmodified(instruction, true);
  constant_below_ = op.built_in && !is_graph() ? began_at_ : 0;
  std::optional<Frame> frame;  // the library's own vjps call nobody back but through a Callback
  if (!op.built_in) frame.emplace(core_, "the vjp of ", op.name, true);
  const Call call = call_of(instruction);
  const Differentiating differentiating(core_.executor, call);
  Backward b = Access::backward(*this, instruction, needed, std::move(dy), is_unexpanded);
  if constexpr (kMutation) {
    if (const MutatorCall mutate; mutate) mutate->begin(op, instruction.attributes(), is_graph());
  }
  op.vjp(instruction.attributes(), b);
  flush();
  core_.require_alive(name_);
  return true;
}

Var Pass::cotangent(SlotId x) {
  const Cotangent* c = find(x);
  return c && c->state != State::empty ? Access::var(core_, c->value) : Var();
}

void Pass::finish() {
  if (kind_ == PassKind::gradients) {
    // Those of parameters whose gradients another pass is writing. They are full, and nothing here throws.
    for (const auto& leaf : core_.recording.leaves()) {
      const Cotangent* c = find(leaf->slot);
      if (!c || c->state == State::empty) continue;
      ParameterState& p = *leaf->parameter;
      copy(core_.values.view(core_.values[c->value]), p.grad_view(),
           p.has_grad ? Write::accumulate : Write::assign);
      p.has_grad = true;
    }
    for (std::size_t i = core_.recording.leaves().size(); i-- > 0;) {
      const SlotId slot = core_.recording.leaves()[i]->slot;
      auto* c = const_cast<Cotangent*>(find(slot));
      if (c && c->state != State::empty) clear(*c, slot);
    }
  }
  finished_ = true;
}

// The pending call --------------------------------------------------------------------------------------

Var Pass::pend(const OpInfo& op, const void* attributes, std::span<const SlotId> x, const TensorType& type,
               std::uint8_t depends, Reads reads) {
  flush();
  Var result = core_.new_value(type, Origin::op, depends);
  const SlotId y = Access::index(result);
  // A result of a missing value is missing too.
  if (std::any_of(x.begin(), x.end(), [&](SlotId i) { return !core_.values[i].data; })) return result;
  pending_ = &core_.recording.make(op, attributes, x, y);
  pending_->reads = reads;
  for (const SlotId i : x) core_.hold(i);
  core_.hold(y);
  return result;
}

void Pass::release_handles(const Instruction& call) noexcept {
  for (const SlotId i : call.x()) core_.release(i);
  core_.release(call.y);
}

void Pass::drop_pending(Instruction& call) noexcept {
  release_handles(call);
  core_.recording.discard(call);
}

void Pass::run_pending(const View* destination, Write write) {
  struct Dropped {  // the call, once it has run or failed
    Pass& pass;
    Instruction* call;
    bool has_run = false;
    ~Dropped() {
      if (!call) return;
      Values& values = pass.core_.values;
      if (!has_run) values.drop_memory(values[call->y]);  // of which a kernel may have written a part
      pass.drop_pending(*call);
    }
  } pending{*this, std::exchange(pending_, nullptr)};
  Instruction& call = *pending.call;
  std::optional<Callback> callback;  // what a user's kernel computes is no call of this pass
  if (!call.op->built_in) callback.emplace(core_, "the kernel of ", call.op->name);
  const Scratch<ConstView> room(call.operand_count);
  const auto views = room.items();
  for (std::size_t i = 0; i < views.size(); ++i) views[i] = core_.values.view(core_.values[call.operands[i]]);
  if (destination) {
    core_.executor.run_into(call_of(call), views, *destination, write);
    pending.has_run = true;
    return;
  }
  core_.executor.run(call_of(call), views, core_.executor.donations(*call.op, call.x(), ~0u, call.reads));
  pending.has_run = true;
  if ((core_.values[call.y].depends & kOnSource) == 0) return;
  core_.recording.list(call, call.reads);
  pending.call = nullptr;
  release_handles(call);
}

void Pass::flush() {
  if (!pending_) return;
  if (core_.values[pending_->y].handles > 1) {
    run_pending(nullptr, Write::assign);
  } else {
    drop_pending(*std::exchange(pending_, nullptr));
  }
}

void Pass::check() const {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw std::logic_error(std::string("pass: ") + what);
  };
  const Values& values = core_.values;
  std::vector<std::uint32_t> held(values.size());
  for (SlotId i = 1; i < memory_->cotangents.size() && i < values.size(); ++i) {
    const Cotangent* c = find(i);
    if (!c) continue;
    require((c->state == State::empty) == (c->value == 0), "an empty cotangent names a value");
    if (!c->value) continue;
    ++held[i], ++held[c->value];
    const Slot &slot = values[i], &value = values[c->value];
    require(value.data, "a cotangent has no elements");
    require(value.dtype == slot.dtype, "a cotangent has another dtype than its slot");
    require(c->state == State::full ? value.shape == slot.shape : broadcasts_to(value.shape, slot.shape),
            "a cotangent does not fit its slot's shape");
    require(c->state == State::full || (!c->requested && slot.origin == Origin::op),
            "the cotangent of a target or a leaf is unexpanded");
    require(is_graph() || value.depends == kOnNothing, "a cotangent without a graph depends on something");
  }
  for (const auto& segment : memory_->segments) {
    if (!segment.next) continue;
    require(segment.next->listed, "a segment goes on from what is not listed");
    ++held[segment.next->y];
  }
  if (pending_) {
    require(!pending_->listed, "the pending call is listed");
    require(!values[pending_->y].data, "the pending call's result has elements already");
    for (const SlotId i : pending_->x()) ++held[i];
    ++held[pending_->y];
  }
  for (SlotId i = 1; i < values.size(); ++i) {
    require(values[i].handles >= held[i], "the pass does not hold a slot that it names");
  }
}

}  // namespace xgrad::detail
