// Batches: the rows of a data set in batches, in an order that can be shuffled for each epoch.
//
//     Batches batches(train.size(), 50);
//     for (int epoch = 0; epoch < 10; ++epoch) {
//       batches.shuffle(generator);
//       for (std::span<const std::int32_t> rows : batches) ...
//     }
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <vector>

#include "xgrad/support/random.hpp"

namespace xgrad::data {

/// The row numbers 0 to count - 1, in batches of `batch_size`; the last batch may be smaller. Only the
/// constructor allocates.
class Batches {
 public:
  class Iterator;

  /// In order until `shuffle` is called. @throws Error unless 0 <= count < 2^31 and batch_size >= 1.
  Batches(std::int64_t count, std::int64_t batch_size);

  /// Puts all rows into a random order that depends on the state of the generator alone.
  void shuffle(Generator& generator);

  /// How many batches there are.
  std::int64_t size() const { return (std::ssize(rows_) + batch_size_ - 1) / batch_size_; }
  /// The rows of batch `i`, valid until the next shuffle changes them. @throws Error unless 0 <= i < size().
  std::span<const std::int32_t> operator[](std::int64_t i) const&;
  std::span<const std::int32_t> operator[](std::int64_t i) const&& = delete;  // the rows would dangle

  Iterator begin() const&;
  Iterator end() const&;
  Iterator begin() const&& = delete;
  Iterator end() const&& = delete;

 private:
  std::vector<std::int32_t> rows_;
  std::int64_t batch_size_;
};

/// Walks over the batches.
class Batches::Iterator {
 public:
  using value_type = std::span<const std::int32_t>;
  using difference_type = std::ptrdiff_t;

  Iterator() = default;
  Iterator(const Batches* batches, std::int64_t i) : batches_(batches), i_(i) {}
  value_type operator*() const { return (*batches_)[i_]; }
  Iterator& operator++() {
    ++i_;
    return *this;
  }
  Iterator operator++(int) {
    Iterator old = *this;
    ++i_;
    return old;
  }
  friend bool operator==(const Iterator&, const Iterator&) = default;

 private:
  const Batches* batches_ = nullptr;
  std::int64_t i_ = 0;
};

inline Batches::Iterator Batches::begin() const& { return {this, 0}; }
inline Batches::Iterator Batches::end() const& { return {this, size()}; }

}  // namespace xgrad::data
