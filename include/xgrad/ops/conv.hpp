// Convolutions (cross-correlations, as everywhere in networks). Their gradients are convolutions again, so
// they can be differentiated any number of times.
//
// All throw ShapeError when shapes or options do not fit, DTypeError unless the operands have one floating
// dtype. An empty Var as bias means no bias.
#pragma once

#include <cstdint>

#include "xgrad/tape/var.hpp"

namespace xgrad {

/// A height and a width; one number stands for both.
struct Extent2d {
  std::int64_t height = 1, width = 1;
  constexpr Extent2d(std::int64_t both) : height(both), width(both) {}  // implicit: `.stride = 2`
  constexpr Extent2d(std::int64_t h, std::int64_t w) : height(h), width(w) {}
};

struct Conv2dOptions {
  Extent2d stride = 1;      ///< the step from one position of the window to the next
  Extent2d padding = 0;     ///< zeros on either side of the image
  Extent2d dilation = 1;    ///< the distance between neighbouring elements of the window
  std::int64_t groups = 1;  ///< each group of channels makes its own group of outputs
};

/// x [N, C, H, W], w [O, C / groups, kh, kw], bias [O]; the result is [N, O, H', W'] with
/// H' = (H + 2 padding - dilation (kh - 1) - 1) / stride + 1, rounded down.
Var conv2d(const Var& x, const Var& w, const Var& bias = {}, const Conv2dOptions& options = {});

struct Conv1dOptions {
  std::int64_t stride = 1, padding = 0, dilation = 1, groups = 1;  ///< as for conv2d
};

/// x [N, C, L], w [O, C / groups, k], bias [O]: conv2d of images of height 1.
Var conv1d(const Var& x, const Var& w, const Var& bias = {}, const Conv1dOptions& options = {});

struct ConvTranspose2dOptions {
  Extent2d stride = 1, padding = 0, dilation = 1;  ///< of the convolution that this is the transpose of
  Extent2d output_padding = 0;  ///< further rows and columns of the result, fewer than the stride
  std::int64_t groups = 1;
};

/// The transpose of conv2d, its derivative with respect to x: x [N, C, H, W], w [C, O / groups, kh, kw], bias
/// [O]; the result is [N, O, H', W'] with
/// H' = (H - 1) stride - 2 padding + dilation (kh - 1) + 1 + output_padding.
Var conv_transpose2d(const Var& x, const Var& w, const Var& bias = {},
                     const ConvTranspose2dOptions& options = {});

}  // namespace xgrad
