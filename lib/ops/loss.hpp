// The reduction of losses.
#pragma once

#include "xgrad/ops/loss.hpp"

namespace xgrad::detail {

/// Reduces the losses of the elements.
Var reduced(const Var& losses, Reduction reduction);

}  // namespace xgrad::detail
