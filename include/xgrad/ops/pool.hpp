// Pooling: every window of an image [N, C, H, W] becomes one number, channel by channel.
//
// All throw ShapeError when the window does not fit or an option is out of range, DTypeError for operands
// that are not floating.
#pragma once

#include "xgrad/ops/conv.hpp"
#include "xgrad/tape/var.hpp"

namespace xgrad {

struct MaxPool2dOptions {
  Extent2d window;
  Extent2d stride = 0;   ///< 0 stands for the window's extent: windows side by side
  Extent2d padding = 0;  ///< a margin that holds nothing; at most half a window
};

/// The largest element of each window; NaN when there is one. Of elements that tie, the first in row-major
/// order gets the whole cotangent, as in PyTorch; of several NaN the first.
Var max_pool2d(const Var& x, const MaxPool2dOptions& options);

struct AvgPool2dOptions {
  Extent2d window;
  Extent2d stride = 0;            ///< 0 stands for the window's extent: windows side by side
  Extent2d padding = 0;           ///< zeros on either side of the image; at most half a window
  bool count_include_pad = true;  ///< divide by the window's size, not by how much of it is in the image
};

/// The mean of each window.
Var avg_pool2d(const Var& x, const AvgPool2dOptions& options);

}  // namespace xgrad
