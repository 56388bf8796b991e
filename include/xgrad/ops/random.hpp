// Ops with randomness. It is explicit: a key names the numbers, so the same key gives the same result.
#pragma once

#include "xgrad/support/random.hpp"
#include "xgrad/tape/var.hpp"

namespace xgrad {

/// Inverted dropout (Srivastava et al. 2014): each element is zero with probability p, else divided by 1 - p,
/// so that the mean stays. The mask is a function of the key; the backward pass makes it again.
/// @throws Error unless 0 <= p <= 1.
Var dropout(Arg x, double p, Key key);

}  // namespace xgrad
