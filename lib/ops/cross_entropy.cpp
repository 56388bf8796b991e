// Cross entropies of rows of classes. The one of logits is an op, which takes labels or rows of weights; the
// others are compositions. Options (class weights, ignored labels, smoothing) turn labels into rows of
// weights.
#include <cmath>
#include <numeric>
#include <ostream>

#include "lib/ops/common.hpp"
#include "lib/ops/index.hpp"
#include "lib/ops/loss.hpp"
#include "lib/ops/registry.hpp"
#include "lib/ops/softmax.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/index.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/ops/shape.hpp"
#include "xgrad/ops/softmax.hpp"

namespace xgrad {
namespace {

using detail::Indices;
using detail::text;

/// The dtype of a loss of rows x against targets t. @throws ShapeError, DTypeError unless they fit.
DType check_rows(const char* op, const ConstView& x, const ConstView& t) {
  const DType dtype = require_floating(op, Operands(&x, 1));
  if (x.shape().rank() != 2) throw ShapeError(text(op, ": rows of classes expected, not ", x.shape()));
  if (x.shape()[0] == 0 || x.shape()[1] == 0)
    throw ShapeError(text(op, ": no rows or no classes in ", x.shape()));
  if (is_integer(t.dtype)) {
    if (t.shape().rank() != 1 || t.shape()[0] != x.shape()[0]) {
      throw ShapeError(text(op, ": ", x.shape()[0], " labels expected for ", x.shape(), ", not ", t.shape()));
    }
    detail::require_index_dtype(op, t.dtype);
  } else {
    if (t.dtype != dtype)
      throw DTypeError(text(op, ": targets are ", t.dtype, ", not ", dtype, " or integer labels"));
    if (t.shape() != x.shape()) {
      throw ShapeError(text(op, ": targets ", t.shape(), " and ", x.shape(), " must have the same shape"));
    }
  }
  return dtype;
}

// The op of logits ----------------------------------------------------------------------------------------

/// A loss that has one value per row, reduced.
struct RowLoss {
  Reduction reduction;

  bool kept() const { return reduction == Reduction::none; }
  double divisor(std::int64_t rows) const {
    return reduction == Reduction::mean || reduction == Reduction::batch_mean ? static_cast<double>(rows) : 1;
  }
  Shape shape(std::int64_t rows) const { return kept() ? Shape{rows} : Shape{}; }
  /// The factor of every row's derivative, from the cotangent of the result.
  Var share(const Var& u, std::int64_t rows) const {
    return kept() ? reshape(u, Shape{rows, 1}) : u / divisor(rows);
  }
  /// The result where the loss of a row is the sum of its terms: terms are [rows, classes].
  Var of(const Var& terms, std::int64_t rows) const {
    return kept() ? sum(terms, 1) : sum(terms) / divisor(rows);
  }
  void describe(std::ostream& out) const {
    constexpr const char* names[] = {"mean", "sum", "batch_mean", "none"};
    out << "reduction=" << names[static_cast<int>(reduction)];
  }
};

/// log(sum(exp(x))) of every row. The loss and its gradient take it as their last operand, so that it is
/// computed once. It is constant: they give the whole derivative to the logits.
struct RowLogSumExp {
  static constexpr const char* name = "row_logsumexp";
  static constexpr bool constant = true;
  TensorType infer(Operands x) const { return {x[0].dtype, Shape{x[0].shape()[0]}}; }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const std::int64_t classes = x[0].shape()[1];
    parallel_chunks(x[0].shape()[0], classes, [&](std::int64_t begin, std::int64_t count) {
      kernels::table<T>().logsumexp(x[0].as<T>() + begin * classes, {count, classes, 1}, y.as<T>() + begin,
                                    write);
    });
  }
};

struct SoftmaxCrossEntropy : RowLoss {
  static constexpr const char* name = "softmax_cross_entropy";
  static constexpr Reads reads[] = {reads_x(0) | reads_x(1) | reads_x(2), reads_x(0), kReadsNothing};
  TensorType infer(Operands x) const { return {x[0].dtype, shape(x[0].shape()[0])}; }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const std::int64_t rows = x[0].shape()[0];
    T* out = y.as<T>();
    // Each share of rows has a total of its own; the totals are added in their order.
    constexpr std::int64_t kShares = 64;
    double totals[kShares] = {};
    const std::int64_t shares = std::clamp<std::int64_t>(x[0].size() / kGrain, 1, std::min(kShares, rows));
    parallel_for(shares, [&](std::int64_t share) {
      for (std::int64_t r = share * rows / shares; r < (share + 1) * rows / shares; ++r) {
        const double loss = row(x[0], x[1], x[2].as<T>()[r], r);
        if (kept()) store(out[r], static_cast<T>(loss), write);
        totals[share] += loss;
      }
    });
    if (kept()) return;
    const double total = std::accumulate(totals, totals + shares, 0.0);
    store(*out, static_cast<T>(total / divisor(rows)), write);
  }
  template <class T>
  static double row(const ConstView& x, const ConstView& targets, T lse, std::int64_t r) {
    const std::int64_t classes = x.shape()[1];
    const T* logits = x.as<T>() + r * classes;
    const auto term = [&](std::int64_t c) {
      return static_cast<double>(lse) - static_cast<double>(logits[c]);
    };
    if (is_integer(targets.dtype)) return term(Indices(targets)[r]);
    // sum(t (lse - x)); an entry of t = 0 adds 0, also for a logit of -inf.
    const T* t = targets.as<T>() + r * classes;
    double loss = 0;
    for (std::int64_t c = 0; c < classes; ++c) {
      if (t[c] != 0) loss += static_cast<double>(t[c]) * term(c);
    }
    return loss;
  }
  // With f the row's factor of u: dx = (softmax(x) sum(t) - t) f, dt = -log_softmax(x) f
  void vjp(Backward& b) const;
};

