#include "xgrad/ops/registry.hpp"

#include "lib/ops/registry.hpp"

namespace xgrad {

std::vector<const OpInfo*> registered_ops() {
  std::vector<const OpInfo*> all;
  for (const detail::OpTable& table :
       {detail::elementwise_ops(), detail::compare_ops(), detail::reduce_ops(), detail::shape_ops(),
        detail::index_ops(), detail::linalg_ops(), detail::softmax_ops(), detail::loss_ops(),
        detail::random_ops(), detail::conv_ops(), detail::pool_ops(), detail::norm_ops()}) {
    all.insert(all.end(), table.begin(), table.end());
  }
  return all;
}

}  // namespace xgrad
