// Pass: one reverse sweep over the recording, with the cotangents of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "lib/tape/executor.hpp"
#include "lib/tape/recording.hpp"

namespace xgrad::detail {

struct TapeCore;
class Frame;

/// What a pass knows of one slot.
struct Cotangent {
  enum class State : std::uint8_t {
    empty,       // nothing was added
    unexpanded,  // `value` broadcasts to the slot's shape
    full         // `value` has the slot's shape
  };
  SlotId value = 0;              // of which the pass holds a handle; 0 while empty
  std::uint32_t pass = 0;        // the pass that wrote this; an entry of another one is void
  std::uint32_t generation = 0;  // of the slot; an entry of a slot that has been freed is void
  State state = State::empty;
  bool on_path = false;    // the slot leads to a target
  bool requested = false;  // a target: the cotangent is kept after its use
};

/// What a pass works in, kept for the next one so that nothing is allocated.
struct PassMemory {
  /// Part of the list that is differentiated from its end: from `next` down to the first instruction with an
  /// id below `floor`.
  struct Segment {
    Instruction* next;  // whose result the pass holds a handle of
    std::uint64_t floor;
  };
  std::uint32_t serial = 0;           // the pass that is using it
  std::vector<Cotangent> cotangents;  // by slot
  std::vector<Segment> segments;
  std::vector<SlotId> targets;
  std::vector<std::shared_ptr<ParameterState>> parameters;  // whose gradients the pass writes
};

/// What becomes of the results of a pass.
enum class PassKind : std::uint8_t {
  values,    // cotangents of targets
  graph,     // the same, recorded
  gradients  // those of parameters are added to their gradients
};

/// One reverse sweep.
///
/// While a vjp runs, at most one of its ops is pending: made, not executed. Adding its result to a cotangent
/// executes it there, or drops it when the operand needs none; recording another op executes it first.
///
/// A checkpoint's vjp lists the instructions of its function anew; the pass that called it differentiates
/// them as a further segment, in the same loop.
///
/// A pass adds in place only to memory that nothing else can read.
///
/// Invariants:
///  1. the pass holds a handle of each slot with a cotangent, of the cotangent, of the result that each
///     segment goes on from, and of the pending call's operands and result;
///  2. a cotangent has its elements and its slot's dtype. `full` has the slot's shape, `unexpanded`
///     broadcasts to it, `empty` names no value. Targets and leaves are never `unexpanded`;
///  3. without a graph, cotangents depend on nothing;
///  4. a segment goes on from a listed instruction;
///  5. the pending call is not listed, and its result has no elements yet.
class Pass {
 public:
  /// `name`: `backward` or `grad`, for errors. @throws std::bad_alloc
  Pass(TapeCore& core, const char* name, PassKind kind);
  /// Releases all handles. After an error it clears the gradients that it was writing.
  ~Pass();
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  /// Asks for the cotangent of a slot.
  void request(SlotId x);
  /// Marks what depends on a target among the instructions from id `floor` to `last`.
  void mark_reachable(Instruction* last, std::uint64_t floor);
  /// The smallest id of a result that can depend on a target.
  std::uint64_t floor() const { return floor_; }
  /// @throws ParameterModified when the derivative of ys reads a value that was overwritten
  void require_unmodified(std::span<const Var> ys) const;
  /// Claims the gradients of the recording's parameters. @throws std::bad_alloc
  void acquire_gradients();
  /// Gives y, a root, its cotangent.
  void seed(const Var& y, const Var& cotangent);
  /// Differentiates all that the seeds reach. With `consume` it drops differentiated instructions that have
  /// no other use; inside a callback only those recorded since the callback began.
  void run(bool consume, const Frame* callback);
  /// The cotangent of a target, empty when none has come.
  Var cotangent(SlotId x);
  /// Marks the pass as successful, and adds leaves' cotangents to gradients that another pass is writing.
  void finish();

  // For vjps.
  bool is_graph() const { return kind_ == PassKind::graph; }
  /// Values with an id below this are constants in the vjp that is running: those from before the pass when
  /// the gradient is not recorded and the vjp takes no derivatives of its own, else none.
  std::uint64_t constant_below() const { return constant_below_; }
  /// Whether the cotangent of a slot leads to a target.
  bool needs(SlotId i) const;
  /// Makes an op the pending call, executes the one before, and gives the op's result.
  Var pend(const OpInfo& op, const void* attributes, std::span<const SlotId> x, const TensorType& type,
           std::uint8_t depends, Reads reads);
  /// Executes the pending call if its result has another handle, else drops it.
  void flush();
  /// Adds v to the cotangent of a slot. `is_sole`: v has no other reader.
  void add(SlotId operand, const Var& v, bool is_sole);
  /// The same for v that broadcasts to the slot's shape.
  void add_broadcast(SlotId operand, const Var& v);
  /// v, broadcast to a shape.
  Var expanded(const Var& v, const Shape& shape);
  /// Differentiates the instructions from id `floor` on, after the running vjp has returned.
  void push_segment(std::uint64_t floor);
  TapeCore& core() const { return core_; }

  /// Recounts the invariants. @throws std::logic_error that names the first that is broken.
  void check() const;

 private:
  friend struct Tamper;
  /// What the pass knows of a slot, to be changed. Valid until the next call: the table grows.
  Cotangent& entry(SlotId i);
  Cotangent& new_entry(SlotId i);
  /// The same to be read, null when it knows nothing.
  const Cotangent* find(SlotId i) const;
  /// Replaces the cotangent of a slot.
  void set(SlotId operand, SlotId value, Cotangent::State state);
  void clear(Cotangent& c, SlotId operand) noexcept;
  /// Makes an unexpanded cotangent full.
  void expand(SlotId operand);
  /// Hands a result's cotangent on to the operands. @returns whether there was one
  bool differentiate(Instruction& instruction);
  /// Executes the pending call into a destination, or into memory of its own when there is none.
  void run_pending(const View* destination, Write write);
  void drop_pending(Instruction& call) noexcept;
  /// Releases the handles of a call that was pending.
  void release_handles(const Instruction& call) noexcept;
  /// Claims one gradient. @returns false when another pass is writing it
  bool acquire_gradient(const std::shared_ptr<ParameterState>& p);
  void require_unmodified(const Instruction& instruction, bool is_running) const;

  TapeCore& core_;
  const char* name_;
  PassKind kind_;
  Pass* outer_;  // the one whose vjp has begun this one
  int pauses_outside_;
  std::unique_ptr<PassMemory> memory_;
  std::uint64_t began_at_;  // the first id that is younger than the pass
  std::uint64_t constant_below_ = 0;
  std::uint64_t floor_;
  Instruction* pending_ = nullptr;
  bool finished_ = false;
};

}  // namespace xgrad::detail
