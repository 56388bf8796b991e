// The inside of a tape: slots, instructions, and the counting that says when memory is free.
//
// A slot holds one value. It lives while a Var names it (`handles`), a recorded instruction reads it (`uses`)
// or made it (`produced`). Its memory lives while a Var names it or some instruction will still read its
// values (`readers`): one that waits to be executed, or the derivative of one that is recorded.
//
// Instructions are records of varying size in an arena, listed in order. The tail of the list is dropped as
// soon as nothing names or uses its result, so computing without calling backward does not pile up.
//
// Inside a backward pass instructions are deferred: `b.dx(i) += mul(...)` finds the last one not yet executed
// and gives it the cotangent as its destination; if nobody needs that cotangent it is dropped unexecuted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/support/buffer_pool.hpp"
#include "lib/tape/storage.hpp"
#include "xgrad/support/memory.hpp"
#include "xgrad/tape/op.hpp"
#include "xgrad/tape/parameter.hpp"
#include "xgrad/tape/profile.hpp"
#include "xgrad/tape/tape.hpp"
#include "xgrad/tape/var.hpp"

namespace xgrad::detail {

/// Where values and gradients lie, at the same offsets: of one parameter, or of all that were packed
/// together.
struct ParameterMemory {
  AlignedMemory values, grads;  // without packing, grads are made by the first backward
};

struct ParameterState {
  TensorType type;
  std::string name;
  std::shared_ptr<ParameterMemory> memory;
  std::size_t offset = 0;
  std::uint64_t version = 0;
  bool has_grad = false;
  bool in_backward = false;  // a pass is writing to its gradient

  std::size_t bytes() const { return static_cast<std::size_t>(type.shape.size()) * size_of(type.dtype); }
  std::byte* value() const { return memory->values.get() + offset; }
  std::byte* grad() const { return memory->grads.get() + offset; }
};

/// Which kind of source a value depends on, so that backward skips what leads to no parameter.
enum Depends : std::uint8_t { kOnNothing = 0, kOnParameter = 1, kOnInput = 2 };

enum class SlotKind : std::uint8_t { free, constant, input, leaf, result };

/// A parameter in use by the current recording, with the version that its slot stands for.
struct Leaf {
  std::shared_ptr<ParameterState> parameter;
  std::shared_ptr<ParameterMemory> memory;  // that its slot reads; packing gives the parameter another
  std::uint64_t version;
  std::uint32_t slot, generation;
};

struct Slot {
  void* data = nullptr;      // the values; null when their memory is gone or not yet there
  Buffer* buffer = nullptr;  // what owns the memory; null when it is borrowed from a parameter
  Shape shape;
  std::uint32_t handles = 0, uses = 0, readers = 0;
  std::uint32_t generation = 0;
  std::uint32_t recording = 0;  // the recording it belongs to; 0 when rewind or clear dropped it
  std::uint32_t id = 0;         // its name in print and in errors
  std::uint32_t cotangent = 0;  // in a backward pass: the slot of its cotangent, 0 when there is none
  std::uint32_t mark = 0;       // in grad(): the pass that found it on a path from xs
  DType dtype = DType::float32;
  SlotKind kind = SlotKind::free;
  std::uint8_t depends = kOnNothing;
  bool produced = false;         // by an instruction that is listed
  bool wanted = false;           // in grad(): one of xs, whose cotangent is asked for
  bool small_cotangent = false;  // which is to be repeated to the slot's shape (Backward::dx().repeat)
  bool unwritten = false;  // a prepared cotangent (a parameter's gradient) that nothing was written to yet
};

struct Instruction {
  const OpInfo* op;
  std::uint32_t output;
  Reads reads;  // what its derivative reads, counted in `readers`, once it is recorded
  std::uint16_t input_count;
  bool executed;
  bool recorded;
  std::uint32_t inputs[1];  // input_count of them, then the attributes

