// The list of all ops, from the tables of the families.
#include "xgrad/ops/registry.hpp"

#include "lib/ops/registry.hpp"

namespace xgrad {

std::vector<const OpInfo*> registered_ops() {
  std::vector<const OpInfo*> all;
  const auto append = [&](detail::OpTable table) { all.insert(all.end(), table.begin(), table.end()); };
#define XGRAD_APPEND(family) append(detail::family##_ops());
  XGRAD_OP_FAMILIES(XGRAD_APPEND)
#undef XGRAD_APPEND
  return all;
}

}  // namespace xgrad
