// Shape: the extents of a tensor. At most kMaxRank axes, stored in place, row-major order.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <span>
#include <string>

namespace xgrad {

/// The largest number of axes of a tensor.
inline constexpr int kMaxRank = 8;

/// The extents of a tensor, outermost axis first. A scalar has rank 0 and one element.
class Shape {
 public:
  Shape() = default;
  /// @throws ShapeError for a negative extent or more than kMaxRank extents.
  Shape(std::initializer_list<std::int64_t> extents) : Shape(std::span(extents.begin(), extents.size())) {}
  explicit Shape(std::span<const std::int64_t> extents);

  int rank() const { return rank_; }
  /// The extent of an axis, which must be in [0, rank).
  std::int64_t operator[](int axis) const { return extents_[static_cast<std::size_t>(axis)]; }
  void set(int axis, std::int64_t extent) { extents_[static_cast<std::size_t>(axis)] = extent; }
  /// Adds an innermost axis. @throws ShapeError past kMaxRank.
  void push_back(std::int64_t extent);
  /// The product of the extents.
  std::int64_t size() const {
    std::int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= extents_[static_cast<std::size_t>(i)];
    return n;
  }
  const std::int64_t* begin() const& { return extents_.data(); }
  const std::int64_t* end() const& { return extents_.data() + rank_; }
  const std::int64_t* begin() const&& = delete;
  const std::int64_t* end() const&& = delete;
  friend bool operator==(const Shape& a, const Shape& b) {
    if (a.rank_ != b.rank_) return false;
    for (int i = 0; i < a.rank_; ++i) {
      if (a[i] != b[i]) return false;
    }
    return true;
  }

  /// `[50, 784]`
  std::string text() const;

 private:
  std::array<std::int64_t, kMaxRank> extents_{};
  std::int32_t rank_ = 0;
};

std::ostream& operator<<(std::ostream& out, const Shape& shape);

/// The shape that `a` and `b` broadcast to, as in NumPy; `ok` is false when they do not fit.
struct Broadcast {
  Shape shape;
  bool ok = true;
};
Broadcast broadcast(const Shape& a, const Shape& b);

/// Whether a tensor of shape `from` can be broadcast to exactly `to`.
bool broadcasts_to(const Shape& from, const Shape& to);

/// `axis` counted from the front: a negative axis counts from the back.
/// @throws ShapeError naming `op` when the axis is out of range.
int normalize_axis(const char* op, int axis, int rank);

}  // namespace xgrad
