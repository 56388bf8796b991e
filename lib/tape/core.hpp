// TapeCore: a tape's values, recording and executor, the pass that is running, and the callbacks around it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lib/tape/executor.hpp"
#include "lib/tape/pass.hpp"
#include "lib/tape/recording.hpp"
#include "xgrad/tape/parameter.hpp"
#include "xgrad/tape/tape.hpp"
#include "xgrad/tape/var.hpp"

namespace xgrad::detail {

struct ProfileData;
class Frame;

#ifdef XGRAD_CHECKS
inline constexpr bool kChecks = true;
#else
inline constexpr bool kChecks = false;
#endif

/// The inside of a tape.
struct TapeCore {
  explicit TapeCore(Tape* tape);

  Tape* owner;             // null when the tape has ended
  bool is_over = false;    // and its values are gone
  bool is_ending = false;  // it has ended while instructions were being dropped
  std::uint64_t serial;    // names the tape; addresses are used again
  Values values;
  Recording recording{values, *this, [](TapeCore& core) {
                        if (core.is_ending) core.end();
                      }};
  Executor executor{values};
  Pass* pass = nullptr;  // whose vjp is running; null: ops are executed and recorded at once
  Frame* frame = nullptr;
  int pauses = 0;                                  // living no_grad guards
  int pauses_outside = 0;                          // of these, begun before a derivative was asked for
  std::size_t holders = 0;                         // living guards; after the end, handles too
  Place ended_in;                                  // the frame in which the tape ended, while frames are left
  std::vector<std::unique_ptr<PassMemory>> spare;  // for the next passes
  std::unique_ptr<Observer> nan_check;
  struct Attachment {
    std::uint64_t token;
    std::shared_ptr<ProfileData> profile;  // null: nothing is measured
    std::unique_ptr<Observer> observer;
  };
  std::vector<Attachment> profiles;  // the last one measures
  std::uint64_t tokens = 0;
  std::size_t unchecked = 0;  // calls since the last check()

  bool is_paused() const { return pauses > pauses_outside; }
  void hold(SlotId i) { ++values[i].handles; }
  void release(SlotId i) noexcept { recording.release(i); }
  /// A value without elements, that the result alone holds. @throws std::bad_alloc
  Var new_value(const TensorType& type, Origin origin, std::uint8_t depends);
  /// The elements of a slot under another name: the same memory, or a copy where a parameter owns it.
  Var renamed(const Slot& from, Origin origin, std::uint8_t depends);
  /// Tells the executor who observes.
  void update_observers() noexcept;
  /// Ends the tape, or notes that it has ended when a frame is left. May delete the core.
  void end() noexcept;
  /// One guard or handle less after the end. May delete the core.
  void leave() noexcept {
    if (--holders == 0 && is_over) delete this;
  }
  /// The innermost callback as text.
  std::string callback() const;
  /// @throws Error when a callback has ended the tape
  void require_alive(const char* use) const {
    if (!owner) [[unlikely]]
      throw_ended(use);
  }
  /// `%3 = log(%2) : float64 [3] in encoder/1`
  std::string describe(const Call& call) const;

  /// Recounts all invariants. @throws std::logic_error
  void check() const;
  /// check(), in builds with XGRAD_CHECKS, after every public call: on large tapes after every so many, so
  /// that the time stays proportional to the calls.
  void check_now_and_then() {
    if constexpr (kChecks) {
      if (++unchecked < values.size() && values.size() > 512) return;
      unchecked = 0;
      check();
    }
  }

 private:
  [[noreturn]] void throw_ended(const char* use) const;
};

/// User code that the tape is calling, or a public function that may call some. Frames nest, as a list on the
/// stack. While there is one, the tape may be neither cleared nor rewound past it, and a tape that ends
/// keeps its memory until the outermost frame is left.
class Frame {
 public:
  /// `is_user`: the frame is the user's code, which may write parameters.
  Frame(TapeCore& core, const char* what, const char* name = "", bool is_user = false)
      : core_(core),
        place_{what, name},
        outer_(core.frame),
        floor_(core.values.next_id()),
        is_user_(is_user) {
    core.frame = this;
  }
  ~Frame() {
    if (is_user_ && outer_) note_writes();
    core_.frame = outer_;
    if (!outer_ && !core_.owner) core_.end();
  }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  Place place() const { return place_; }
  /// What was recorded since the frame began has at least this id.
  std::uint64_t floor() const { return floor_; }

