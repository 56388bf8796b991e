// Axes: which axes a reduction runs over.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

namespace xgrad {

/// One axis, several, or all of them (the default). A negative axis counts from the back.
class Axes {
 public:
  Axes() = default;
  Axes(int axis) : axes_{axis}, all_(false) {}  // implicit: `sum(x, 1)`
  Axes(std::initializer_list<int> axes) : axes_(axes), all_(false) {}
  Axes(std::vector<int> axes) : axes_(std::move(axes)), all_(false) {}

  /// As a bit set for a tensor of some rank. @throws ShapeError naming `op`: out of range, or named twice.
  std::uint8_t mask(const char* op, int rank) const;

 private:
  std::vector<int> axes_;
  bool all_ = true;
};

}  // namespace xgrad
