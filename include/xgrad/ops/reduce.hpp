// Reductions over axes, and the sum that undoes broadcasting.
//
// With keepdims the reduced axes stay with extent 1. Reducing no elements gives what NumPy gives: 0 for a
// sum, NaN for a mean, -inf for logsumexp; max of none throws ShapeError. All throw DTypeError for operands
// that are not floating.
#pragma once

#include "xgrad/ops/axes.hpp"
#include "xgrad/tape/var.hpp"

namespace xgrad {

/// The sum, added up pairwise: the error grows with the logarithm of the number of elements.
Var sum(const Var& x, const Axes& axes = {}, bool keepdims = false);
/// The sum divided by the number of elements.
Var mean(const Var& x, const Axes& axes = {}, bool keepdims = false);
/// The largest element; NaN when there is one. At kinks: elements that tie share the cotangent equally.
Var max(const Var& x, const Axes& axes = {}, bool keepdims = false);
/// log(sum(exp(x))), without overflow.
Var logsumexp(const Var& x, const Axes& axes = {}, bool keepdims = false);

/// x summed over the axes along which it would have to be repeated to come from `shape`; x itself when it has
/// that shape. What a vjp of a broadcasting op ends with. @throws ShapeError when `shape` does not broadcast
/// to x.
Var sum_to(Var x, const Shape& shape);

}  // namespace xgrad
