// Scratch: memory for a number of plain items that is nearly always small.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>

namespace xgrad::detail {

/// Items without initial values: on the stack up to kFew, on the heap beyond.
template <class T, std::size_t kFew = 8>
class Scratch {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  explicit Scratch(std::size_t n)
      : many_(n > kFew ? std::make_unique<T[]>(n) : nullptr),
        items_(many_ ? many_.get() : reinterpret_cast<T*>(few_), n) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::span<T> items() const& { return items_; }
  std::span<T> items() const&& = delete;

 private:
  alignas(T) std::byte few_[kFew * sizeof(T)];
  std::unique_ptr<T[]> many_;
  std::span<T> items_;
};

}  // namespace xgrad::detail
