// Losses: the mean over the examples of a batch. Operands never broadcast.
#pragma once

#include "xgrad/tape/var.hpp"

namespace xgrad {

/// Categorical cross entropy of probabilities: mean over rows of -sum(t log(p)), where an entry of t = 0
/// counts nothing whatever its p. `p` is [rows, classes]; `targets` are rows of weights of p's shape and
/// dtype (one-hot or any distribution), or int64/int32 labels [rows]. When logits are at hand,
/// softmax_cross_entropy is the faster and more accurate way to the same number.
/// @throws ShapeError when the shapes do not fit, a label is out of range or there are no rows; DTypeError.
Var categorical_cross_entropy(const Var& p, const Var& targets);

/// Softmax and categorical cross entropy in one op, from logits: mean over rows of logsumexp(x) sum(t) -
/// sum(t x). `logits` is [rows, classes]; `targets` as above. @throws as above.
Var softmax_cross_entropy(const Var& logits, const Var& targets);

/// strength * sum(w^2): the notebook's penalty, whose gradient is 2 strength w.
Var l2_penalty(const Var& w, double strength);

}  // namespace xgrad
