// The op families: lib/ops/<family>.cpp ends with the table of its ops. The build (lib/CMakeLists.txt) and
// the registry are made from this list.
#pragma once

#include <span>

#include "xgrad/tape/op.hpp"

#define XGRAD_OP_FAMILIES(X) \
  X(elementwise)             \
  X(activation)              \
  X(compare)                 \
  X(reduce)                  \
  X(cumulative)              \
  X(shape)                   \
  X(index)                   \
  X(order)                   \
  X(linalg)                  \
  X(solve)                   \
  X(determinant)             \
  X(decompositions)          \
  X(softmax)                 \
  X(cross_entropy)           \
  X(random)                  \
  X(conv)                    \
  X(pool)                    \
  X(norm)

namespace xgrad::detail {

using OpTable = std::span<const OpInfo* const>;
#define XGRAD_DECLARE(family) OpTable family##_ops();
XGRAD_OP_FAMILIES(XGRAD_DECLARE)
#undef XGRAD_DECLARE

}  // namespace xgrad::detail
