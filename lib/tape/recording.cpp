// Recording: listing and dropping instructions, leaves, scopes, and the recount of the invariants.
#include "lib/tape/recording.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace xgrad::detail {

// Memory ------------------------------------------------------------------------------------------------

void* InstructionMemory::create(std::size_t size_class) {
  constexpr std::size_t kChunk = 64 * 1024;
  const bool is_small = size_class <= kSteps;
  const std::size_t bytes =
      is_small ? std::max<std::size_t>(1, size_class) * kStep : kStep * kSteps << (size_class - kSteps);
  if (!is_small || bytes > left_) {
    const std::size_t size = is_small ? kChunk : bytes;
    chunks_.push_back(nullptr);  // the place first: nothing has changed should memory run out
    try {
      chunks_.back() = std::make_unique_for_overwrite<std::byte[]>(size);
    } catch (...) {
      chunks_.pop_back();
      throw;
    }
    if (!is_small) return chunks_.back().get();
    at_ = chunks_.back().get();
    left_ = size;
  }
  left_ -= bytes;
  return std::exchange(at_, at_ + bytes);
}

// Leaves ------------------------------------------------------------------------------------------------

std::size_t LeafTable::hash(const ParameterState* parameter) {
  // Addresses are multiples of 16; the product spreads them over the upper bits.
  return (reinterpret_cast<std::uintptr_t>(parameter) * std::uint64_t{0x9E3779B97F4A7C15}) >> 32;
}

/// Where a parameter is, or where it would be.
std::size_t LeafTable::place(const ParameterState* parameter) const {
  const std::size_t mask = entries_.size() - 1;
  std::size_t i = hash(parameter) & mask;
  while (entries_[i] && entries_[i]->parameter.get() != parameter) i = (i + 1) & mask;
  return i;
}

Leaf* LeafTable::find(const ParameterState* parameter) const {
  return entries_.empty() ? nullptr : entries_[place(parameter)];
}

void LeafTable::set(Leaf* leaf) {
  if (2 * (used_ + 1) > entries_.size()) {
    std::vector<Leaf*> old(std::max<std::size_t>(16, 2 * entries_.size()));
    entries_.swap(old);
    for (Leaf* entry : old) {
      if (entry) entries_[place(entry->parameter.get())] = entry;
    }
  }
  Leaf*& entry = entries_[place(leaf->parameter.get())];
  used_ += entry == nullptr;
  entry = leaf;
}

void LeafTable::erase(const Leaf* leaf) noexcept {
  if (entries_.empty()) return;
  std::size_t hole = place(leaf->parameter.get());
  if (entries_[hole] != leaf) return;
  // Moves later entries of the same run up, so that no search ends too early.
  const std::size_t mask = entries_.size() - 1;
  for (std::size_t i = (hole + 1) & mask; entries_[i]; i = (i + 1) & mask) {
    const std::size_t home = hash(entries_[i]->parameter.get()) & mask;
    if (((i - home) & mask) < ((i - hole) & mask)) continue;
    entries_[hole] = entries_[i];
    hole = i;
  }
  entries_[hole] = nullptr;
  --used_;
}

void LeafTable::clear() noexcept {
  if (used_) std::fill(entries_.begin(), entries_.end(), nullptr);
  used_ = 0;
}

SlotId Recording::leaf(const std::shared_ptr<ParameterState>& parameter) {
  ParameterState& p = *parameter;
  if (Leaf* found = leaf_table_.find(&p); found && found->version == p.version) {
    if (found->memory != p.memory) {  // packed since: the same elements lie elsewhere
      found->memory = p.memory;
      values_[found->slot].data = p.value();
    }
    return found->slot;
  }
  if (leaf_count_ == leaves_.size()) {
    leaves_.push_back(nullptr);
    try {
      leaves_.back() = std::make_unique<Leaf>();
    } catch (...) {
      leaves_.pop_back();
      throw;
    }
  }
  Leaf& leaf = *leaves_[leaf_count_];
  const SlotId i = values_.create(p.type, Origin::parameter, kOnParameter, number_);
  leaf = {parameter, p.memory, p.version, i, static_cast<std::uint32_t>(leaf_count_), {}};
  Slot& slot = values_[i];
  slot.leaf = &leaf;
  slot.data = p.value();
  ++leaf_count_;
  try {
    leaf_table_.set(&leaf);
  } catch (...) {
    free_slot(slot, i);
    throw;
  }
  return i;
}