  std::span<const std::uint32_t> operands() const { return {inputs, input_count}; }
  /// Whether operand i's value is needed: to be executed, or by the derivative.
  bool needs(std::size_t i) const { return recorded ? i < 31 && (reads >> i & 1) != 0 : true; }
  void* attributes() { return reinterpret_cast<std::byte*>(this) + attribute_offset(input_count); }
  const void* attributes() const { return const_cast<Instruction*>(this)->attributes(); }
  static std::size_t attribute_offset(std::size_t input_count) {
    return (offsetof(Instruction, inputs) + input_count * sizeof(std::uint32_t) + 7) / 8 * 8;
  }
};

/// Which part of a model was recording when: names that nest, and the value from which on each was current.
class ScopeLog {
 public:
  void enter(std::string_view name, std::uint32_t next_id);
  void leave(std::uint32_t next_id);
  /// A new recording begins at value 0.
  void restart();
  /// `encoder/1`, empty outside all scopes.
  std::string path_at(std::uint32_t id) const;

 private:
  struct Name {
    std::uint32_t outer;
    std::string name;
  };
  struct Change {
    std::uint32_t id, scope;
  };
  void change(std::uint32_t scope, std::uint32_t next_id);
  std::vector<Name> names_{{0, {}}};  // each path once, so that nothing is allocated when it comes again
  std::vector<Change> changes_;
  std::uint32_t current_ = 0;
};

struct TapeState {
  explicit TapeState(Tape* owner) : tape(owner) { slots.grow(); }  // slot 0 stands for none

  Tape* tape;               // null when the tape has ended
  std::size_t orphans = 0;  // handles that outlived the tape

  StableVector<Slot> slots;
  std::uint32_t free_slot = 0;  // list of free slots, linked through `mark`
  std::size_t live_slots = 0;
  std::vector<Instruction*> list;
  InstructionArena arena;
  BufferPool pool;

  std::vector<Leaf> leaves;
  std::vector<Leaf>
      past_leaves;       // of recordings that are gone, while a Var still reads the parameter's value
  LeafTable leaf_table;  // the current leaf of each parameter

  std::uint32_t recording = 1;
  std::uint32_t next_id = 0;
  std::uint32_t passes = 0;  // calls of grad() so far, to tell their marks apart
  int paused = 0;
  int trimming_held = 0;       // while it is not 0, trim_tail does nothing
  std::size_t trim_floor = 0;  // trim_tail leaves alone what is listed below

  NanCheck nan_check = NanCheck::off;
  const Instruction* differentiated = nullptr;  // whose vjp is being called
  ScopeLog scopes;
  Profile* profile = nullptr;  // null: nothing is measured

  // In a backward pass: instructions from `deferred_from` on wait to be executed or dropped.
  bool deferring = false;
  bool graph = false;
  std::size_t deferred_from = 0;

  std::uint32_t new_slot(const TensorType& type, SlotKind kind, std::uint8_t depends);
  void allocate(Slot& slot);
  void drop_memory(Slot& slot) {
    if (slot.buffer) pool.release(slot.buffer);
    slot.buffer = nullptr;
    slot.data = nullptr;
  }
  /// Frees a slot, or its memory alone, when nothing is left that needs it.
  void drop_if_unused(std::uint32_t index) {
    Slot& slot = slots[index];
    if (slot.handles) return;
    if (!slot.uses && !slot.produced) {
      free_up(slot, index);
    } else if (!slot.readers) {
      drop_memory(slot);
    }
  }
  void free_up(Slot& slot, std::uint32_t index);
  void release_handle(std::uint32_t index) {
    if (--slots[index].handles > 0) return;
    drop_if_unused(index);
    trim_tail();
  }

