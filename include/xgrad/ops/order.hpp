// Largest and smallest elements, and sorting. NaN counts as larger than every number, as in NumPy's sort.
// Indices are int64 and have no derivative; the derivative of a value goes to the element that it is. All
// throw ShapeError for an axis out of range.
#pragma once

#include <cstdint>
#include <optional>

#include "xgrad/tape/var.hpp"

namespace xgrad {

/// The index of the largest or smallest element along an axis, or without an axis of all elements in
/// row-major order: the first of those that tie, the first NaN when there is one, as in NumPy.
/// @throws ShapeError when there are no elements.
Var argmax(const Var& x, std::optional<int> axis = {}, bool keepdims = false);
Var argmin(const Var& x, std::optional<int> axis = {}, bool keepdims = false);

/// The elements in ascending or descending order along an axis, and the indices that put them in that order.
/// Equal ones keep their order.
Var sort(const Var& x, int axis = -1, bool descending = false);
Var argsort(const Var& x, int axis = -1, bool descending = false);

/// What topk finds.
struct TopK {
  Var values, indices;
};
/// The k largest elements along an axis, largest first, or the k smallest, smallest first; of equal ones
/// those in front. @throws ShapeError unless 0 <= k <= the extent.
TopK topk(const Var& x, std::int64_t k, int axis = -1, bool largest = true);

}  // namespace xgrad