// Scopes ------------------------------------------------------------------------------------------------

std::uint64_t Scopes::open(std::string_view name) {
  const std::uint32_t outer = current();
  std::uint32_t scope = 0, unused = 0;
  for (std::uint32_t i = 1; i < names_.size() && !scope; ++i) {
    if (names_[i].outer == outer && names_[i].name == name) scope = i;
    if (names_[i].uses == 0) unused = i;
  }
  open_.reserve(open_.size() + 1);
  if (!scope && unused) names_[unused].name = name, names_[unused].outer = outer, scope = unused;
  if (!scope) {
    names_.push_back({outer, 0, std::string(name)});
    scope = static_cast<std::uint32_t>(names_.size() - 1);
  }
  if (names_[scope].uses++ == 0) ++names_[outer].uses;
  open_.push_back({++tokens_, scope});
  return tokens_;
}

void Scopes::close(std::uint64_t token) noexcept {
  const auto found =
      std::find_if(open_.begin(), open_.end(), [&](const Open& o) { return o.token == token; });
  if (found == open_.end()) return;
  const std::uint32_t scope = found->scope;
  open_.erase(found);
  release(scope);
}

std::string Scopes::path(std::uint32_t scope) const {
  std::string path;
  for (; scope; scope = names_[scope].outer) {
    if (!path.empty()) path.insert(0, 1, '/');
    path.insert(0, names_[scope].name);
  }
  return path;
}

// Instructions ------------------------------------------------------------------------------------------

Instruction& Recording::make(const OpInfo& op, const void* attributes, std::span<const SlotId> x, SlotId y) {
  const std::size_t offset = Instruction::attribute_offset(x.size()), bytes = offset + op.attribute_bytes;
  auto* memory = static_cast<std::byte*>(memory_.acquire(bytes));
  if (op.copy) {
    try {
      op.copy(attributes, memory + offset);
    } catch (...) {
      memory_.release(memory, bytes);
      throw;
    }
  } else if (op.attribute_bytes) {
    std::memcpy(memory + offset, attributes, op.attribute_bytes);
  }
  auto& instruction = *new (memory) Instruction{
      &op, nullptr, nullptr, y, kReadsNothing, 0, static_cast<std::uint16_t>(x.size()), false, {}};
  for (std::size_t i = 0; i < x.size(); ++i) instruction.operands[i] = x[i];
  return instruction;
}

void Recording::discard(Instruction& instruction) noexcept {
  if (instruction.op->destroy) instruction.op->destroy(instruction.attributes());
  memory_.release(&instruction, instruction.bytes());
}

void Recording::list(Instruction& instruction, Reads reads) {
  instruction.reads = reads;
  instruction.listed = true;
  // A kernel may itself have recorded ops.
  if (Slot& y = values_[instruction.y]; last_ && y.id < id(*last_)) [[unlikely]]
    y.id = values_.new_id();
  instruction.previous = last_;
  (last_ ? last_->next : first_) = &instruction;
  last_ = &instruction;
  ++count_;
  for (std::size_t i = 0; i < instruction.operand_count; ++i) {
    Slot& operand = values_[instruction.operands[i]];
    ++operand.uses;
    operand.readers += instruction.reads_operand(i);
  }
  Slot& y = values_[instruction.y];
  y.producer = &instruction;
  y.readers += (reads & kReadsOutput) != 0;
  instruction.scope = scopes_.current();
  if (instruction.scope) scopes_.hold(instruction.scope);
}

void Recording::unlink(Instruction& instruction) noexcept {
  (instruction.previous ? instruction.previous->next : first_) = instruction.next;
  (instruction.next ? instruction.next->previous : last_) = instruction.previous;
  instruction.listed = false;
  --count_;
}

void Recording::drop(Instruction& instruction) noexcept {
  unlink(instruction);
  instruction.next = std::exchange(dropped_, &instruction);
  if (dropping_) return;  // the loop below runs already: long chains need no recursion
  dropping_ = true;
  while (dropped_) {
    Instruction& next = *dropped_;
    dropped_ = next.next;
    forget(next);
  }
  dropping_ = false;
  when_idle_(core_);  // which may delete this
}