 private:
  /// So that an error about a parameter can say where it was written.
  void note_writes() noexcept;
  TapeCore& core_;
  Place place_;
  Frame* outer_;
  std::uint64_t floor_;
  bool is_user_;
};

/// Sets the pass aside, and pauses too: while it lives, ops are executed and recorded as outside of both.
class Aside {
 public:
  explicit Aside(TapeCore& core);
  ~Aside();
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;

 private:
  TapeCore& core_;
  Pass* pass_;
  int pauses_outside_;
};

/// A callback of the user's that runs with the pass set aside: a hook, a checkpointed function, the lambdas
/// of custom_vjp.
class Callback {
 public:
  Callback(TapeCore& core, const char* what, const char* name = "")
      : frame_(core, what, name, true), aside_(core) {}

 private:
  Frame frame_;
  Aside aside_;
};

/// The library's own way into Var, Parameter and Backward.
struct Access {
  static TapeCore* core(const Var& v) { return v.core_; }
  static TapeCore& core(const Tape& t) { return *t.core_; }
  static SlotId index(const Var& v) { return v.slot_; }
  /// A new handle of a slot.
  static Var var(TapeCore& core, SlotId index) {
    Slot& slot = core.values[index];
    ++slot.handles;
    Var v;
    v.core_ = &core, v.slot_ = index, v.generation_ = slot.generation;
    return v;
  }
  /// The tape that a Var belongs to. @throws StaleVar when it names nothing or its tape has ended.
  static TapeCore& live_core(const Var& v) {
    if (!v.core_ || !v.core_->owner) throw_no_slot(v);
    return *v.core_;
  }
  /// The slot that a Var names. @throws StaleVar when it names nothing or its tape has ended.
  static Slot& slot(const Var& v) {
    Slot& slot = live_core(v).values[v.slot_];
    if (slot.generation != v.generation_) throw_no_slot(v);
    return slot;
  }
  /// The same where the tape is known and lives.
  static Slot& slot(TapeCore& core, const Var& v) {
    Slot& slot = core.values[v.slot_];
    if (slot.generation != v.generation_) throw_no_slot(v);
    return slot;
  }
  /// The same for a use through which a derivative flows. @throws StaleVar when its recording is gone.
  static Slot& current_slot(const Var& v, const char* use) {
    Slot& s = slot(v);
    if (is_stale(*v.core_, s)) throw_stale(s, use);
    return s;
  }
  /// Whether a value depends on what is no longer recorded.
  static bool is_stale(const TapeCore& core, const Slot& slot) {
    return slot.recording != core.recording.number() && (slot.depends & kOnSource) != 0;
  }
  [[noreturn]] static void throw_no_slot(const Var& v);
  [[noreturn]] static void throw_stale(const Slot& slot, const char* use);
  [[noreturn]] static void throw_no_value(const char* use, const Slot& slot);
  static ParameterState& state(const Parameter& p) { return p.state(); }
  static const std::shared_ptr<ParameterState>& shared_state(const Parameter& p) { return p.state_; }
  static Backward backward(Pass& pass, const Instruction& instruction, std::uint32_t needed, Var dy,
                           bool is_unexpanded);
  static Pass& pass(const Backward& b) { return *b.pass_; }
};

/// A value as a source of its own, to be differentiated with respect to.
Var watch(const Var& x);
/// Fills a floating tensor with one value.
void fill(const View& v, double value);
/// A constant like a slot, filled with one value.
Var filled_like(TapeCore& core, const Slot& slot, double value);
/// grad, with zeros in place of NotDifferentiable for ys that depend on nothing.
std::vector<Var> grad_or_zeros(std::span<const Var> ys, std::span<const Var> cotangents,
                               std::span<const Var> xs, bool create_graph);

inline Var TapeCore::new_value(const TensorType& type, Origin origin, std::uint8_t depends) {
  return Access::var(*this, values.create(type, origin, depends, recording.number()));
}

inline const Cotangent* Pass::find(SlotId i) const {
  if (i >= memory_->cotangents.size()) return nullptr;
  const Cotangent& c = memory_->cotangents[i];
  return c.pass == memory_->serial && c.generation == core_.values[i].generation ? &c : nullptr;
}

inline bool Pass::needs(SlotId i) const {
  if (kind_ == PassKind::gradients) return (core_.values[i].depends & kOnParameter) != 0;
  const Cotangent* c = find(i);
  return c && c->on_path;
}

inline Cotangent& Pass::entry(SlotId i) {
  const Cotangent* found = find(i);
  return found ? const_cast<Cotangent&>(*found) : new_entry(i);
}

}  // namespace xgrad::detail
