// Derivatives of what a tape has recorded.
#pragma once

#include <initializer_list>
#include <span>
#include <vector>

#include "xgrad/tape/tape.hpp"

namespace xgrad {

struct BackwardOptions {
  bool keep_recording = false;  ///< keep the recording for another backward
};

/// Adds d loss / d p to the gradient of every parameter p that `loss` depends on, and consumes the recording.
/// `loss` must have one element and depend on a parameter.
/// @throws ShapeError, NotDifferentiable, StaleVar; ParameterModified when a value that is needed was
/// overwritten since it was recorded. The recording is still there then. An error inside a derivative, a
/// missing one included, consumes the recording all the same, and the gradients of its parameters are
/// forgotten: no half-made sum is left.
void backward(const Var& loss, BackwardOptions options = {});

struct GradOptions {
  bool create_graph = false;  ///< record the gradients' own computation, so that they can be differentiated
  Var cotangent = {};         ///< weights of y's elements; required when y has more than one
};

/// The gradients of y (weighted by the cotangent) with respect to each of xs: same shapes as xs, zeros where
/// y does not depend on x. The recording is kept.
/// @throws as backward does.
std::vector<Var> grad(const Var& y, std::span<const Var> xs, const GradOptions& options = {});
inline std::vector<Var> grad(const Var& y, std::initializer_list<Var> xs, const GradOptions& options = {}) {
  return grad(y, std::span(xs.begin(), xs.size()), options);
}

/// The gradients of several ys at once, each weighted by its cotangent: sum over k of cotangents[k]
/// dys[k]/dx. An empty cotangent stands for 1 where y has one element. @throws as above.
std::vector<Var> grad(std::span<const Var> ys, std::span<const Var> cotangents, std::span<const Var> xs,
                      bool create_graph = false);

}  // namespace xgrad