  /// Lists an instruction: one whose result is there, whose derivative reads `reads`, or one that waits.
  Instruction& append(const OpInfo& op, const void* attributes, std::span<const std::uint32_t> inputs,
                      std::uint32_t output, bool executed, Reads reads);
  /// Calls an op's kernel, with the workspace that it asks for.
  void evaluate(const OpInfo& op, const void* attributes, Operands x, const View& y, Write write);
  /// The kernel's call itself, measured for `profile`.
  void evaluate_profiled(const OpInfo& op, const void* attributes, Operands x, const View& y, Write write,
                         void* workspace);
  /// Computes an op into memory of its own, or into an operand's: the first one's when it only renames that,
  /// or one of those that are overwritable, when it has the result's type.
  void compute(const OpInfo& op, const void* attributes, std::span<const std::uint32_t> inputs, Operands x,
               Slot& out, std::uint32_t overwritable);
  /// Executes an instruction that waits, into a destination, or into memory of its own when there is none.
  void execute(Instruction& instruction, const View* destination, Write write);
  /// Throws NonFinite when an instruction's result is not finite, in the sense of `nan_check`.
  void check_result(const Instruction& instruction, const ConstView& result) const;
  /// The same for a sum of cotangents.
  void check_sum(const ConstView& sum) const;
  /// `%3 = log(%2)`, and where it was recorded.
  std::string describe(const Instruction& instruction) const;
  /// After execution: either recorded for backward, or of no further use.
  void settle(Instruction& instruction);
  /// Takes an instruction that is no longer listed out of all counts.
  void forget(Instruction& instruction);
  void destroy_attributes(Instruction& instruction);
  void pop_tail();
  /// Drops instructions at the end whose results nothing names or uses, but none below `deferred_from`
  /// while a backward pass runs.
  void trim_tail();
  /// Executes what is deferred, up to `end` of the list.
  void execute_deferred(std::size_t end);
  bool has_operands(const Instruction& instruction) const;
  /// Which operands of an elementwise op, as bits of those in `candidates`, nobody needs but the op: its
  /// caller's handle, or its own reading when it waits, is the only claim, and the derivative, which reads
  /// `reads`, has none.
  std::uint32_t overwritable(const OpInfo& op, std::span<const std::uint32_t> inputs,
                             std::uint32_t candidates, Reads reads) const;
  /// Takes deferred instructions that were executed and not recorded off the list.
  void sweep_deferred();
  void flush() {
    if (list.size() == deferred_from) return;
    execute_deferred(list.size());
    sweep_deferred();
  }
  void consume();
  /// The values that an op's derivative reads, given which operands need a cotangent.
  Reads reads_of(const OpInfo& op, std::span<const std::uint32_t> inputs) const;

  ConstView view(const Slot& slot) const { return {slot.data, slot.dtype, &slot.shape}; }
};

/// The library's own way into Var, Parameter and Backward.
struct Access {
  static TapeState* state(const Var& v) { return v.state_; }
  static TapeState* state(const Tape& t) { return t.state_; }
  static std::uint32_t index(const Var& v) { return v.slot_; }
  /// A new handle of a slot.
  static Var var(TapeState& state, std::uint32_t index) {
    Slot& slot = state.slots[index];
    ++slot.handles;
    Var v;
    v.state_ = &state, v.slot_ = index, v.generation_ = slot.generation;
    return v;
  }
  /// The tape that a Var belongs to. @throws StaleVar when it names nothing or its tape has ended.
  static TapeState& live_state(const Var& v) {
    if (!v.state_ || !v.state_->tape) throw_no_slot(v);
    return *v.state_;
  }
  /// The slot that a Var names. @throws StaleVar when it names nothing or its tape has ended.
  static Slot& slot(const Var& v) {
    Slot& slot = live_state(v).slots[v.slot_];
    if (slot.generation != v.generation_) throw_no_slot(v);
    return slot;
  }
  /// The same for use in the current recording. @throws StaleVar when it belongs to one that is gone.
  static Slot& current_slot(const Var& v, const char* use) {
    Slot& s = slot(v);
    if (s.recording != v.state_->recording) throw_stale(s, use);
    return s;
  }
  /// The same where it is known which tape a Var belongs to, and that this lives.
  static Slot& current_slot(TapeState& state, const Var& v, const char* use) {
    Slot& s = state.slots[v.slot_];
    if (s.generation != v.generation_ || s.recording != state.recording) return current_slot(v, use);
    return s;
  }
  [[noreturn]] static void throw_no_slot(const Var& v);
  [[noreturn]] static void throw_stale(const Slot& slot, const char* use);
  static ParameterState& state(const Parameter& p) { return p.state(); }
  static const std::shared_ptr<ParameterState>& shared_state(const Parameter& p) { return p.state_; }
  static Backward backward(TapeState& state, const Instruction& instruction, Var dy, bool small,
                           std::uint32_t mark);
  static std::uint32_t mark(const Backward& b) { return b.mark_; }
};

}  // namespace xgrad::detail
