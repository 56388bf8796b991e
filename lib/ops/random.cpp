// Dropout.
#include "xgrad/ops/random.hpp"

#include <cmath>
#include <ostream>

#include "lib/ops/common.hpp"
#include "lib/ops/registry.hpp"

namespace xgrad {
namespace {

/// x times a mask that is made from the key.
struct Dropout {
  static constexpr const char* name = "dropout";
  static constexpr bool elementwise = true;
  static constexpr Reads reads[] = {kReadsNothing};
  double p;
  Key key;
  TensorType infer(Operands x) const { return {require_floating(name, x), x[0].shape()}; }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const auto threshold = static_cast<std::uint64_t>(std::llround((1 - p) * 0x1p32));
    const T scale = p < 1 ? static_cast<T>(1 / (1 - p)) : T(0);
    parallel_chunks(y.size(), [&](std::int64_t begin, std::int64_t n) {
      kernels::table<T>().dropout(x[0].as<T>(), y.as<T>(), begin, n, key, threshold, scale, write);
    });
  }
  // dx = u times the same mask
  void vjp(Backward& b) const { b.dx(0) += apply(*this, b.donate_dy()); }
  void describe(std::ostream& out) const { out << "p=" << p << ", key=" << key.seed << ':' << key.stream; }
};

}  // namespace

Var dropout(Arg x, double p, Key key) {
  if (!(p >= 0 && p <= 1)) throw Error(detail::text("dropout: p = ", p, " is not in [0, 1]"));
  return apply(Dropout{p, key}, x);
}

detail::OpTable detail::random_ops() {
  static constexpr const OpInfo* table[] = {&op_info<Dropout>};
  return table;
}

}  // namespace xgrad
