// Normalisation: (x - mean) / sqrt(variance + eps), the variance being that of the population (divided by n).
// Then scale and shift are multiplied and added; an empty Var leaves them out.
//
// All throw ShapeError when shapes do not fit, DTypeError unless the operands have one floating dtype.
#pragma once

#include <cstdint>

#include "xgrad/tape/var.hpp"

namespace xgrad {

/// Over all axes but axis 1, the channels: x [N, C, ...], scale and shift [C] (Ioffe and Szegedy 2015).
Var batch_norm(const Var& x, const Var& scale = {}, const Var& shift = {}, double eps = 1e-5);

/// Mean and variance [C] of x [N, C, ...], by which batch_norm normalises, as constants.
struct Moments {
  Var mean, variance;
};
Moments batch_moments(const Var& x);

/// batch_norm with given statistics, as after training.
Var batch_norm(const Var& x, const Var& scale, const Var& shift, const Moments& moments, double eps = 1e-5);

/// Over the last `axes` axes, whose extents scale and shift have (Ba et al. 2016).
Var layer_norm(const Var& x, int axes = 1, const Var& scale = {}, const Var& shift = {}, double eps = 1e-5);

/// x / sqrt(mean(x^2) + eps) over the last `axes` axes, times scale (Zhang and Sennrich 2019).
Var rms_norm(const Var& x, int axes = 1, const Var& scale = {}, double eps = 1e-5);

/// Over groups of channels of each example: x [N, C, ...], scale and shift [C] (Wu and He 2018).
Var group_norm(const Var& x, std::int64_t groups, const Var& scale = {}, const Var& shift = {},
               double eps = 1e-5);

}  // namespace xgrad
