// Losses that are compositions of other ops.
#include "lib/ops/loss.hpp"

#include <initializer_list>

#include "lib/ops/common.hpp"
#include "xgrad/ops/activation.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/reduce.hpp"

namespace xgrad {
namespace {

using detail::reduced;
using detail::scalar_like;
using detail::text;

/// An operand and its name in errors.
struct Operand {
  const char* name;
  const Var& value;
};

/// @throws DTypeError, ShapeError unless all have one floating dtype and one shape.
void require_alike(const char* op, std::initializer_list<Operand> operands) {
  const Operand& first = *operands.begin();
  for (const Operand& x : operands) {
    if (!is_floating(x.value.dtype()))
      throw DTypeError(text(op, ": ", x.name, " is ", x.value.dtype(), ", not floating"));
    if (x.value.dtype() != first.value.dtype()) {
      throw DTypeError(
          text(op, ": ", first.name, " is ", first.value.dtype(), " and ", x.name, " ", x.value.dtype()));
    }
    if (x.value.shape() != first.value.shape()) {
      throw ShapeError(text(op, ": ", first.name, " ", first.value.shape(), " and ", x.name, " ",
                            x.value.shape(), " must have the same shape"));
    }
  }
}

/// prediction - target
Var error_of(const char* op, const Var& prediction, const Var& target) {
  require_alike(op, {{"prediction", prediction}, {"target", target}});
  return prediction - target;
}

/// The losses times their weights, if any.
Var weighted(const char* op, const char* what, const Var& losses, const Var& weight) {
  if (!weight.defined()) return losses;
  if (!broadcasts_to(weight.shape(), losses.shape())) {
    throw ShapeError(text(op, ": ", what, " ", weight.shape(), " does not broadcast to ", losses.shape()));
  }
  return losses * weight;
}

/// d^2 / 2 for |d| <= delta, linear beyond. Only abs sees the part of d beyond delta: nothing overflows.
Var huber_of(const Var& d, double delta) {
  const Var limited = clamp(d, -delta, delta);
  return 0.5 * square(limited) + delta * abs(d - limited);
}

/// The Euclidean norm along an axis.
Var norm(const Var& x, int axis) { return sqrt(sum(square(x), axis)); }

}  // namespace

Var detail::reduced(const Var& losses, Reduction reduction) {
  switch (reduction) {
    case Reduction::mean:
      return mean(losses);
    case Reduction::sum:
      return sum(losses);
    case Reduction::batch_mean:
      return sum(losses) / static_cast<double>(losses.rank() > 0 ? losses.shape()[0] : 1);
    case Reduction::none:
      break;
  }
  return losses;
}

Var binary_cross_entropy(const Var& p, const Var& target, const BinaryCrossEntropyOptions& options) {
  constexpr const char* op = "binary_cross_entropy";
  require_alike(op, {{"p", p}, {"target", target}});
  const Var losses = -(cotangent_mul(target, log(p)) + cotangent_mul(1 - target, log1p(-p)));
  return reduced(weighted(op, "weight", losses, options.weight), options.reduction);
}

Var binary_cross_entropy_with_logits(const Var& logits, const Var& target, const LogitsOptions& options) {
  constexpr const char* op = "binary_cross_entropy_with_logits";
  require_alike(op, {{"logits", logits}, {"target", target}});
  const Var positive = weighted(op, "pos_weight", target, options.pos_weight);
  const Var losses = cotangent_mul(positive, softplus(-logits)) + cotangent_mul(1 - target, softplus(logits));
  return reduced(weighted(op, "weight", losses, options.weight), options.reduction);
}

Var mse(const Var& prediction, const Var& target, Reduction reduction) {
  return reduced(square(error_of("mse", prediction, target)), reduction);
}

Var mae(const Var& prediction, const Var& target, Reduction reduction) {
  return reduced(abs(error_of("mae", prediction, target)), reduction);
}

Var huber(const Var& prediction, const Var& target, double delta, Reduction reduction) {
  if (!(delta > 0)) throw Error(text("huber: delta = ", delta, " is not above 0"));
  return reduced(huber_of(error_of("huber", prediction, target), delta), reduction);
}

Var smooth_l1(const Var& prediction, const Var& target, double beta, Reduction reduction) {
  if (!(beta >= 0)) throw Error(text("smooth_l1: beta = ", beta, " is below 0"));
  const Var d = error_of("smooth_l1", prediction, target);
  return reduced(beta == 0 ? abs(d) : huber_of(d, beta) / beta, reduction);
}

Var kl_divergence(const Var& log_p, const Var& target, Reduction reduction) {
  require_alike("kl_divergence", {{"log_p", log_p}, {"target", target}});
  return reduced(cotangent_mul(target, log(target) - log_p), reduction);
}

Var hinge_loss(const Var& score, const Var& target, double margin, Reduction reduction) {
  require_alike("hinge_loss", {{"score", score}, {"target", target}});
  return reduced(relu(margin - target * score), reduction);
}

Var cosine_similarity(const Var& x, const Var& y, int axis, double eps) {
  require_alike("cosine_similarity", {{"x", x}, {"y", y}});
  if (!(eps > 0)) throw Error(text("cosine_similarity: eps = ", eps, " is not above 0"));
  axis = normalize_axis("cosine_similarity", axis, x.rank());
  const Var least = scalar_like(x, eps);
  return sum(x * y, axis) / (maximum(norm(x, axis), least) * maximum(norm(y, axis), least));
}

Var cosine_embedding_loss(const Var& x, const Var& y, const Var& target, double margin, Reduction reduction) {
  constexpr const char* op = "cosine_embedding_loss";
  require_alike(op, {{"x", x}, {"y", y}});
  const Var similarity = cosine_similarity(x, y);
  require_alike(op, {{"similarity", similarity}, {"target", target}});
  const Var positive = greater(target, scalar_like(target, 0));
  return reduced(where(positive, 1 - similarity, relu(similarity - margin)), reduction);
}

Var triplet_margin_loss(const Var& anchor, const Var& positive, const Var& negative, double margin,
                        double eps, Reduction reduction) {
  constexpr const char* op = "triplet_margin_loss";
  require_alike(op, {{"anchor", anchor}, {"positive", positive}, {"negative", negative}});
  if (!(eps > 0)) throw Error(text(op, ": eps = ", eps, " is not above 0"));
  const int axis = normalize_axis(op, -1, anchor.rank());
  const auto distance = [&](const Var& other) { return norm(anchor - other + eps, axis); };
  return reduced(relu(distance(positive) - distance(negative) + margin), reduction);
}

Var l2_penalty(const Var& w, double strength) { return sum(square(w)) * strength; }

}  // namespace xgrad
