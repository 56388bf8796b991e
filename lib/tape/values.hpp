// Values: the slots of a tape, their reference counts and their memory.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "lib/support/buffer_pool.hpp"
#include "xgrad/tape/op.hpp"
#include "xgrad/tensor/view.hpp"

namespace xgrad::detail {

struct Instruction;
struct Leaf;

/// The number of a slot; 0 names none.
using SlotId = std::uint32_t;

/// Where a value comes from.
enum class Origin : std::uint8_t { free, constant, input, parameter, op };

/// Which kind of source a value depends on, so that backward skips what leads to no parameter.
enum Depends : std::uint8_t {
  kOnNothing = 0,
  kOnParameter = 1,
  kOnInput = 2,
  kOnSource = kOnParameter | kOnInput,
  kFlatly = 4  // through an op whose derivative is zero everywhere, or as a derivative that is constant
};

/// One value. Values and Recording write it; others read it.
struct Slot {
  void* data = nullptr;      // the elements; null while there are none
  Buffer* buffer = nullptr;  // the memory; null when there is none, or when a parameter owns it
  Shape shape;
  union {
    Instruction* producer = nullptr;  // Origin::op: the listed instruction that computed it
    Leaf* leaf;                       // Origin::parameter
  };
  std::uint64_t id = 0;       // grows within a recording; its name in print and in errors
  std::uint32_t handles = 0;  // Vars, cotangents and pending calls that name it
  std::uint32_t uses = 0;     // listed instructions that have it as an operand, once for each operand
  std::uint32_t readers = 0;  // listed instructions whose derivative reads its elements
  std::uint32_t generation = 0;
  std::uint32_t recording = 0;  // the recording it belongs to; 0 after rewind or clear
  DType dtype = DType::float32;
  std::uint8_t depends = kOnNothing;
  Origin origin = Origin::free;
};

/// The slots of a tape.
///
/// Invariants:
///  1. a live slot is held: handles + uses > 0. A free slot is not, and has no memory;
///  2. a slot without handles and readers has no memory, unless it is a parameter's;
///  3. data is the buffer's payload. Only a parameter's slot has data without a buffer: it borrows it;
///  4. a buffer has as many owners as slots share it;
///  5. the free list holds the free slots, and live() counts the others;
///  6. the pool's bytes in use are those of the slots' buffers.
class Values {
 public:
  Values() { grow(); }  // slot 0

  Slot& operator[](SlotId i) { return chunks_[i / kChunk][i % kChunk]; }
  const Slot& operator[](SlotId i) const { return chunks_[i / kChunk][i % kChunk]; }
  /// One more than the largest slot number so far.
  SlotId size() const { return size_; }
  std::size_t live() const { return live_; }
  BufferPool& pool() { return pool_; }
  const BufferPool& pool() const { return pool_; }

  /// A slot without memory that nothing holds yet. @throws std::bad_alloc
  SlotId create(const TensorType& type, Origin origin, std::uint8_t depends, std::uint32_t recording);
  /// Gives a slot memory of its own. @throws std::bad_alloc
  void allocate(Slot& slot) {
    slot.buffer = pool_.acquire(static_cast<std::size_t>(slot.shape.size()) * size_of(slot.dtype));
    slot.data = BufferPool::payload(slot.buffer);
  }
  /// Lets a slot share the memory of another.
  void alias(Slot& slot, const Slot& source) {
    slot.buffer = source.buffer;
    slot.data = source.data;
    if (slot.buffer) ++slot.buffer->owners;
  }
  /// Moves a donor's memory to a slot.
  static void adopt(Slot& slot, Slot& donor) {
    slot.buffer = std::exchange(donor.buffer, nullptr);
    slot.data = std::exchange(donor.data, nullptr);
  }
  void drop_memory(Slot& slot) {
    if (slot.buffer) pool_.release(slot.buffer);
    slot.buffer = nullptr;
    slot.data = nullptr;
  }
  /// Puts a slot that nothing holds on the free list.
  void free(SlotId i);
  /// After the tape's end: gives all memory back. Handles must not be followed any more.
  void reset();

  std::uint64_t next_id() const { return next_id_; }
  std::uint64_t new_id() { return next_id_++; }
  /// Ids begin at 0 again, for a new recording.
  void restart_ids() { next_id_ = 0; }
  ConstView view(const Slot& slot) const { return {slot.data, slot.dtype, &slot.shape}; }
  View mutable_view(Slot& slot) { return {slot.data, slot.dtype, &slot.shape}; }

  /// Recounts the invariants. @throws std::logic_error that names the first that is broken.
  void check() const;

 private:
  friend struct Tamper;  // the tests of check()
  static constexpr std::size_t kChunk = 1024;
  void grow();

  std::vector<std::unique_ptr<Slot[]>> chunks_;  // slots keep their address
  SlotId size_ = 0;
  SlotId free_ = 0;  // the first free slot; `id` names the next
  std::size_t live_ = 0;
  std::uint64_t next_id_ = 0;
  BufferPool pool_;
};

}  // namespace xgrad::detail
