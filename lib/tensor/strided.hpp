// LoopNest: walks several tensors of different strides in step, for broadcasting, transposing and slicing.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "xgrad/tensor/shape.hpp"

namespace xgrad {

/// The strides of a contiguous tensor of shape `from` broadcast to shape `to`: 0 on the axes along which it
/// is repeated.
inline std::array<std::int64_t, kMaxRank> broadcast_strides(const Shape& from, const Shape& to) {
  std::array<std::int64_t, kMaxRank> strides{};
  std::int64_t stride = 1;
  for (int i = from.rank() - 1, j = to.rank() - 1; i >= 0; --i, --j) {
    strides[static_cast<std::size_t>(j)] = from[i] == 1 ? 0 : stride;
    stride *= from[i];
  }
  return strides;
}

/// A loop nest over `rank` axes for K tensors. Neighbouring axes are merged where all strides allow it.
template <std::size_t K>
struct LoopNest {
  int rank = 0;  // at least 1 once constructed; what lies beyond it in the arrays has no value
  std::array<std::int64_t, kMaxRank> extents;
  std::array<std::array<std::int64_t, kMaxRank>, K> strides;

  /// One run of one element.
  LoopNest() { make_single(); }
  LoopNest(const Shape& shape, const std::array<std::array<std::int64_t, kMaxRank>, K>& given) {
    for (int axis = 0; axis < shape.rank(); ++axis) {
      const auto a = static_cast<std::size_t>(axis);
      if (shape[axis] == 1) continue;
      bool merge = rank > 0;
      for (std::size_t k = 0; k < K && merge; ++k) {
        merge = strides[k][static_cast<std::size_t>(rank - 1)] == given[k][a] * shape[axis];
      }
      if (!merge) ++rank;
      const auto r = static_cast<std::size_t>(rank - 1);
      extents[r] = merge ? extents[r] * shape[axis] : shape[axis];
      for (std::size_t k = 0; k < K; ++k) strides[k][r] = given[k][a];
    }
    if (rank == 0) make_single();
  }

  std::int64_t size() const {
    std::int64_t n = 1;
    for (int a = 0; a < rank; ++a) n *= extents[static_cast<std::size_t>(a)];
    return n;
  }

  /// Calls body(offsets, n, steps) for every run along the innermost axis: the offset of each tensor's first
  /// element, the length of the run, and each tensor's step along it.
  template <class Body>
  void for_each_run(Body&& body) const {
    for_each_run(0, size(), body);
  }
  /// The same for `count` elements from element `begin` on, in the order of the loops. The first and the last
  /// run may be incomplete.
  template <class Body>
  void for_each_run(std::int64_t begin, std::int64_t count, Body&& body) const {
    if (count == 0) return;
    std::array<std::int64_t, K> offsets{}, steps{};
    std::array<std::int64_t, kMaxRank> index{};
    const auto inner = static_cast<std::size_t>(rank - 1);
    for (std::size_t a = inner + 1; begin > 0 && a-- > 0; begin /= extents[a]) {
      index[a] = begin % extents[a];
      for (std::size_t k = 0; k < K; ++k) offsets[k] += strides[k][a] * index[a];
    }
    for (std::size_t k = 0; k < K; ++k) steps[k] = strides[k][inner];
    for (;;) {
      const std::int64_t n = std::min(count, extents[inner] - index[inner]);
      body(std::as_const(offsets), n, std::as_const(steps));
      count -= n;
      if (count == 0) return;
      for (std::size_t k = 0; k < K; ++k) offsets[k] -= strides[k][inner] * index[inner];
      index[inner] = 0;
      for (std::size_t axis = inner; axis-- > 0;) {
        for (std::size_t k = 0; k < K; ++k) offsets[k] += strides[k][axis];
        if (++index[axis] < extents[axis]) break;
        for (std::size_t k = 0; k < K; ++k) offsets[k] -= strides[k][axis] * extents[axis];
        index[axis] = 0;
      }
    }
  }

 private:
  void make_single() {
    rank = 1, extents[0] = 1;
    for (auto& s : strides) s[0] = 0;
  }
};

}  // namespace xgrad