void Recording::forget(Instruction& instruction) noexcept {
  for (std::size_t i = 0; i < instruction.operand_count; ++i) {
    Slot& operand = values_[instruction.operands[i]];
    --operand.uses;
    operand.readers -= instruction.reads_operand(i);
    if (operand.handles == 0) let_go(operand, instruction.operands[i]);
  }
  Slot& y = values_[instruction.y];
  y.producer = nullptr;
  y.readers -= (instruction.reads & kReadsOutput) != 0;
  if (y.handles == 0) free_slot(y, instruction.y);
  if (instruction.scope) scopes_.release(instruction.scope);
  discard(instruction);
}

void Recording::let_go(Slot& slot, SlotId i) noexcept {
  if (slot.uses > 0) {
    if (slot.readers == 0 && slot.origin != Origin::parameter) values_.drop_memory(slot);
  } else if (Instruction* producer = producer_of(slot); !producer) {
    free_slot(slot, i);
  } else if (producer->listed) {
    drop(*producer);
  }
}

void Recording::free_slot(Slot& slot, SlotId i) noexcept {
  if (slot.origin == Origin::parameter) {
    Leaf& leaf = *slot.leaf;
    leaf_table_.erase(&leaf);
    leaf.parameter.reset();
    leaf.memory.reset();
    std::swap(leaves_[leaf.index], leaves_[--leaf_count_]);
    std::swap(leaf.index, leaves_[leaf.index]->index);
  }
  values_.free(i);
}

void Recording::consume() noexcept {
  while (last_) drop(*last_);
  leaf_table_.clear();
  if (++number_ == 0) number_ = 1;  // 0 is what was rewound or cleared
  values_.restart_ids();
}

void Recording::check() const {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw std::logic_error(std::string("recording: ") + what);
  };
  struct Counts {
    std::uint32_t uses = 0, readers = 0;
    const Instruction* producer = nullptr;
  };
  std::vector<Counts> counts(values_.size());
  std::size_t count = 0;
  for (const Instruction *i = first_, *before = nullptr; i; before = i, i = i->next) {
    require(i->listed && i->previous == before, "the list's links do not agree");
    require(++count <= count_, "the list is longer than its count");
    require(!before || id(*before) < id(*i), "results are out of order");
    const Slot& y = values_[i->y];
    require(y.origin == Origin::op, "a listed result is free or no op's");
    require((y.depends & kOnSource) != 0, "a listed result depends on nothing");
    counts[i->y].producer = i;
    counts[i->y].readers += (i->reads & kReadsOutput) != 0;
    for (std::size_t k = 0; k < i->operand_count; ++k) {
      const Slot& operand = values_[i->operands[k]];
      require(operand.origin != Origin::free, "an operand is free");
      require(!operand.producer || operand.origin != Origin::op || operand.id < y.id,
              "an operand is younger than its result");
      ++counts[i->operands[k]].uses;
      counts[i->operands[k]].readers += i->reads_operand(k);
    }
  }
  require(count == count_, "the count of instructions is wrong");
  std::size_t leaves = 0;
  for (SlotId i = 1; i < values_.size(); ++i) {
    const Slot& slot = values_[i];
    require(slot.uses == counts[i].uses, "a slot's uses are not those of the list");
    require(slot.readers == counts[i].readers, "a slot's readers are not those of the list");
    require(slot.readers == 0 || slot.data, "what a derivative reads has no elements");
    if (slot.origin == Origin::op) {
      require(slot.producer == counts[i].producer, "a slot's producer is not the one in the list");
      require(!slot.producer || slot.handles + slot.uses > 0, "a result is unreachable");
    }
    if (slot.origin == Origin::parameter) {
      ++leaves;
      require(slot.leaf && slot.leaf->slot == i, "a parameter's slot has no leaf of its own");
    }
  }
  require(leaves == leaf_count_, "a leaf has no slot");
  std::size_t in_table = 0;
  for (std::size_t i = 0; i < leaf_count_; ++i) {
    const Leaf& leaf = *leaves_[i];
    require(leaf.index == i && leaf.parameter && leaf.memory, "a leaf is out of its place");
    const Leaf* newest = leaf_table_.find(leaf.parameter.get());
    in_table += newest == &leaf;
    require(!newest || newest->version >= leaf.version, "the table maps a parameter to an older leaf");
  }
  require(in_table == leaf_table_.size(), "the table holds what is no leaf");
}

}  // namespace xgrad::detail
