// Recycled memory for tensor values. A released block goes on the free list of its size class, last in,
// first out, so that the next op finds it in cache; blocks go back to the system with the pool.
// One pool belongs to one tape and so to one thread: no locks, no atomics.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace xgrad::detail {

/// The header in front of a block. A block is shared by the slots that alias it (reshape).
struct Buffer {
  std::uint32_t owners;
  std::uint32_t size_class;
  Buffer* next_free;
};

class BufferPool {
 public:
  BufferPool() = default;
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool() { reset(); }

  /// A block for at least `bytes` bytes, with one owner. @throws std::bad_alloc
  Buffer* acquire(std::size_t bytes);
  /// Drops one owner.
  void release(Buffer* buffer);
  /// Gives all blocks back to the system, those in use as well.
  void reset();
  /// Where the block's payload starts: aligned to 64 bytes, or to 16 up to 64 bytes of payload.
  static void* payload(Buffer* buffer) {
    return reinterpret_cast<std::byte*>(buffer) + header_bytes(buffer->size_class);
  }

  /// How many bytes a block in use counts for.
  static std::size_t bytes_of(const Buffer* buffer);

  std::size_t bytes_in_use() const { return in_use_; }
  std::size_t bytes_held() const { return held_; }
  std::size_t peak_bytes() const { return peak_; }

 private:
  static constexpr std::uint32_t kClasses = 4 * 44;  // four sizes an octave, from 16 bytes up
  static constexpr std::size_t kAlign = 64;
  static constexpr std::uint32_t kSmallClasses = 9;  // those of up to kAlign bytes
  // Small payloads sit right behind their header, larger ones on the next 64-byte boundary.
  static constexpr std::size_t header_bytes(std::uint32_t size_class) {
    return size_class < kSmallClasses ? sizeof(Buffer) : kAlign;
  }
  Buffer* create(std::uint32_t size_class);
  void* from_system(std::size_t bytes);

  std::array<Buffer*, kClasses> free_{};
  std::vector<void*> system_blocks_;
  std::byte* slab_ = nullptr;
  std::size_t slab_left_ = 0;
  std::size_t in_use_ = 0, held_ = 0, peak_ = 0;
};

}  // namespace xgrad::detail
