// BatchNorm2d and LayerNorm.
#pragma once

#include <cstdint>

#include "xgrad/nn/visitor.hpp"
#include "xgrad/ops/norm.hpp"
#include "xgrad/tape/parameter.hpp"

namespace xgrad::nn {

struct BatchNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;  ///< the weight of a batch in the running statistics
  DType dtype = DType::float32;
};

/// batch_norm of x [N, C, H, W] (or of any [N, C, ...]): with the batch's own statistics in training, with
/// the running statistics otherwise. The running statistics are moving averages, over the batches seen in
/// training, of the mean and of the unbiased variance (divided by n - 1), as in PyTorch.
struct BatchNorm2d {
  explicit BatchNorm2d(std::int64_t channels, const BatchNormOptions& options = {});
  Var operator()(const Var& x);
  void visit(Visitor& v) {
    v("scale", scale), v("shift", shift), v("training", training);
    v.buffer("running_mean", running_mean), v.buffer("running_variance", running_variance);
  }

  Parameter scale, shift;                    ///< [C], initially 1 and 0
  Parameter running_mean, running_variance;  ///< [C], initially 0 and 1; not trained
  double eps, momentum;
  bool training = true;
};

struct LayerNormOptions {
  double eps = 1e-5;
  DType dtype = DType::float32;
};

/// layer_norm over the last axes, which have the given extents.
struct LayerNorm {
  explicit LayerNorm(const Shape& extents, const LayerNormOptions& options = {});
  Var operator()(const Var& x) const;
  void visit(Visitor& v) { v("scale", scale), v("shift", shift); }

  Parameter scale, shift;  ///< initially 1 and 0
  double eps;
};

}  // namespace xgrad::nn
