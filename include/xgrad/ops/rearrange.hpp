// Joining, cutting, repeating and reordering tensors: made of the ops in shape.hpp and index.hpp. Tensors of
// any dtype; an axis or a size that does not fit throws ShapeError.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "xgrad/ops/axes.hpp"
#include "xgrad/tape/var.hpp"

namespace xgrad {

/// Tensors of one shape and dtype side by side along a new axis, which is axis `axis` of the result.
Var stack(std::span<const Var> xs, int axis = 0);
Var stack(std::initializer_list<Var> xs, int axis = 0);

/// A tensor cut along an axis into so many equal parts, or into parts of the given sizes, which must add up
/// to the extent.
std::vector<Var> split(const Var& x, std::int64_t parts, int axis = 0);
std::vector<Var> split(const Var& x, std::span<const std::int64_t> sizes, int axis = 0);
std::vector<Var> split(const Var& x, std::initializer_list<std::int64_t> sizes, int axis = 0);

/// The elements in reverse order along the axes.
Var flip(const Var& x, const Axes& axes = {});

/// The elements moved by `shift` places along an axis; those that leave at one end come in at the other.
Var roll(const Var& x, std::int64_t shift, int axis);

/// How many elements are added in front of an axis and behind it.
struct Padding {
  std::int64_t before = 0, after = 0;
};
/// x with `value` around it; one Padding for each axis.
Var pad(const Var& x, const std::vector<Padding>& widths, double value = 0);
/// Where padding takes its elements from: `edge` repeats the outermost (of at least one), `reflect` mirrors
/// about it (of at least two).
enum class PadMode { edge, reflect };
Var pad(const Var& x, const std::vector<Padding>& widths, PadMode mode);

/// The whole tensor repeated counts[i] times along axis i. As in NumPy, the shorter of shape and counts is
/// filled up with ones in front.
Var tile(const Var& x, const std::vector<std::int64_t>& counts);

/// Each element repeated `count` times in place along an axis.
Var repeat(const Var& x, std::int64_t count, int axis);

}  // namespace xgrad
