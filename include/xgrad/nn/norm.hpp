// Layers that normalise.
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
/// running ones otherwise. These are moving averages over the batches seen in training, of the mean and of
/// the unbiased variance (divided by n - 1), as in PyTorch.
struct BatchNorm2d {
  explicit BatchNorm2d(std::int64_t channels, const BatchNormOptions& options = {});
  Var operator()(const Var& x);
  void visit(Visitor& v) {
    v("scale", scale), v("shift", shift), v("training", training);
    v.buffer("running_mean", running_mean), v.buffer("running_variance", running_variance);
  }

  Parameter scale, shift;                    ///< [C], from 1 and 0 on
  Parameter running_mean, running_variance;  ///< [C], from 0 and 1 on; no gradient reaches them
  double eps, momentum;
  bool training = true;
};

struct LayerNormOptions {
  double eps = 1e-5;
  DType dtype = DType::float32;
};

/// layer_norm over the last axes, whose extents are given.
struct LayerNorm {
  explicit LayerNorm(const Shape& extents, const LayerNormOptions& options = {});
  Var operator()(const Var& x) const;
  void visit(Visitor& v) { v("scale", scale), v("shift", shift); }

  Parameter scale, shift;  ///< from 1 and 0 on
  double eps;
};

}  // namespace xgrad::nn
