// TapeCore: frames, the end of a tape, handles, and the recount of all invariants.
#include "lib/tape/core.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

#include "lib/tape/profile_data.hpp"
#include "lib/tensor/copy.hpp"

namespace xgrad::detail {

namespace {
/// Names tapes apart for as long as the program runs.
std::uint64_t next_serial() {
  static std::atomic<std::uint64_t> serial{0};
  return ++serial;
}
}  // namespace

TapeCore::TapeCore(Tape* tape) : owner(tape), serial(next_serial()) { spare.reserve(4); }

void TapeCore::end() noexcept {
  if (frame) ended_in = frame->place();
  owner = nullptr;
  is_ending = !frame && recording.is_dropping();
  if (frame || is_over || is_ending) return;
  recording.end();
  nan_check.reset();
  for (const Attachment& attached : profiles) {
    if (attached.profile) attached.profile->stop();
  }
  profiles.clear();
  executor.observe({});
  for (SlotId i = 1; i < values.size(); ++i) holders += values[i].handles;
  is_over = true;
  values.reset();
  if (holders == 0) delete this;
}

std::string TapeCore::callback() const { return frame ? frame->place().text() : std::string(); }

void Frame::note_writes() noexcept {
  for (const auto& leaf : core_.recording.leaves()) {
    if (leaf->is_modified() && !leaf->modified_in.what) leaf->modified_in = place_;
  }
}

void TapeCore::throw_ended(const char* use) const {
  throw Error(text(use, ": its tape was ended inside ", ended_in.text()));
}

Var TapeCore::renamed(const Slot& from, Origin origin, std::uint8_t depends) {
  Var v = new_value({from.dtype, from.shape}, origin, depends);
  Slot& slot = Access::slot(*this, v);
  if (from.buffer) {
    values.alias(slot, from);
  } else {
    values.allocate(slot);
    copy(values.view(from), values.mutable_view(slot), Write::assign);
  }
  return v;
}

void TapeCore::check() const {
  if (recording.is_dropping()) return;  // called by a destructor of the user's: counts are still to be undone
  values.check();
  recording.check();
  if (pass) pass->check();
}

void TapeCore::update_observers() noexcept {
  Observer* observers[2];
  std::size_t n = 0;
  if (!profiles.empty() && profiles.back().observer) observers[n++] = profiles.back().observer.get();
  if (nan_check) observers[n++] = nan_check.get();  // the last, for it throws
  executor.observe({observers, n});
}

Aside::Aside(TapeCore& core) : core_(core), pass_(core.pass), pauses_outside_(core.pauses_outside) {
  if (pass_) pass_->flush();
  core.pass = nullptr;
  core.pauses_outside = core.pauses;
}

Aside::~Aside() {
  core_.pass = pass_;
  core_.pauses_outside = std::min(pauses_outside_, core_.pauses);
}

// Handles -----------------------------------------------------------------------------------------------

void retain(TapeCore* core, std::uint32_t slot) noexcept {
  if (core->is_over) {
    ++core->holders;
  } else {
    core->hold(slot);
  }
}

void release(TapeCore* core, std::uint32_t slot) noexcept {
  if (core->is_over) {
    core->leave();
  } else {
    core->release(slot);
  }
}

void Access::throw_no_slot(const Var& v) {
  if (!v.core_) throw StaleVar("variable: empty, it names no value");
  if (!v.core_->owner) throw StaleVar("variable: its tape has ended");
  throw StaleVar("variable: its slot was reused; handles crossed threads");
}

void Access::throw_stale(const Slot& s, const char* use) {
  if (s.recording == 0) {
    throw StaleVar(text(use, ": variable %", s.id,
                        " belongs to a part of the recording that was rewound or cleared"
                        "; enter its value again"));
  }
  throw StaleVar(text(use, ": variable %", s.id, " belongs to recording ", s.recording,
                      " of this tape, which backward has consumed; pass keep_recording, or enter its value "
                      "again"));
}

void Access::throw_no_value(const char* use, const Slot& slot) {
  throw Error(text(use, ": the value of %", slot.id, " was not kept; name it in the op's `reads`"));
}

}  // namespace xgrad::detail