/// (softmax(x) sum(t) - t) f for every row, f its factor of the cotangent. A row with t = 0 gets 0, also for
/// logits that are not finite.
struct SoftmaxCrossEntropyGrad : RowLoss {
  static constexpr const char* name = "softmax_cross_entropy_grad";
  static constexpr Reads reads[] = {reads_x(0) | reads_x(1) | reads_x(2),
                                    reads_x(0) | reads_x(1) | reads_x(2), reads_x(0) | reads_x(1),
                                    kReadsNothing};
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  template <class T>
  void eval(Operands x, View dx, Write write) const {
    const std::int64_t rows = dx.shape()[0], classes = dx.shape()[1];
    const bool labelled = is_integer(x[1].dtype);
    const T* u = x[2].as<T>();
    const T* lse = x[3].as<T>();
    const auto& kernel = kernels::table<T>();
    parallel_chunks(rows, classes, [&](std::int64_t begin, std::int64_t count) {
      for (std::int64_t r = begin; r < begin + count; ++r) {
        const T* logits = x[0].as<T>() + r * classes;
        const T* t = labelled ? nullptr : x[1].as<T>() + r * classes;
        T* out = dx.as<T>() + r * classes;
        const T scale = u[kept() ? r : 0] / static_cast<T>(divisor(rows));
        T weight = 1;
        if (t) kernel.sum(t, {1, classes, 1}, &weight, Write::assign);
        if (weight != 0 && scale != 0) {
          kernel.exp_minus(logits, lse[r], weight * scale, out, classes, write);
        } else if (write == Write::assign) {
          std::fill_n(out, classes, T(0));
        }
        if (labelled) {
          out[Indices(x[1])[r]] -= scale;
        } else {
          for (std::int64_t c = 0; c < classes; ++c) out[c] -= t[c] != 0 ? scale * t[c] : T(0);
        }
      }
    });
  }
  // With w = dy, p = softmax(x) and f the row's factor of u: dx = p (v - sum(v p)) for v = w sum(t) f,
  // dt = (sum(w p) - w) f, and du is the reduction of w (sum(t) p - t).
  void vjp(Backward& b) const {
    const Var& w = b.dy();
    const std::int64_t rows = b.x_shape(0)[0], classes = b.x_shape(0)[1];
    const Var p = softmax(b.x(0));
    Var t, total;
    if (b.dx(0).needed() || b.dx(2).needed()) {
      t = is_integer(b.x(1).dtype()) ? one_hot(b.x(1), classes, w.dtype()) : b.x(1);
      total = sum(t, 1, true);
    }
    b.dx(0) += [&] { return detail::softmax_grad(w * total * share(b.x(2), rows), p, 1); };
    b.dx(1) += [&] { return (sum(w * p, 1, true) - w) * share(b.x(2), rows); };
    b.dx(2) += [&] { return of(w * (cotangent_mul(total, p) - t), rows); };
  }
};

