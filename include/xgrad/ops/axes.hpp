// Axes: which axes a reduction runs over.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "xgrad/tensor/shape.hpp"

namespace xgrad {

/// One axis, several, or all of them (the default). A negative axis counts from the back.
class Axes {
 public:
  Axes() = default;
  Axes(int axis) : Axes({axis}) {}  // implicit: `sum(x, 1)`
  Axes(std::initializer_list<int> axes) : Axes(std::span(axes.begin(), axes.size())) {}
  Axes(const std::vector<int>& axes) : Axes(std::span(axes)) {}

  /// As a bit set for a tensor of some rank. @throws ShapeError naming `op`: out of range, or named twice.
  std::uint8_t mask(const char* op, int rank) const;

 private:
  // One more than a tensor can have: with that many, `mask` finds an axis twice or out of range.
  static constexpr std::size_t kMost = kMaxRank + 1;
  explicit Axes(std::span<const int> axes) : count_(std::min(axes.size(), kMost)), all_(false) {
    std::copy_n(axes.begin(), count_, axes_.begin());
  }
  std::array<int, kMost> axes_{};
  std::size_t count_ = 0;
  bool all_ = true;
};

}  // namespace xgrad
