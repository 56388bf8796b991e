// Ops that move elements without changing them.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <vector>

#include "xgrad/ops/axes.hpp"
#include "xgrad/tape/var.hpp"

namespace xgrad {

/// The same elements in row-major order under another shape, without a copy. One extent may be -1: it is
/// computed from the others.
/// @throws ShapeError when the sizes differ.
Var reshape(const Var& x, const Shape& shape);
Var reshape(const Var& x, std::initializer_list<std::int64_t> extents);

/// The axes in another order: axis i of the result is axis axes[i] of x. Without axes, all are reversed.
/// @throws ShapeError unless `axes` is a permutation.
Var transpose(const Var& x, const std::vector<int>& axes = {});

/// The same under PyTorch's name, all axes named.
inline Var permute(const Var& x, const std::vector<int>& axes) { return transpose(x, axes); }
/// Two axes exchanged. @throws ShapeError
Var swapaxes(const Var& x, int axis1, int axis2);

/// The axes from start to end, both included, made one; a scalar becomes a vector of one element.
/// @throws ShapeError when an axis is out of range or start comes after end.
Var flatten(const Var& x, int start = 0, int end = -1);
/// Without the axes of extent 1: all of them, or those named. @throws ShapeError when one has another extent.
Var squeeze(const Var& x);
Var squeeze(const Var& x, const Axes& axes);
/// With one more axis of extent 1, which is axis `axis` of the result. @throws ShapeError
Var expand_dims(const Var& x, int axis);

/// x repeated to a shape that it broadcasts to. @throws ShapeError
Var broadcast_to(const Var& x, const Shape& shape);

/// The tensors one after the other along an axis; their other extents are equal, their dtypes too.
/// @throws ShapeError, DTypeError
Var concat(std::span<const Var> xs, int axis = 0);
Var concat(std::initializer_list<Var> xs, int axis = 0);

/// Every step-th element along an axis from start to before stop, as in Python: negative bounds count from
/// the end, bounds past the end are cut off, a negative step goes backwards; a bound left out reaches the
/// end.
/// @throws ShapeError for step 0.
Var slice(const Var& x, int axis, std::optional<std::int64_t> start, std::optional<std::int64_t> stop = {},
          std::int64_t step = 1);

}  // namespace xgrad
