// Layers of convolutional networks, on images [N, C, H, W].
#pragma once

#include <cstdint>

#include "xgrad/nn/init.hpp"
#include "xgrad/nn/visitor.hpp"
#include "xgrad/ops/conv.hpp"
#include "xgrad/ops/pool.hpp"
#include "xgrad/support/random.hpp"
#include "xgrad/tape/parameter.hpp"

namespace xgrad::nn {

struct Conv2dLayerOptions {
  Extent2d stride = 1, padding = 0, dilation = 1;
  std::int64_t groups = 1;
  Init weight = Init::kaiming();
  Init bias = Init::constant(0);
  double l2 = 0;  ///< strength of the L2 penalty on the weight, not on the bias; see nn::penalty
  DType dtype = DType::float32;
};

/// conv2d with a weight of its own: x [N, in, H, W] to [N, out, H', W'].
struct Conv2d {
  /// @throws ShapeError for extents below 0, or when the groups do not divide the channels.
  Conv2d(std::int64_t in, std::int64_t out, Extent2d window, Generator& random,
         const Conv2dLayerOptions& options = {});
  Var operator()(const Var& x) const;
  void visit(Visitor& v) { v("weight", weight, l2), v("bias", bias); }

  Parameter weight;  ///< [out, in / groups, height, width]
  Parameter bias;    ///< [out]
  Conv2dOptions options;
  double l2;
};

/// The largest element of each window.
struct MaxPool2d {
  MaxPool2dOptions options;
  Var operator()(const Var& x) const { return max_pool2d(x, options); }
};

/// The mean of each window.
struct AvgPool2d {
  AvgPool2dOptions options;
  Var operator()(const Var& x) const { return avg_pool2d(x, options); }
};

/// x [N, ...] to [N, everything else].
struct Flatten {
  /// @throws ShapeError for a scalar.
  Var operator()(const Var& x) const;
};

}  // namespace xgrad::nn
