// Attention.
#pragma once

#include <optional>

#include "xgrad/tape/var.hpp"

namespace xgrad {

struct AttentionOptions {
  Var mask = {};        ///< broadcasts to [..., L, S]: bool, true where q may look, or numbers to add
  bool causal = false;  ///< q number i looks at k number 0 to i only
  std::optional<double> scale = {};  ///< of q k^T; 1 / sqrt(E) when left out
};

/// softmax(scale q k^T + mask) v: q [..., L, E], k [..., S, E], v [..., S, F], result [..., L, F]; the
/// leading axes, batches and heads, broadcast. A row of q that may look nowhere gives NaN (Vaswani et al.
/// 2017).
/// @throws ShapeError, DTypeError
Var scaled_dot_product_attention(const Var& q, const Var& k, const Var& v,
                                 const AttentionOptions& options = {});

}  // namespace xgrad
