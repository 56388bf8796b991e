#include "xgrad/ops/registry.hpp"

#include "lib/ops/registry.hpp"

namespace xgrad {

std::vector<const OpInfo*> registered_ops() {
  std::vector<const OpInfo*> all;
  for (const detail::OpTable& table :
       {detail::elementwise_ops(), detail::activation_ops(), detail::compare_ops(), detail::reduce_ops(),
        detail::cumulative_ops(), detail::shape_ops(), detail::index_ops(), detail::order_ops(),
        detail::linalg_ops(), detail::solve_ops(), detail::determinant_ops(), detail::decomposition_ops(),
        detail::softmax_ops(), detail::cross_entropy_ops(), detail::random_ops(), detail::conv_ops(),
        detail::pool_ops(), detail::norm_ops()}) {
    all.insert(all.end(), table.begin(), table.end());
  }
  return all;
}

}  // namespace xgrad
