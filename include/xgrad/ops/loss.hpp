// Losses. Operands never broadcast: a loss throws ShapeError where their shapes differ, and DTypeError where
// their dtypes do. A loss is differentiable in its targets too. The mean of no elements is NaN.
#pragma once

#include <optional>

#include "xgrad/tape/var.hpp"

namespace xgrad {

/// How the losses of elements or rows are reduced: to their mean, to their sum, to the sum divided by the
/// extent of axis 0, or not at all.
enum class Reduction { mean, sum, batch_mean, none };

// Of rows of classes ------------------------------------------------------------------------------------

struct CrossEntropyOptions {
  Var class_weights = {};  ///< [classes], factors of the classes' terms; none: all 1
  std::optional<std::int64_t> ignore_index =
      {};                      ///< a label whose rows count nothing; it may be out of range
  double label_smoothing = 0;  ///< the share of a row's targets spread over all classes
  /// The mean is over the rows; with labels, over those not ignored, each weighted as its label is by
  /// `class_weights`. When there are none, it is NaN, and its gradient 0.
  Reduction reduction = Reduction::mean;
};

/// The cross entropy of logits: softmax and categorical_cross_entropy in one op, where nothing overflows. The
/// loss of a row is logsumexp(x) sum(t) - sum(t x), where an entry of t = 0 counts nothing whatever its x.
/// `logits` is [rows, classes]; `targets` are rows of weights of the same shape and dtype (one-hot or any
/// distribution), or int64/int32 labels [rows]. Domain: logits may be -inf where t = 0.
/// @throws ShapeError when the shapes do not fit, a label is out of range or there are no rows; DTypeError;
/// Error for label_smoothing outside [0, 1] or ignore_index without labels.
Var softmax_cross_entropy(const Var& logits, const Var& targets, const CrossEntropyOptions& options = {});

/// The cross entropy of probabilities: the loss of a row is -sum(t log(p)), where an entry of t = 0 counts
/// nothing whatever its p. `p` is [rows, classes]; `targets` as above. When logits are at hand,
/// softmax_cross_entropy is the faster and more accurate way to the same number. Domain: p > 0, or t = 0.
/// @throws as above.
Var categorical_cross_entropy(const Var& p, const Var& targets, const CrossEntropyOptions& options = {});

/// The negative log likelihood, from logarithms of probabilities: the loss of a row is -sum(t log_p).
/// `log_p` is [rows, classes], as log_softmax makes it; `targets` as above. Domain: -inf only where t = 0.
/// @throws as above.
Var nll_loss(const Var& log_p, const Var& targets, const CrossEntropyOptions& options = {});

// Element by element ------------------------------------------------------------------------------------

struct BinaryCrossEntropyOptions {
  Var weight = {};  ///< factors of the elements' losses, of a shape that broadcasts to theirs; none: all 1
  Reduction reduction = Reduction::mean;
};

struct LogitsOptions {
  Var weight = {};  ///< factors of the elements' losses, of a shape that broadcasts to theirs; none: all 1
  Var pos_weight = {};  ///< the same for the terms with t alone: above 1, misses count more than false alarms
  Reduction reduction = Reduction::mean;
};

/// -(t log(p) + (1 - t) log(1 - p)), where a term with the factor 0 counts nothing; a p of 0 or 1 that is
/// wrong costs infinity. Domain: 0 < p < 1, or p = t. @throws ShapeError, DTypeError
Var binary_cross_entropy(const Var& p, const Var& target, const BinaryCrossEntropyOptions& options = {});

/// The same of p = sigmoid(logit), where nothing overflows: t log(1 + exp(-x)) + (1 - t) log(1 + exp(x)).
/// @throws ShapeError, DTypeError
Var binary_cross_entropy_with_logits(const Var& logits, const Var& target, const LogitsOptions& options = {});

/// (prediction - target)^2
Var mse(const Var& prediction, const Var& target, Reduction reduction = Reduction::mean);

/// |prediction - target|. At kinks: 0 where they are equal.
Var mae(const Var& prediction, const Var& target, Reduction reduction = Reduction::mean);

/// d^2 / 2 for |d| <= delta and delta (|d| - delta / 2) beyond, where d = prediction - target. At kinks: the
/// second derivative is 1 at |d| = delta. @throws Error unless delta > 0.
Var huber(const Var& prediction, const Var& target, double delta = 1, Reduction reduction = Reduction::mean);

/// huber divided by its delta, here `beta`; with beta = 0 it is mae. At kinks: as they. @throws Error for
/// beta < 0.
Var smooth_l1(const Var& prediction, const Var& target, double beta = 1,
              Reduction reduction = Reduction::mean);

/// The Kullback-Leibler divergence t (log(t) - log_p), which is 0 where t = 0: the logarithms of the model's
/// probabilities first, then the probabilities aimed at, as PyTorch has it. The divergence of distributions
/// in rows is the reduction batch_mean; mean divides by all elements. Domain: t >= 0.
Var kl_divergence(const Var& log_p, const Var& target, Reduction reduction = Reduction::mean);

/// max(0, margin - t score) for targets t of -1 and 1. At kinks: 0 where t score = margin.
Var hinge_loss(const Var& score, const Var& target, double margin = 1, Reduction reduction = Reduction::mean);

// Of pairs and triples of vectors -----------------------------------------------------------------------

/// sum(x y) / (max(|x|, eps) max(|y|, eps)) along an axis. @throws Error unless eps > 0.
Var cosine_similarity(const Var& x, const Var& y, int axis = -1, double eps = 1e-8);

/// 1 - cosine_similarity(x, y) where the target is positive, max(0, cosine_similarity(x, y) - margin)
/// elsewhere: x and y are [..., n], targets of -1 and 1 [...]. At kinks: 0 where the similarity is the
/// margin.
Var cosine_embedding_loss(const Var& x, const Var& y, const Var& target, double margin = 0,
                          Reduction reduction = Reduction::mean);

/// max(0, |a - p + eps| - |a - n + eps| + margin) for an anchor a, a positive example p and a negative one n,
/// all [..., n], with Euclidean norms. eps keeps the derivative finite where two are equal. At kinks: 0 where
/// the maximum of both is 0. @throws Error unless eps > 0.
Var triplet_margin_loss(const Var& anchor, const Var& positive, const Var& negative, double margin = 1,
                        double eps = 1e-6, Reduction reduction = Reduction::mean);

// Of parameters -----------------------------------------------------------------------------------------

/// strength * sum(w^2), whose gradient is 2 strength w.
Var l2_penalty(const Var& w, double strength);

}  // namespace xgrad
