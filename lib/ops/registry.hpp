// The ops of each source of this folder: the place where an op is registered is the table at the end of it.
#pragma once

#include <span>

#include "xgrad/tape/op.hpp"

namespace xgrad::detail {

using OpTable = std::span<const OpInfo* const>;
OpTable elementwise_ops();
OpTable activation_ops();
OpTable compare_ops();
OpTable reduce_ops();
OpTable cumulative_ops();
OpTable shape_ops();
OpTable index_ops();
OpTable order_ops();
OpTable linalg_ops();
OpTable solve_ops();
OpTable determinant_ops();
OpTable decomposition_ops();
OpTable softmax_ops();
OpTable cross_entropy_ops();
OpTable random_ops();
OpTable conv_ops();
OpTable pool_ops();
OpTable norm_ops();

}  // namespace xgrad::detail
