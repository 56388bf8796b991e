// Reductions over axes, and the sum that undoes broadcasting.
//
// With keepdims the reduced axes stay with extent 1. Reducing no elements gives what NumPy gives: 0 for a
// sum and a norm, 1 for a product, NaN for a mean and a variance, -inf for logsumexp; the largest or smallest
// of none throws ShapeError. All throw DTypeError for operands that are not floating.
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
/// The smallest, likewise.
Var min(const Var& x, const Axes& axes = {}, bool keepdims = false);
/// The product. Its derivative is right with zeros among the factors, at any order.
Var prod(const Var& x, const Axes& axes = {}, bool keepdims = false);
/// The variance: the sum of (x - mean)^2 over the number of elements less `correction` (NumPy's ddof), which
/// is 0, not 1. In two passes, so that a large mean costs no accuracy.
Var var(const Var& x, const Axes& axes = {}, bool keepdims = false, double correction = 0);
/// Its square root; the derivative is 0 where that is 0. (Write xgrad::std where the namespace is in use.)
Var std(const Var& x, const Axes& axes = {}, bool keepdims = false, double correction = 0);
/// The vector norm over the axes, as NumPy's vector_norm: (sum |x|^ord)^(1/ord), or max |x| when `ord` is
/// infinite. The derivative is 0 where the norm is, and for ord other than 2 in each x that is 0. Powers of x
/// are not scaled: they overflow where the element type does. @throws Error unless ord > 0.
Var norm(const Var& x, double ord = 2, const Axes& axes = {}, bool keepdims = false);
/// log(sum(exp(x))), without overflow.
Var logsumexp(const Var& x, const Axes& axes = {}, bool keepdims = false);

/// The adjoint of broadcast_to: sums x down to `shape`; x itself when it has that shape. The vjp of an op
/// that broadcasts ends with it. @throws ShapeError when `shape` does not broadcast to x.
Var sum_to(Var x, const Shape& shape);

}  // namespace xgrad
