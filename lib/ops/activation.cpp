#include "xgrad/ops/activation.hpp"

#include "lib/ops/registry.hpp"
#include "lib/ops/unary.hpp"

namespace xgrad {

using detail::Unary;

#define XGRAD_DEFINE(fn, F) \
  Var fn(Var x) { return apply(Unary<functions::F>{}, std::move(x)); }
XGRAD_ACTIVATIONS(XGRAD_DEFINE)
#undef XGRAD_DEFINE

Var leaky_relu(Var x, double slope) { return apply(Unary<functions::LeakyRelu>{{slope}}, std::move(x)); }
Var elu(Var x, double alpha) { return apply(Unary<functions::Elu>{{alpha}}, std::move(x)); }
Var softplus(Var x, double beta) {
  if (!(beta > 0)) throw Error(detail::text("softplus: beta ", beta, " must be positive"));
  return apply(Unary<functions::Softplus>{{beta}}, std::move(x));
}
Var gelu(Var x, GeluForm form) {
  return form == GeluForm::exact ? apply(Unary<functions::Gelu>{}, std::move(x))
                                 : apply(Unary<functions::GeluTanh>{}, std::move(x));
}
Var hardtanh(Var x, double low, double high) {
  if (!(low <= high)) throw Error(detail::text("hardtanh: low ", low, " must be at most high ", high));
  return clamp(std::move(x), low, high);
}

#define XGRAD_ENTRY(fn, F) &op_info<Unary<functions::F>>,
detail::OpTable detail::activation_ops() {
  static constexpr const OpInfo* table[] = {XGRAD_ACTIVATIONS(XGRAD_ENTRY)
                                                XGRAD_ACTIVATIONS_WITH_ATTRIBUTES(XGRAD_ENTRY)};
  return table;
}
#undef XGRAD_ENTRY

}  // namespace xgrad
