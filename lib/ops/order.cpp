// argmax, argmin and argsort; sort and topk gather what argsort finds.
#include "xgrad/ops/order.hpp"

#include <algorithm>
#include <numeric>
#include <ostream>

#include "lib/ops/common.hpp"
#include "lib/ops/index.hpp"
#include "lib/ops/registry.hpp"
#include "xgrad/ops/shape.hpp"
#include "xgrad/tape/flow.hpp"

namespace xgrad {
namespace {

struct ArgMax {
  static constexpr const char* name = "argmax";
  static bool better(auto a, auto b) { return a > b; }
};
struct ArgMin {
  static constexpr const char* name = "argmin";
  static bool better(auto a, auto b) { return a < b; }
};

template <class Which>
struct ArgExtremum {
  static constexpr const char* name = Which::name;
  static constexpr bool constant = true;
  int axis;
  bool keepdims;
  detail::AxisMask mask() const { return {static_cast<std::uint8_t>(1u << axis)}; }
  TensorType infer(Operands x) const {
    detail::require_elements(name, x[0].shape(), mask());
    return {DType::int64, detail::reduced_shape(x[0].shape(), mask(), keepdims)};
  }
  void eval(Operands x, View y, Write) const {
    detail::dispatch_all(x[0].dtype, [&]<class T>() {
      const auto e = detail::extents_about(x[0].shape(), axis);
      const T* in = x[0].as<T>();
      std::int64_t* best = y.as<std::int64_t>();
      std::fill_n(best, y.size(), 0);
      for (std::int64_t o = 0; o < e.outer; ++o, in += e.n * e.inner, best += e.inner) {
        for (std::int64_t k = 1; k < e.n; ++k) {
          for (std::int64_t i = 0; i < e.inner; ++i) {
            const T a = in[k * e.inner + i], b = in[best[i] * e.inner + i];
            if (Which::better(a, b) || (a != a && b == b)) best[i] = k;
          }
        }
      }
    });
  }
  void describe(std::ostream& out) const { out << "axis=" << axis << (keepdims ? ", keepdims" : ""); }
};

/// The indices of the first `count` elements of each line, in order.
struct ArgSort {
  static constexpr const char* name = "argsort";
  static constexpr bool constant = true;
  std::int64_t count;
  bool descending;
  TensorType infer(Operands x) const {
    Shape shape = x[0].shape();
    shape.set(shape.rank() - 1, count);
    return {DType::int64, shape};
  }
  void eval(Operands x, View y, Write) const {
    detail::dispatch_all(x[0].dtype, [&]<class T>() {
      const std::int64_t n = x[0].shape()[x[0].shape().rank() - 1];
      const T* line = x[0].as<T>();
      // NaN is the largest. Equal elements compare by index, so any sort is stable.
      const auto before = [&](std::int64_t i, std::int64_t j) {
        const T a = line[descending ? j : i], b = line[descending ? i : j];
        if (a < b || (a == a && b != b)) return true;
        return (a == b || (a != a && b != b)) && i < j;
      };
      std::int64_t* out = y.as<std::int64_t>();
      for (std::int64_t* const end = out + y.size(); out != end; out += count, line += n) {
        std::iota(out, out + count, 0);
        if (count < n) std::make_heap(out, out + count, before);  // the last of them on top
        for (std::int64_t i = count; i < n; ++i) {
          if (!before(i, *out)) continue;
          std::pop_heap(out, out + count, before);
          out[count - 1] = i;
          std::push_heap(out, out + count, before);
        }
        std::sort(out, out + count, before);
      }
    });
  }
  void describe(std::ostream& out) const { out << "count=" << count << (descending ? ", descending" : ""); }
};

template <class Which>
Var arg_extremum(const Var& x, std::optional<int> axis, bool keepdims) {
  if (axis) return apply(ArgExtremum<Which>{normalize_axis(Which::name, *axis, x.rank()), keepdims}, x);
  const Var place = apply(ArgExtremum<Which>{0, false}, reshape(stop_gradient(x), {-1}));
  Shape ones;
  for (int i = 0; i < x.rank() && keepdims; ++i) ones.push_back(1);
  return reshape(place, ones);
}

/// The indices of the first `count` elements along an axis. No derivative passes, so x may be stale.
Var first_indices(const Var& x, std::int64_t count, int axis, bool descending) {
  return swapaxes(apply(ArgSort{count, descending}, swapaxes(stop_gradient(x), axis, -1)), axis, -1);
}

}  // namespace

Var argmax(const Var& x, std::optional<int> axis, bool keepdims) {
  return arg_extremum<ArgMax>(x, axis, keepdims);
}
Var argmin(const Var& x, std::optional<int> axis, bool keepdims) {
  return arg_extremum<ArgMin>(x, axis, keepdims);
}

Var argsort(const Var& x, int axis, bool descending) {
  const int a = normalize_axis("argsort", axis, x.rank());
  return first_indices(x, x.shape()[a], a, descending);
}
Var sort(const Var& x, int axis, bool descending) {
  const int a = normalize_axis("sort", axis, x.rank());
  return detail::gather_in_range(x, a, first_indices(x, x.shape()[a], a, descending));
}
TopK topk(const Var& x, std::int64_t k, int axis, bool largest) {
  const int a = normalize_axis("topk", axis, x.rank());
  if (k < 0 || k > x.shape()[a])
    throw ShapeError(detail::text("topk: k = ", k, " is not in [0, ", x.shape()[a], "]"));
  const Var indices = first_indices(x, k, a, largest);
  return {detail::gather_in_range(x, a, indices), indices};
}

detail::OpTable detail::order_ops() {
  static constexpr const OpInfo* table[] = {&op_info<ArgExtremum<ArgMax>>, &op_info<ArgExtremum<ArgMin>>,
                                            &op_info<ArgSort>};
  return table;
}

}  // namespace xgrad
