// Values: creating and freeing slots, and the recount of the invariants.
#include "lib/tape/values.hpp"

#include <stdexcept>
#include <unordered_map>

namespace xgrad::detail {

void Values::grow() {
  if (size_ == chunks_.size() * kChunk) chunks_.push_back(std::make_unique<Slot[]>(kChunk));
  ++size_;
}

SlotId Values::create(const TensorType& type, Origin origin, std::uint8_t depends, std::uint32_t recording) {
  SlotId i = free_;
  if (i) {
    free_ = static_cast<SlotId>((*this)[i].id);
  } else {
    if (size_ == UINT32_MAX) throw Error("tape: more than 4294967294 values alive");
    i = size_;
    grow();
  }
  Slot& slot = (*this)[i];
  slot.shape = type.shape;
  slot.dtype = type.dtype;
  slot.origin = origin;
  slot.depends = depends;
  slot.recording = recording;
  slot.id = next_id_++;
  slot.producer = nullptr;
  ++live_;
  return i;
}

void Values::free(SlotId i) {
  Slot& slot = (*this)[i];
  drop_memory(slot);
  slot.origin = Origin::free;
  ++slot.generation;
  slot.id = free_;
  free_ = i;
  --live_;
}

void Values::reset() {
  chunks_.clear();
  size_ = free_ = 0;
  live_ = 0;
  pool_.reset();
}

void Values::check() const {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw std::logic_error(std::string("values: ") + what);
  };
  std::unordered_map<const Buffer*, std::uint32_t> owners;
  std::size_t live = 0, free = 0, bytes = 0;
  for (SlotId i = 1; i < size_; ++i) {
    const Slot& slot = (*this)[i];
    if (slot.origin == Origin::free) {
      require(!slot.buffer && !slot.data, "a free slot has memory");
      require(slot.handles + slot.uses + slot.readers == 0, "a free slot is held");
      continue;
    }
    ++live;
    require(slot.handles + slot.uses > 0, "a live slot is not held");
    require(slot.handles + slot.readers > 0 || !slot.data || slot.origin == Origin::parameter,
            "a slot that nobody reads has memory");
    if (slot.buffer) {
      require(slot.data == BufferPool::payload(slot.buffer), "data is not its buffer's payload");
    } else {
      require(!slot.data || slot.origin == Origin::parameter, "data without a buffer");
    }
    if (slot.buffer && owners[slot.buffer]++ == 0) bytes += BufferPool::bytes_of(slot.buffer);
  }
  for (const auto& [buffer, count] : owners) {
    require(buffer->owners == count, "a buffer's owners are not the slots that share it");
  }
  for (SlotId i = free_; i && free < size_; i = static_cast<SlotId>((*this)[i].id)) {
    require((*this)[i].origin == Origin::free, "a live slot is on the free list");
    ++free;
  }
  require(live == live_, "the count of live slots is wrong");
  require(live + free + 1 == size_, "the free list does not hold the free slots");
  require(bytes == pool_.bytes_in_use(), "the pool's bytes in use are not those of the slots");
}

}  // namespace xgrad::detail
