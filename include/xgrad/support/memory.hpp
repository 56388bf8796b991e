// Memory aligned to 64 bytes: a cache line, and the widest vector.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>

namespace xgrad::detail {

inline constexpr std::size_t kAlignment = 64;

/// `bytes`, rounded up to a multiple of kAlignment.
constexpr std::size_t padded(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

struct AlignedDelete {
  void operator()(std::byte* p) const noexcept { ::operator delete(p, std::align_val_t{kAlignment}); }
};
using AlignedMemory = std::unique_ptr<std::byte[], AlignedDelete>;

/// Memory for `bytes` bytes, all zeros.
inline AlignedMemory make_aligned(std::size_t bytes) {
  auto* p = static_cast<std::byte*>(::operator new(bytes, std::align_val_t{kAlignment}));
  std::memset(p, 0, bytes);
  return AlignedMemory(p);
}

}  // namespace xgrad::detail
