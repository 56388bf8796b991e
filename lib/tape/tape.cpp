// Tape and Var: entering values, marks, guards.
#include "xgrad/tape/tape.hpp"

#include <algorithm>
#include <cstring>

#include "lib/tape/core.hpp"
#include "lib/tape/nan_check.hpp"
#include "lib/tape/profile_data.hpp"
#include "xgrad/tensor/dispatch.hpp"

namespace xgrad {

using detail::Access;
using detail::Origin;
using detail::Slot;
using detail::SlotId;
using detail::TapeCore;

// Var ---------------------------------------------------------------------------------------------------

const Shape& Var::shape() const& { return Access::slot(*this).shape; }
DType Var::dtype() const { return Access::slot(*this).dtype; }
bool Var::requires_grad() const { return (Access::slot(*this).depends & detail::kOnSource) != 0; }

Tape& Var::tape() const {
  Access::slot(*this);
  return *core_->owner;
}

ConstView Var::view() const& {
  const Slot& slot = Access::slot(*this);
  if (!slot.data) {  // only inside a vjp is a value not there yet
    if (core_->pass) core_->pass->flush();
    if (!slot.data) Access::throw_no_value("variable", slot);
  }
  return core_->values.view(slot);
}

// Tape --------------------------------------------------------------------------------------------------

Tape::Tape() : core_(new TapeCore(this)) {}
Tape::~Tape() { core_->end(); }

Var Tape::enter(TensorType type, bool requires_grad, View& view) {
  if (requires_grad && !is_floating(type.dtype)) {
    throw DTypeError(detail::text("input: dtype must be float32 or float64 to be differentiated, not ",
                                  type.dtype, "; enter it with constant"));
  }
  Var v = requires_grad ? core_->new_value(type, Origin::input, detail::kOnInput)
                        : core_->new_value(type, Origin::constant, detail::kOnNothing);
  Slot& slot = Access::slot(*core_, v);
  core_->values.allocate(slot);
  view = core_->values.mutable_view(slot);
  return v;
}

Var Tape::enter_scalar(double value, DType dtype, bool requires_grad) {
  View view;
  Var v = enter({dtype, Shape{}}, requires_grad, view);
  detail::dispatch_all(dtype, [&]<class T>() { *view.as<T>() = static_cast<T>(value); });
  return v;
}

Var Tape::leaf(const Parameter& parameter) {
  (void)Access::state(parameter);  // throws when it is empty
  return Access::var(*core_, core_->recording.leaf(Access::shared_state(parameter)));
}

Tape::Mark Tape::mark() const {
  Mark mark;
  mark.tape = core_->serial;
  mark.id = core_->values.next_id();
  mark.recording = core_->recording.number();
  return mark;
}

void Tape::rewind(Mark mark) {
  detail::Recording& recording = core_->recording;
  if (mark.tape != core_->serial) throw TapeMismatch("rewind: the mark belongs to another tape");
  if (mark.recording != recording.number()) {
    throw StaleVar(detail::text("rewind: the mark belongs to recording ", mark.recording,
                                ", the current one is ", recording.number()));
  }
  if (core_->frame && mark.id < core_->frame->floor()) {
    throw Error(detail::text("rewind: called inside ", core_->callback(),
                             ", which began after the mark; what was recorded before it is in use"));
  }
  const detail::Frame frame(*core_, "rewind");
  while (recording.last() && recording.id(*recording.last()) >= mark.id) {
    core_->values[recording.last()->y].recording = 0;
    recording.drop(*recording.last());
  }
  core_->check_now_and_then();
}

void Tape::clear() {
  if (core_->frame) {
    throw Error(detail::text("clear: called inside ", core_->callback(), "; the recording is in use"));
  }
  const detail::Frame frame(*core_, "clear");
  for (SlotId i = 1; i < core_->values.size(); ++i) core_->values[i].recording = 0;
  core_->recording.consume();
  core_->check_now_and_then();
}

TapeStatistics Tape::statistics() const {
  const detail::BufferPool& pool = core_->values.pool();
  return {core_->recording.count(), core_->values.live(), pool.bytes_in_use(),
          pool.bytes_held(),        pool.peak_bytes(),    core_->recording.number()};
}

void Tape::detect_nan(NanCheck check) {
  core_->nan_check = check == NanCheck::off ? nullptr : std::make_unique<detail::NanObserver>(*core_, check);
  core_->update_observers();
}

// Guards ------------------------------------------------------------------------------------------------

detail::Guard::Guard(TapeCore* core) noexcept : core_(core) { ++core_->holders; }
detail::Guard::~Guard() {
  if (core_) core_->leave();
}

Tape::Pause::Pause(TapeCore* core) : guard_(core) { ++core->pauses; }
Tape::Pause::~Pause() {
  if (TapeCore* core = guard_.core()) {
    --core->pauses;
    core->pauses_outside = std::min(core->pauses_outside, core->pauses);
  }
}
Tape::Pause Tape::no_grad() { return Pause(core_); }

Tape::Profiling::Profiling(TapeCore* core, Profile* profile) : guard_(core), token_(++core->tokens) {
  TapeCore::Attachment attachment{token_, profile ? profile->data_ : nullptr, nullptr};
  if (profile) {
    attachment.observer =
        std::make_unique<detail::ProfileObserver>(*attachment.profile, core->recording.scopes());
  }
  core->profiles.push_back(std::move(attachment));
  if (profile) profile->data_->start();
  core->update_observers();
}
Tape::Profiling::~Profiling() {
  TapeCore* core = guard_.core();
  if (!core) return;
  auto& profiles = core->profiles;
  const auto found =
      std::find_if(profiles.begin(), profiles.end(), [&](const auto& p) { return p.token == token_; });
  if (found == profiles.end()) return;
  if (found->profile) found->profile->stop();
  profiles.erase(found);
  core->update_observers();
}
Tape::Profiling Tape::profile(Profile* profile) { return Profiling(core_, profile); }

Tape::Scope::Scope(TapeCore* core, std::string_view name)
    : guard_(core), token_(core->recording.scopes().open(name)) {}
Tape::Scope::~Scope() {
  if (TapeCore* core = guard_.core()) core->recording.scopes().close(token_);
}
Tape::Scope Tape::scope(std::string_view name) { return Scope(core_, name); }

}  // namespace xgrad
