// Recording: the list of instructions, and what belongs to it: leaves of parameters and scopes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/tape/parameter_state.hpp"
#include "lib/tape/values.hpp"

namespace xgrad::detail {

struct TapeCore;

/// An op, its result, its operands and its attributes, as plain data. Instructions are a doubly linked list.
struct Instruction {
  const OpInfo* op;
  Instruction *previous, *next;
  SlotId y;
  Reads reads;          // the values that its derivative reads, counted in Slot::readers
  std::uint32_t scope;  // the scope that was open when it was recorded
  std::uint16_t operand_count;
  bool listed;
  SlotId operands[1];  // operand_count of them, then the attributes

  std::span<const SlotId> x() const { return {operands, operand_count}; }
  /// Whether the derivative reads operand i. The highest bit of operands stands for all further ones.
  bool reads_operand(std::size_t i) const { return (reads >> std::min<std::size_t>(i, 30) & 1) != 0; }
  void* attributes() { return reinterpret_cast<std::byte*>(this) + attribute_offset(operand_count); }
  const void* attributes() const { return const_cast<Instruction*>(this)->attributes(); }
  static std::size_t attribute_offset(std::size_t operand_count) {
    return (offsetof(Instruction, operands) + operand_count * sizeof(SlotId) + 7) / 8 * 8;
  }
  std::size_t bytes() const { return attribute_offset(operand_count) + op->attribute_bytes; }
};

/// The listed instruction that computed a value, null when there is none.
inline Instruction* producer_of(const Slot& slot) {
  return slot.origin == Origin::op ? slot.producer : nullptr;
}

/// A callback, for errors: what it is and the name of its op, both of static storage.
struct Place {
  const char* what = nullptr;
  const char* name = "";
  /// `the vjp of mul`
  std::string text() const { return std::string(what) + name; }
};

/// Memory of instructions, recycled by size.
class InstructionMemory {
 public:
  /// 16-byte aligned. @throws std::bad_alloc
  void* acquire(std::size_t bytes) {
    Free*& first = free_[class_of(bytes)];
    return first ? std::exchange(first, first->next) : create(class_of(bytes));
  }
  void release(void* memory, std::size_t bytes) noexcept {
    Free*& first = free_[class_of(bytes)];
    first = new (memory) Free{first};
  }

 private:
  struct Free {
    Free* next;
  };
  // Multiples of 16 bytes up to 1 KiB, then powers of two.
  static constexpr std::size_t kStep = 16, kSteps = 64, kClasses = kSteps + 1 + 16;
  static std::size_t class_of(std::size_t bytes) {
    const std::size_t steps = (bytes + kStep - 1) / kStep;
    if (steps <= kSteps) [[likely]]
      return steps;
    return kSteps + static_cast<std::size_t>(std::bit_width((steps - 1) / kSteps));
  }
  void* create(std::size_t size_class);

  std::array<Free*, kClasses> free_{};
  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  std::byte* at_ = nullptr;
  std::size_t left_ = 0;
};

/// A parameter in use on a tape: what its slot stands for.
struct Leaf {
  std::shared_ptr<ParameterState> parameter;
  std::shared_ptr<ParameterMemory> memory;  // that the slot reads; packing gives the parameter another
  std::uint64_t version = 0;
  SlotId slot = 0;
  std::uint32_t index = 0;  // in Recording::leaves_
  Place modified_in;        // the callback in which the parameter was written, when that is known

  bool is_modified() const { return version != parameter->version; }
};

/// From a parameter to its leaf: a hash table with open addressing that keeps its memory.
class LeafTable {
 public:
  /// Null when there is none.
  Leaf* find(const ParameterState* parameter) const;
  /// @throws std::bad_alloc
  void set(Leaf* leaf);
  /// Removes a leaf, unless its parameter has another one by now.
  void erase(const Leaf* leaf) noexcept;
  void clear() noexcept;
  /// The number of entries.
  std::size_t size() const { return used_; }

 private:
  static std::size_t hash(const ParameterState* parameter);
  std::size_t place(const ParameterState* parameter) const;
  std::vector<Leaf*> entries_;  // none, or a power of two, at most half of them in use
  std::size_t used_ = 0;
};

/// The names of scopes, which nest, and the scopes that are open.
class Scopes {
 public:
  /// Opens a scope inside of the current one. @returns its token. @throws std::bad_alloc
  std::uint64_t open(std::string_view name);
  /// Closes a scope, the current one or another.
  void close(std::uint64_t token) noexcept;
  std::uint32_t current() const { return open_.empty() ? 0 : open_.back().scope; }
  /// `encoder/1`, empty outside of all scopes.
  std::string path(std::uint32_t scope) const;
  /// Counts the instructions that name a scope.
  void hold(std::uint32_t scope) { ++names_[scope].uses; }
  void release(std::uint32_t scope) {
    while (--names_[scope].uses == 0 && scope) scope = names_[scope].outer;
  }
  std::size_t size() const { return names_.size(); }

