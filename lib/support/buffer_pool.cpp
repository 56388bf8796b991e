// Size classes, slabs and free lists of the buffer pool.
#include "lib/support/buffer_pool.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define XGRAD_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define XGRAD_ASAN 1
#endif
#endif
#ifdef XGRAD_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace xgrad::detail {
namespace {

constexpr std::size_t kSlab = 64 * 1024;
constexpr std::size_t kLargestInSlab = 4096;

// Class 4k + j holds (4 + j) * 4 * 2^k bytes: 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, ...; small ones are
// rounded up to whole multiples of 16.
std::uint32_t class_of(std::size_t bytes) {
  if (bytes <= 16) return 0;
  const std::size_t n = (bytes - 1) >> 2;
  const auto octave = static_cast<std::uint32_t>(std::bit_width(n) - 3);
  return 4 * octave + static_cast<std::uint32_t>((n >> octave) & 3) + 1;
}

std::size_t size_of_class(std::uint32_t size_class) {
  const std::size_t bytes = (std::size_t{4} + size_class % 4) << (size_class / 4 + 2);
  return (bytes + 15) / 16 * 16;
}

#ifdef XGRAD_ASAN
void poison(void* p, std::size_t n) { __asan_poison_memory_region(p, n); }
void unpoison(void* p, std::size_t n) { __asan_unpoison_memory_region(p, n); }
#else
void poison(void*, std::size_t) {}
void unpoison(void*, std::size_t) {}
#endif

}  // namespace

static_assert(sizeof(Buffer) == 16);

void BufferPool::reset() {
  for (void* block : system_blocks_) ::operator delete(block, std::align_val_t{kAlign});
  system_blocks_.clear();
  free_.fill(nullptr);
  slab_ = nullptr;
  slab_left_ = in_use_ = held_ = 0;
}

Buffer* BufferPool::acquire(std::size_t bytes) {
  if (bytes > (std::size_t{1} << 46)) throw std::bad_alloc();
  const std::uint32_t size_class = class_of(bytes);
  assert(size_class < kClasses && size_of_class(size_class) >= bytes);
  Buffer* buffer = free_[size_class];
  if (buffer) {
    free_[size_class] = buffer->next_free;
  } else {
    buffer = create(size_class);
  }
  const std::size_t size = size_of_class(size_class);
  unpoison(payload(buffer), size);
  buffer->owners = 1;
  in_use_ += size;
  peak_ = std::max(peak_, in_use_);
  return buffer;
}

std::size_t BufferPool::bytes_of(const Buffer* buffer) { return size_of_class(buffer->size_class); }

void BufferPool::release(Buffer* buffer) {
  if (--buffer->owners > 0) return;
  const std::size_t size = size_of_class(buffer->size_class);
  in_use_ -= size;
  poison(payload(buffer), size);  // AddressSanitizer reports reads of a recycled value
  buffer->next_free = free_[buffer->size_class];
  free_[buffer->size_class] = buffer;
}

Buffer* BufferPool::create(std::uint32_t size_class) {
  const std::size_t size = header_bytes(size_class) + size_of_class(size_class);
  // Everything in a slab is a multiple of 16 bytes; blocks with a 64-byte header start on 64.
  if (size <= kLargestInSlab) {
    const std::size_t align = header_bytes(size_class);
    std::size_t skip = (align - reinterpret_cast<std::uintptr_t>(slab_) % align) % align;
    if (!slab_ || slab_left_ < size + skip) {
      slab_ = static_cast<std::byte*>(from_system(kSlab));
      slab_left_ = kSlab;
      skip = 0;
    }
    auto* block = slab_ + skip;
    slab_ += skip + size;
    slab_left_ -= skip + size;
    return new (block) Buffer{0, size_class, nullptr};
  }
  return new (from_system(size)) Buffer{0, size_class, nullptr};
}

void* BufferPool::from_system(std::size_t bytes) {
  system_blocks_.push_back(nullptr);  // grows first: when memory runs out, nothing leaks
  system_blocks_.back() = ::operator new(bytes, std::align_val_t{kAlign});
  held_ += bytes;
  return system_blocks_.back();
}

}  // namespace xgrad::detail
