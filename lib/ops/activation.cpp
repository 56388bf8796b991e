// Activation functions: the ops are made from lib/tensor/functions/activation.hpp.
#include "xgrad/ops/activation.hpp"

#include "lib/ops/registry.hpp"
#include "lib/ops/unary.hpp"

namespace xgrad {

using detail::Unary;

#define XGRAD_DEFINE(fn, F) \
  Var fn(Arg x) { return apply(Unary<functions::F>{}, x); }
XGRAD_ACTIVATIONS(XGRAD_DEFINE)
#undef XGRAD_DEFINE

Var leaky_relu(Arg x, double slope) { return apply(Unary<functions::LeakyRelu>{{slope}}, x); }
Var elu(Arg x, double alpha) { return apply(Unary<functions::Elu>{{alpha}}, x); }
Var softplus(Arg x, double beta) {
  if (!(beta > 0)) throw Error(detail::text("softplus: beta ", beta, " must be positive"));
  return apply(Unary<functions::Softplus>{{beta}}, x);
}
Var gelu(Arg x, GeluForm form) {
  return form == GeluForm::exact ? apply(Unary<functions::Gelu>{}, x)
                                 : apply(Unary<functions::GeluTanh>{}, x);
}
Var hardtanh(Arg x, double low, double high) {
  if (!(low <= high)) throw Error(detail::text("hardtanh: low ", low, " must be at most high ", high));
  return clamp(x, low, high);
}

#define XGRAD_ENTRY(fn, F) &op_info<Unary<functions::F>>,
detail::OpTable detail::activation_ops() {
  static constexpr const OpInfo* table[] = {XGRAD_ACTIVATIONS(XGRAD_ENTRY)
                                                XGRAD_ACTIVATIONS_WITH_ATTRIBUTES(XGRAD_ENTRY)};
  return table;
}
#undef XGRAD_ENTRY

}  // namespace xgrad
