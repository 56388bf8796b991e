#include "lib/tape/state.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <utility>

#include "lib/support/scratch.hpp"

namespace xgrad::detail {

void* InstructionArena::push_on(std::size_t bytes) {
  while (current_ < chunks_.size() && used_ + bytes > chunks_[current_].size) ++current_, used_ = 0;
  if (current_ == chunks_.size()) {
    const std::size_t size = std::max(kChunk, bytes);
    chunks_.push_back({std::make_unique_for_overwrite<std::byte[]>(size), size});
  }
  void* place = chunks_[current_].memory.get() + used_;
  used_ += bytes;
  return place;
}

void InstructionArena::pop(const void* first) {
  const auto* p = static_cast<const std::byte*>(first);
  const auto holds = [&](const Chunk& c) { return p >= c.memory.get() && p < c.memory.get() + c.size; };
  while (!holds(chunks_[current_])) --current_;
  used_ = static_cast<std::size_t>(p - chunks_[current_].memory.get());
}

LeafTable::Entry& LeafTable::place(std::vector<Entry>& entries, const ParameterState* parameter) {
  const std::size_t mask = entries.size() - 1;
  // Addresses are multiples of 16; the product spreads them over the upper bits.
  std::size_t i =
      (reinterpret_cast<std::uintptr_t>(parameter) * std::uint64_t{0x9E3779B97F4A7C15}) >> 32 & mask;
  while (entries[i].parameter && entries[i].parameter != parameter) i = (i + 1) & mask;
  return entries[i];
}

const std::uint32_t* LeafTable::find(const ParameterState* parameter) const {
  if (entries_.empty()) return nullptr;
  const Entry& entry = place(const_cast<std::vector<Entry>&>(entries_), parameter);
  return entry.parameter ? &entry.leaf : nullptr;
}

void LeafTable::set(const ParameterState* parameter, std::uint32_t leaf) {
  if (2 * (used_ + 1) > entries_.size()) {
    std::vector<Entry> larger(std::max<std::size_t>(16, 2 * entries_.size()));
    for (const Entry& entry : entries_) {
      if (entry.parameter) place(larger, entry.parameter) = entry;
    }
    entries_.swap(larger);
  }
  Entry& entry = place(entries_, parameter);
  used_ += entry.parameter == nullptr;
  entry = {parameter, leaf};
}

void LeafTable::clear() {
  std::fill(entries_.begin(), entries_.end(), Entry{});
  used_ = 0;
}

// Slots -------------------------------------------------------------------------------------------------

std::uint32_t TapeState::new_slot(const TensorType& type, SlotKind kind, std::uint8_t depends) {
  std::uint32_t index = free_slot;
  if (index) {
    free_slot = slots[index].mark;
  } else {
    if (slots.size() >= UINT32_MAX) throw Error("tape: more than 4294967295 values alive");
    index = static_cast<std::uint32_t>(slots.grow());
  }
  Slot& slot = slots[index];
  slot.shape = type.shape;
  slot.dtype = type.dtype;
  slot.kind = kind;
  slot.depends = depends;
  slot.recording = recording;
  slot.id = next_id++;
  slot.mark = 0;
  slot.wanted = slot.small_cotangent = slot.unwritten = false;
  ++live_slots;
  return index;
}

void TapeState::allocate(Slot& slot) {
  slot.buffer = pool.acquire(static_cast<std::size_t>(slot.shape.size()) * size_of(slot.dtype));
  slot.data = BufferPool::payload(slot.buffer);
}

void TapeState::free_up(Slot& slot, std::uint32_t index) {
  drop_memory(slot);
  slot.kind = SlotKind::free;
  slot.readers = 0;
  ++slot.generation;
  slot.mark = free_slot;
  free_slot = index;
  --live_slots;
}

void retain(TapeState* state, std::uint32_t slot) noexcept {
  if (state->tape) {
    ++state->slots[slot].handles;
  } else {
    ++state->orphans;
  }
}

void release(TapeState* state, std::uint32_t slot) noexcept {
  if (state->tape) {
    state->release_handle(slot);
  } else if (--state->orphans == 0) {
    delete state;
  }
}

void Access::throw_no_slot(const Var& v) {
  if (!v.state_) throw StaleVar("variable: empty, it names no value");
  if (!v.state_->tape) throw StaleVar("variable: its tape has ended");
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

// Instructions ------------------------------------------------------------------------------------------

Instruction& TapeState::append(const OpInfo& op, const void* attributes,
                               std::span<const std::uint32_t> inputs, std::uint32_t output, bool executed,
                               Reads reads) {
  const std::size_t offset = Instruction::attribute_offset(inputs.size());
  list.push_back(nullptr);  // the place first: should memory run out, nothing has changed
  void* place = nullptr;
  try {
    place = arena.push(offset + op.attribute_bytes);
    if (op.copy) op.copy(attributes, static_cast<std::byte*>(place) + offset);
  } catch (...) {
    list.pop_back();
    if (place) arena.pop(place);
    throw;
  }
  auto& instruction = *new (place) Instruction{
      &op, output, reads, static_cast<std::uint16_t>(inputs.size()), executed, executed, {}};
  if (op.attribute_bytes && !op.copy) std::memcpy(instruction.attributes(), attributes, op.attribute_bytes);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    instruction.inputs[i] = inputs[i];
    Slot& operand = slots[inputs[i]];
    ++operand.uses;
    operand.readers += instruction.needs(i);
  }
  slots[output].produced = true;
  slots[output].readers += (reads & kReadsOutput) != 0;
  list.back() = &instruction;
  return instruction;
}

namespace {

/// The memory that an op asks for besides its result, for as long as it runs.
class Workspace {
 public:
  Workspace(BufferPool& pool, const OpInfo& op, const void* attributes, Operands x)
      : pool_(pool), buffer_(op.workspace ? pool.acquire(op.workspace(attributes, x)) : nullptr) {}
  ~Workspace() {
    if (buffer_) pool_.release(buffer_);
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  void* memory() const { return buffer_ ? BufferPool::payload(buffer_) : nullptr; }

 private:
  BufferPool& pool_;
  Buffer* buffer_;
};

}  // namespace

void TapeState::evaluate(const OpInfo& op, const void* attributes, Operands x, const View& y, Write write) {
  const Workspace workspace(pool, op, attributes, x);
  if (profile) [[unlikely]] {
    evaluate_profiled(op, attributes, x, y, write, workspace.memory());
  } else {
    op.eval(attributes, x, y, write, workspace.memory());
  }
}

void TapeState::compute(const OpInfo& op, const void* attributes, std::span<const std::uint32_t> inputs,
                        Operands x, Slot& out, std::uint32_t overwritable) {
  if (const Slot& first = slots[inputs[0]]; op.aliases && first.buffer) {
    out.buffer = first.buffer;
    out.data = first.data;
    ++out.buffer->owners;
    return;
  }
  for (; overwritable; overwritable &= overwritable - 1) {
    Slot& slot = slots[inputs[static_cast<std::size_t>(std::countr_zero(overwritable))]];
    if (!slot.buffer || slot.buffer->owners > 1) continue;
    if (slot.dtype != out.dtype || slot.shape != out.shape) continue;
    out.buffer = std::exchange(slot.buffer, nullptr);
    out.data = std::exchange(slot.data, nullptr);
    break;
  }
  if (!out.buffer) allocate(out);
  evaluate(op, attributes, x, {out.data, out.dtype, &out.shape}, Write::assign);
}

void TapeState::execute(Instruction& instruction, const View* destination, Write write) {
  const Scratch<ConstView> room(instruction.input_count);
  const auto views = room.items();
  for (std::size_t i = 0; i < views.size(); ++i) views[i] = view(slots[instruction.inputs[i]]);
  Slot& out = slots[instruction.output];
  if (destination) {
    evaluate(*instruction.op, instruction.attributes(), views, *destination, write);
  } else {
    const OpInfo& op = *instruction.op;
    const auto inputs = instruction.operands();
    const Reads reads = out.depends ? reads_of(op, inputs) : kReadsNothing;
    compute(op, instruction.attributes(), inputs, views, out, overwritable(op, inputs, ~0u, reads));
  }
  if (nan_check != NanCheck::off)
    check_result(instruction, destination ? ConstView(*destination) : view(out));
  instruction.executed = true;
}

void TapeState::settle(Instruction& instruction) {
  Slot& out = slots[instruction.output];
  if (out.depends == kOnNothing) return;
  instruction.recorded = true;
  instruction.reads = reads_of(*instruction.op, instruction.operands());
  out.readers += (instruction.reads & kReadsOutput) != 0;
  for (std::size_t i = 0; i < instruction.input_count; ++i) {
    if (instruction.needs(i)) continue;
    --slots[instruction.inputs[i]].readers;
    drop_if_unused(instruction.inputs[i]);
  }
}

void TapeState::forget(Instruction& instruction) {
  Slot& out = slots[instruction.output];
  out.produced = false;
  out.readers -= (instruction.reads & kReadsOutput) != 0;
  for (std::size_t i = 0; i < instruction.input_count; ++i) {
    Slot& operand = slots[instruction.inputs[i]];
    --operand.uses;
    operand.readers -= instruction.needs(i);
    drop_if_unused(instruction.inputs[i]);
  }
  drop_if_unused(instruction.output);
}

void TapeState::destroy_attributes(Instruction& instruction) {
  if (!instruction.op->destroy) return;
  ++trimming_held;  // a Var among the attributes may be the last handle of what is listed before
  instruction.op->destroy(instruction.attributes());
  --trimming_held;
}

void TapeState::pop_tail() {
  Instruction* last = list.back();
  list.pop_back();
  forget(*last);
  destroy_attributes(*last);
  arena.pop(last);
}

void TapeState::trim_tail() {
  if (trimming_held) return;
  const std::size_t floor = std::max(trim_floor, deferring ? deferred_from : 0);
  while (list.size() > floor) {
    const Slot& out = slots[list.back()->output];
    if (out.handles || out.uses) break;
    pop_tail();
  }
}

void TapeState::execute_deferred(std::size_t end) {
  for (std::size_t i = deferred_from; i < end; ++i) {
    Instruction& instruction = *list[i];
    const Slot& out = slots[instruction.output];
    if (instruction.executed || (!out.handles && !out.uses)) continue;
    // What would be computed from values that were not kept is for an operand that needs no cotangent.
    if (!has_operands(instruction)) continue;
    execute(instruction, nullptr, Write::assign);
    settle(instruction);
  }
}

bool TapeState::has_operands(const Instruction& instruction) const {
  const auto operands = instruction.operands();
  return std::all_of(operands.begin(), operands.end(),
                     [&](std::uint32_t i) { return slots[i].data != nullptr; });
}

void TapeState::sweep_deferred() {
  Instruction* first_dropped = nullptr;
  std::size_t kept = deferred_from;
  for (std::size_t i = deferred_from; i < list.size(); ++i) {
    if (list[i]->recorded) {
      list[kept++] = list[i];
      first_dropped = nullptr;  // memory in front of a recorded instruction is given back with it
    } else {
      if (!first_dropped) first_dropped = list[i];
      forget(*list[i]);
      destroy_attributes(*list[i]);
    }
  }
  list.resize(kept);
  deferred_from = kept;
  if (first_dropped) arena.pop(first_dropped);
}

Reads TapeState::reads_of(const OpInfo& op, std::span<const std::uint32_t> inputs) const {
  Reads reads = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (slots[inputs[i]].depends) reads |= op.reads_of(i);
  }
  return reads;
}

std::uint32_t TapeState::overwritable(const OpInfo& op, std::span<const std::uint32_t> inputs,
                                      std::uint32_t candidates, Reads reads) const {
  if (!candidates || !op.elementwise || nan_check != NanCheck::off) return 0;
  const auto is_read = [&](std::uint32_t slot) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i] == slot && (reads & reads_x(static_cast<int>(std::min<std::size_t>(i, 31))))) return true;
    }
    return false;
  };
  std::uint32_t result = 0;
  for (std::size_t i = 0; i < std::min<std::size_t>(inputs.size(), 31); ++i) {
    const Slot& slot = slots[inputs[i]];
    const bool ours_alone = slot.handles + slot.readers == 1;
    if (ours_alone && (candidates >> i & 1) && !is_read(inputs[i])) result |= 1u << i;
  }
  return result;
}

void TapeState::consume() {
  while (!list.empty()) pop_tail();
  std::erase_if(past_leaves,
                [&](const Leaf& leaf) { return slots[leaf.slot].generation != leaf.generation; });
  for (Leaf& leaf : leaves) {
    release_handle(leaf.slot);
    // `leaf` has made room for it.
    if (slots[leaf.slot].generation == leaf.generation) past_leaves.push_back(std::move(leaf));
  }
  leaves.clear();
  leaf_table.clear();
  ++recording;
  next_id = 0;
  deferred_from = 0;
  scopes.restart();
}

}  // namespace xgrad::detail