 private:
  struct Name {
    std::uint32_t outer = 0, uses = 0;
    std::string name;
  };
  struct Open {
    std::uint64_t token;
    std::uint32_t scope;
  };
  std::vector<Name> names_{{0, 1, {}}};  // 0: outside of all scopes. Those without uses are recycled.
  std::vector<Open> open_;
  std::uint64_t tokens_ = 0;
};

/// The recording of a tape.
///
/// Invariants:
///  1. instructions are a doubly linked list of count() members;
///  2. a listed result depends on an input or a parameter, and what a listed derivative reads has its
///     elements;
///  3. ids of results grow along the list, and an operand's id is smaller than its result's: the order is
///     topological;
///  4. uses, readers and producers of all slots are those of the listed instructions;
///  5. each listed result is reachable: a Var, a cotangent or a later instruction holds it;
///  6. each leaf has a live slot of its own and each parameter's slot its leaf;
///  7. the table maps a parameter to its newest leaf, or to none.
class Recording {
 public:
  /// `when_idle(core)` is called whenever the last of a series of drops is done: what an instruction owns may
  /// be the last to own the tape.
  Recording(Values& values, TapeCore& core, void (*when_idle)(TapeCore& core))
      : values_(values), core_(core), when_idle_(when_idle) {}

  /// An instruction that is neither executed nor listed. @throws std::bad_alloc and what copying the
  /// attributes throws
  Instruction& make(const OpInfo& op, const void* attributes, std::span<const SlotId> x, SlotId y);
  /// Gives back an instruction that is not listed.
  void discard(Instruction& instruction) noexcept;
  /// Appends an executed instruction whose derivative reads `reads`.
  void list(Instruction& instruction, Reads reads);
  /// Takes an instruction that no later one uses off the list, and all that only it kept alive.
  void drop(Instruction& instruction) noexcept;
  /// Drops all instructions and begins the next recording.
  void consume() noexcept;
  /// Ends the last recording: handles that are left must not be followed any more.
  void end() noexcept {
    consume();
    leaves_.clear();
    leaf_count_ = 0;
  }

  Instruction* first() const { return first_; }
  Instruction* last() const { return last_; }
  std::size_t count() const { return count_; }
  bool is_dropping() const { return dropping_; }
  std::uint32_t number() const { return number_; }
  std::uint64_t id(const Instruction& instruction) const { return values_[instruction.y].id; }

  /// One handle less.
  void release(SlotId i) noexcept {
    Slot& slot = values_[i];
    if (--slot.handles == 0) let_go(slot, i);
  }

  /// The slot of a parameter: the same until the parameter is written or nothing holds the slot any more.
  /// @throws std::bad_alloc
  SlotId leaf(const std::shared_ptr<ParameterState>& parameter);
  std::span<const std::unique_ptr<Leaf>> leaves() const { return {leaves_.data(), leaf_count_}; }

  Scopes& scopes() { return scopes_; }
  const Scopes& scopes() const { return scopes_; }

  /// Recounts the invariants. @throws std::logic_error that names the first that is broken.
  void check() const;

 private:
  friend struct Tamper;
  /// After the last handle: drops the memory, the slot, or the instruction that computed it.
  void let_go(Slot& slot, SlotId i) noexcept;
  void unlink(Instruction& instruction) noexcept;
  /// Undoes the counts of list() for an instruction that is unlinked, and gives its memory back.
  void forget(Instruction& instruction) noexcept;
  void free_slot(Slot& slot, SlotId i) noexcept;

  Values& values_;
  TapeCore& core_;
  void (*when_idle_)(TapeCore& core);
  Instruction *first_ = nullptr, *last_ = nullptr;
  std::size_t count_ = 0;
  std::uint32_t number_ = 1;
  Instruction* dropped_ = nullptr;  // unlinked, still to be forgotten
  bool dropping_ = false;
  InstructionMemory memory_;
  std::vector<std::unique_ptr<Leaf>> leaves_;  // those from leaf_count_ on are spare
  std::size_t leaf_count_ = 0;
  LeafTable leaf_table_;
  Scopes scopes_;
};

}  // namespace xgrad::detail
