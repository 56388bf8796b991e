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
#include "xgrad/tape/op.hpp"
#include "xgrad/tape/parameter.hpp"
#include "xgrad/tape/tape.hpp"
#include "xgrad/tape/var.hpp"

namespace xgrad::detail {

struct ParameterState {
  TensorType type;
  std::string name;
  std::unique_ptr<std::byte[]> value, grad;
  std::uint64_t version = 0;
  bool has_grad = false;
};

/// Which kind of source a value depends on, so that backward skips what leads to no parameter.
enum Depends : std::uint8_t { kOnNothing = 0, kOnParameter = 1, kOnInput = 2 };

enum class SlotKind : std::uint8_t { free, constant, input, leaf, result };

/// A parameter in use by the current recording, with the version that its slot stands for.
struct Leaf {
  std::shared_ptr<ParameterState> parameter;
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
  bool produced = false;   // by an instruction that is listed
  bool wanted = false;     // in grad(): one of xs, whose cotangent is asked for
  bool unwritten = false;  // a prepared cotangent (a parameter's gradient) that nothing was written to yet
};

struct Instruction {
  const OpInfo* op;
  std::uint32_t output;
  std::uint16_t input_count;
  bool executed;
  bool recorded;            // its derivative's reads are counted in `readers`
  std::uint32_t inputs[1];  // input_count of them, then the attributes

  std::span<const std::uint32_t> operands() const { return {inputs, input_count}; }
  void* attributes() { return reinterpret_cast<std::byte*>(this) + attribute_offset(input_count); }
  const void* attributes() const { return const_cast<Instruction*>(this)->attributes(); }
  static std::size_t attribute_offset(std::size_t input_count) {
    return (offsetof(Instruction, inputs) + input_count * sizeof(std::uint32_t) + 7) / 8 * 8;
  }
};

/// Things that keep their address while more are added.
template <class T>
class StableVector {
 public:
  T& operator[](std::size_t i) { return chunks_[i / kChunk][i % kChunk]; }
  const T& operator[](std::size_t i) const { return chunks_[i / kChunk][i % kChunk]; }
  std::size_t size() const { return size_; }
  std::size_t grow() {
    if (size_ == chunks_.size() * kChunk) chunks_.push_back(std::make_unique<T[]>(kChunk));
    return size_++;
  }

 private:
  static constexpr std::size_t kChunk = 1024;
  std::vector<std::unique_ptr<T[]>> chunks_;
  std::size_t size_ = 0;
};

/// From a parameter to its leaf: a hash table with open addressing, which keeps its memory when it is
/// cleared.
class LeafTable {
 public:
  /// Null when there is none.
  const std::uint32_t* find(const ParameterState* parameter) const;
  void set(const ParameterState* parameter, std::uint32_t leaf);
  void clear();

 private:
  struct Entry {
    const ParameterState* parameter = nullptr;
    std::uint32_t leaf = 0;
  };
  /// Where a parameter is, or where it would be.
  static Entry& place(std::vector<Entry>& entries, const ParameterState* parameter);
  std::vector<Entry> entries_;  // none, or a power of two, at most half of them in use
  std::size_t used_ = 0;
};

/// Memory for instructions, given back from the end.
class InstructionArena {
 public:
  /// 8-byte aligned.
  void* push(std::size_t bytes);
  /// Gives back everything from `first` on, which push returned.
  void pop(const void* first);

 private:
  static constexpr std::size_t kChunk = 256 * 1024;
  struct Chunk {
    std::unique_ptr<std::byte[]> memory;
    std::size_t size;
  };
  std::vector<Chunk> chunks_;
  std::size_t current_ = 0, used_ = 0;
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

  // In a backward pass: instructions from `deferred_from` on wait to be executed or dropped.
  bool deferring = false;
  bool graph = false;
  std::size_t deferred_from = 0;

  std::uint32_t new_slot(const TensorType& type, SlotKind kind, std::uint8_t depends);
  void allocate(Slot& slot);
  void drop_memory(Slot& slot);
  void free_slot_if_unused(std::uint32_t index);
  void release_handle(std::uint32_t index);

  Instruction* append(const OpInfo& op, const void* attributes, std::span<const std::uint32_t> inputs,
                      std::uint32_t output);
  /// Computes an instruction into a destination, or into memory of its own when there is none.
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
  /// Takes deferred instructions that were executed and not recorded off the list.
  void sweep_deferred();
  void flush() {
    execute_deferred(list.size());
    sweep_deferred();
  }
  void consume();
  /// The values that an instruction's derivative reads, given which operands need a cotangent.
  Reads reads_of(const Instruction& instruction) const;
  template <class F>
  void for_each_read(const Instruction& instruction, F&& f) {
    const Reads reads = reads_of(instruction);
    for (std::uint32_t i = 0; i < instruction.input_count && i < 31; ++i) {
      if (reads & (1u << i)) f(slots[instruction.inputs[i]]);
    }
    if (reads & kReadsOutput) f(slots[instruction.output]);
  }

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
  /// The slot that a Var names. @throws StaleVar when it names nothing or its tape has ended.
  static Slot& slot(const Var& v);
  /// The same for use in the current recording. @throws StaleVar when it belongs to one that is gone.
  static Slot& current_slot(const Var& v, const char* use);
  static ParameterState& state(const Parameter& p) { return p.state(); }
  static const std::shared_ptr<ParameterState>& shared_state(const Parameter& p) { return p.state_; }
  static Backward backward(TapeState& state, const Instruction& instruction, Var dy, std::uint32_t mark);
  static std::uint32_t mark(const Backward& b) { return b.mark_; }
};

}  // namespace xgrad::detail
