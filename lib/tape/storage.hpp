// What a tape keeps its slots, leaves and instructions in: memory that stays where it is and is used again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace xgrad::detail {

struct ParameterState;

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
  void* push(std::size_t bytes) {
    bytes = (bytes + 7) / 8 * 8;
    if (current_ == chunks_.size() || used_ + bytes > chunks_[current_].size) return push_on(bytes);
    used_ += bytes;
    return chunks_[current_].memory.get() + (used_ - bytes);
  }
  /// Gives back everything from `first` on, which push returned.
  void pop(const void* first);

 private:
  /// The same where a new chunk is begun.
  void* push_on(std::size_t bytes);
  static constexpr std::size_t kChunk = 256 * 1024;
  struct Chunk {
    std::unique_ptr<std::byte[]> memory;
    std::size_t size;
  };
  std::vector<Chunk> chunks_;
  std::size_t current_ = 0, used_ = 0;
};

}  // namespace xgrad::detail
