// Cumulative sums and products. Both are linear recurrences, and so are their derivatives.
#include "xgrad/ops/cumulative.hpp"

#include <algorithm>
#include <ostream>

#include "lib/ops/common.hpp"
#include "lib/ops/registry.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/shape.hpp"

namespace xgrad {
namespace {

/// Writes the running values along n of a tensor [outer, n, inner] to y: the value at an offset is
/// next(offset, value before). Columns are taken side by side, so that memory is read in its order.
template <class T, class Next>
void scan(kernels::Extents e, bool reverse, double initial, T* y, Write write, Next&& next) {
  constexpr std::int64_t kColumns = 16;
  for (std::int64_t o = 0; o < e.outer; ++o) {
    for (std::int64_t first = 0; first < e.inner; first += kColumns) {
      const std::int64_t columns = std::min(kColumns, e.inner - first);
      double value[kColumns];
      std::fill_n(value, kColumns, initial);
      for (std::int64_t k = 0; k < e.n; ++k) {
        const std::int64_t at = (o * e.n + (reverse ? e.n - 1 - k : k)) * e.inner + first;
        for (std::int64_t c = 0; c < columns; ++c) {
          value[c] = next(at + c, value[c]);
          store(y[at + c], static_cast<T>(value[c]), write);
        }
      }
    }
  }
}

/// The axis that an op runs along, and whether it starts at the end.
struct Direction {
  int axis;
  bool reverse;

  Direction turned() const { return {axis, !reverse}; }
  kernels::Extents extents(const View& y) const { return detail::extents_about(y.shape(), axis); }
  void describe(std::ostream& out) const { out << "axis=" << axis << (reverse ? ", reverse" : ""); }
  /// y[i] = x[i - 1], and `fill` for the first one.
  Var previous(const Var& x, double fill) const {
    Shape shape = x.shape();
    if (shape[axis] == 0) return x;
    shape.set(axis, 1);
    const Var first = broadcast_to(detail::scalar_like(x, fill), shape);
    return reverse ? concat({slice(x, axis, 1), first}, axis) : concat({first, slice(x, axis, 0, -1)}, axis);
  }
};

struct CumSum : Direction {
  static constexpr const char* name = "cumsum";
  static constexpr Reads reads[] = {kReadsNothing};
  TensorType infer(Operands x) const { return {require_floating(name, x), x[0].shape()}; }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    scan(extents(y), reverse, 0, y.as<T>(), write,
         [in = x[0].as<T>()](std::int64_t at, double sum) { return sum + static_cast<double>(in[at]); });
  }
  void vjp(Backward& b) const { b.dx(0) += apply(CumSum{turned()}, b.dy()); }
};

struct CumProd : Direction {
  static constexpr const char* name = "cumprod";
  static constexpr Reads reads[] = {reads_x(0) | kReadsOutput};
  TensorType infer(Operands x) const { return {require_floating(name, x), x[0].shape()}; }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    scan(extents(y), reverse, 1, y.as<T>(), write, [in = x[0].as<T>()](std::int64_t at, double product) {
      return product * static_cast<double>(in[at]);
    });
  }
  // With v[i] = dy[i] + x[i + 1] v[i + 1], the cotangent of y[i] = x[i] y[i - 1]: dx[i] = v[i] y[i - 1]
  void vjp(Backward& b) const;
};

/// y[i] = b[i] + a[i] y[i - 1], for operands a and b. Its derivative is a recurrence in the other direction.
struct LinearRecurrence : Direction {
  static constexpr const char* name = "linear_recurrence";
  static constexpr Reads reads[] = {reads_x(0) | kReadsOutput, reads_x(0)};
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    scan(extents(y), reverse, 0, y.as<T>(), write,
         [a = x[0].as<T>(), b = x[1].as<T>()](std::int64_t at, double value) {
           return static_cast<double>(b[at]) + functions::cotangent_mul(value, static_cast<double>(a[at]));
         });
  }
  // With v[i] = dy[i] + a[i + 1] v[i + 1]: da[i] = v[i] y[i - 1], db = v
  void vjp(Backward& b) const {
    const Direction back = turned();
    const Var v = apply(LinearRecurrence{back}, back.previous(b.x(0), 0), b.dy());
    b.dx(0) += [&] { return cotangent_mul(v, previous(b.y(), 0)); };
    b.dx(1) += v;
  }
};

void CumProd::vjp(Backward& b) const {
  const Direction back = turned();
  const Var v = apply(LinearRecurrence{back}, back.previous(b.x(0), 0), b.dy());
  b.dx(0) += cotangent_mul(v, previous(b.y(), 1));
}

}  // namespace

Var cumsum(const Var& x, int axis) {
  return apply(CumSum{{normalize_axis("cumsum", axis, x.rank()), false}}, x);
}
Var cumprod(const Var& x, int axis) {
  return apply(CumProd{{normalize_axis("cumprod", axis, x.rank()), false}}, x);
}

detail::OpTable detail::cumulative_ops() {
  static constexpr const OpInfo* table[] = {&op_info<CumSum>, &op_info<CumProd>, &op_info<LinearRecurrence>};
  return table;
}

}  // namespace xgrad
