// operator new of a program that counts allocations or lets them fail. Included once, by the program's main
// source.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

namespace xgrad::test {

// The program defines these two.
/// Before an allocation, which fails when this throws.
void before_allocation();
/// A block was handed out (+1) or is about to be given back (-1).
void note_block(void* block, int change) noexcept;

inline void* replaced_allocate(std::size_t size, std::size_t alignment) {
  before_allocation();
  void* const p = alignment > alignof(std::max_align_t)
                      ? std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment)
                      : std::malloc(size ? size : 1);
  if (!p) throw std::bad_alloc();
  note_block(p, 1);
  return p;
}

inline void replaced_release(void* p) noexcept {
  if (!p) return;
  note_block(p, -1);
  std::free(p);
}

}  // namespace xgrad::test

void* operator new(std::size_t size) { return xgrad::test::replaced_allocate(size, 0); }
void* operator new[](std::size_t size) { return xgrad::test::replaced_allocate(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return xgrad::test::replaced_allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return xgrad::test::replaced_allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* p) noexcept { xgrad::test::replaced_release(p); }
void operator delete[](void* p) noexcept { xgrad::test::replaced_release(p); }
void operator delete(void* p, std::size_t) noexcept { xgrad::test::replaced_release(p); }
void operator delete[](void* p, std::size_t) noexcept { xgrad::test::replaced_release(p); }
void operator delete(void* p, std::align_val_t) noexcept { xgrad::test::replaced_release(p); }
void operator delete[](void* p, std::align_val_t) noexcept { xgrad::test::replaced_release(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { xgrad::test::replaced_release(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { xgrad::test::replaced_release(p); }