void SoftmaxCrossEntropy::vjp(Backward& b) const {
  b.dx(0) += apply(SoftmaxCrossEntropyGrad{reduction}, b.x(0), b.x(1), b.dy(), b.x(2));
  b.dx(1) += [&] { return -cotangent_mul(share(b.dy(), b.x_shape(0)[0]), log_softmax(b.x(0))); };
}

// Options -------------------------------------------------------------------------------------------------

bool has_row_options(const CrossEntropyOptions& o) {
  return o.class_weights.defined() || o.ignore_index || o.label_smoothing != 0;
}

void check_options(const char* op, const Var& x, const Var& targets, const CrossEntropyOptions& o) {
  if (!(o.label_smoothing >= 0 && o.label_smoothing <= 1))
    throw Error(text(op, ": label_smoothing = ", o.label_smoothing, " is not in [0, 1]"));
  if (o.ignore_index && !is_integer(targets.dtype()))
    throw Error(text(op, ": ignore_index needs integer labels, not ", targets.dtype()));
  if (!o.class_weights.defined()) return;
  if (o.class_weights.dtype() != x.dtype())
    throw DTypeError(text(op, ": class_weights are ", o.class_weights.dtype(), ", not ", x.dtype()));
  if (o.class_weights.shape() != Shape{x.shape()[1]})
    throw ShapeError(text(op, ": class_weights ", o.class_weights.shape(), " do not fit ", x.shape()));
}

/// The weight of each class of each row, and the divisor of `mean`.
struct Targets {
  Var rows, total;
};

Targets targets_of(const char* op, const Var& x, const Var& targets, const CrossEntropyOptions& o) {
  check_rows(op, x.view(), targets.view());
  check_options(op, x, targets, o);
  const std::int64_t classes = x.shape()[1];
  const bool labelled = is_integer(targets.dtype());
  if (labelled) detail::require_in_range(op, targets, classes, o.ignore_index);
  Var t = labelled ? detail::one_hot(targets, classes, x.dtype(), o.ignore_index) : targets;
  const auto weighted = [&] { return o.class_weights.defined() ? t * o.class_weights : t; };
  const Var total = labelled && (o.class_weights.defined() || o.ignore_index)
                        ? sum(weighted())
                        : detail::scalar_like(x, static_cast<double>(x.shape()[0]));
  if (const double s = o.label_smoothing; s != 0)
    t = (1 - s) * t + s / static_cast<double>(classes) * sum(t, 1, true);
  return {weighted(), total};
}

Var of_logits(const Var& x, const Var& t, Reduction reduction) {
  return apply(SoftmaxCrossEntropy{reduction}, x, t, apply(RowLogSumExp{}, x));
}

Var reduced_rows(const Var& losses, const Var& total, Reduction reduction) {
  return reduction == Reduction::mean ? sum(losses) / total : detail::reduced(losses, reduction);
}

Var log_likelihood(const Var& log_p, const Targets& targets, Reduction reduction) {
  return reduced_rows(-sum(cotangent_mul(targets.rows, log_p), 1), targets.total, reduction);
}

}  // namespace

Var softmax_cross_entropy(const Var& logits, const Var& targets, const CrossEntropyOptions& options) {
  constexpr const char* op = SoftmaxCrossEntropy::name;
  if (!has_row_options(options)) {
    check_rows(op, logits.view(), targets.view());
    if (is_integer(targets.dtype())) detail::require_in_range(op, targets, logits.shape()[1]);
    return of_logits(logits, targets, options.reduction);
  }
  const Targets t = targets_of(op, logits, targets, options);
  return reduced_rows(of_logits(logits, t.rows, Reduction::none), t.total, options.reduction);
}

Var categorical_cross_entropy(const Var& p, const Var& targets, const CrossEntropyOptions& options) {
  const Targets t = targets_of("categorical_cross_entropy", p, targets, options);
  return log_likelihood(log(p), t, options.reduction);
}

Var nll_loss(const Var& log_p, const Var& targets, const CrossEntropyOptions& options) {
  return log_likelihood(log_p, targets_of("nll_loss", log_p, targets, options), options.reduction);
}

detail::OpTable detail::cross_entropy_ops() {
  static constexpr const OpInfo* table[] = {&op_info<SoftmaxCrossEntropy>, &op_info<SoftmaxCrossEntropyGrad>};
  return table;
}

}  // namespace xgrad
