// What the losses share.
#pragma once

#include "xgrad/ops/loss.hpp"

namespace xgrad::detail {

/// The losses of the elements as the reduction wants them.
Var reduced(const Var& losses, Reduction reduction);

}  // namespace xgrad::detail
