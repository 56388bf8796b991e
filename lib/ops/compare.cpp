// Comparisons, whose derivative is zero, and where.
#include <functional>

#include "lib/ops/common.hpp"
#include "lib/ops/registry.hpp"
#include "lib/tensor/strided.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/reduce.hpp"

namespace xgrad {
namespace {

struct Equal : std::equal_to<> {
  static constexpr const char* name = "equal";
};
struct NotEqual : std::not_equal_to<> {
  static constexpr const char* name = "not_equal";
};
struct Less : std::less<> {
  static constexpr const char* name = "less";
};
struct LessEqual : std::less_equal<> {
  static constexpr const char* name = "less_equal";
};
struct Greater : std::greater<> {
  static constexpr const char* name = "greater";
};
struct GreaterEqual : std::greater_equal<> {
  static constexpr const char* name = "greater_equal";
};

template <class F>
struct Compare {
  static constexpr const char* name = F::name;
  static constexpr bool constant = true;
  TensorType infer(Operands x) const {
    require_one_dtype(name, x);
    return {DType::boolean, broadcast_shape(name, x[0].shape(), x[1].shape())};
  }
  void eval(Operands x, View z, Write) const {
    detail::dispatch_all(x[0].dtype, [&]<class T>() {
      const T* a = x[0].as<T>();
      const T* b = x[1].as<T>();
      const LoopNest<2> nest(z.shape(), {broadcast_strides(x[0].shape(), z.shape()),
                                         broadcast_strides(x[1].shape(), z.shape())});
      parallel_chunks(z.size(), [&](std::int64_t begin, std::int64_t count) {
        bool* out = z.as<bool>() + begin;
        nest.for_each_run(begin, count, [&](const auto& at, std::int64_t n, const auto& step) {
          for (std::int64_t i = 0; i < n; ++i) out[i] = F{}(a[at[0] + i * step[0]], b[at[1] + i * step[1]]);
          out += n;
        });
      });
    });
  }
};

struct Where {
  static constexpr const char* name = "where";
  static constexpr bool elementwise = true;
  static constexpr Reads reads[] = {kReadsNothing, reads_x(0)};
  TensorType infer(Operands x) const {
    detail::require_bool(name, "condition", x[0].dtype);
    const DType dtype = require_floating(name, x.subspan(1));
    return {dtype, broadcast_shape(name, broadcast_shape(name, x[1].shape(), x[2].shape()), x[0].shape())};
  }
  template <class T>
  void eval(Operands x, View z, Write write) const {
    const bool* c = x[0].as<bool>();
    const T* a = x[1].as<T>();
    const T* b = x[2].as<T>();
    const LoopNest<3> nest(
        z.shape(), {broadcast_strides(x[0].shape(), z.shape()), broadcast_strides(x[1].shape(), z.shape()),
                    broadcast_strides(x[2].shape(), z.shape())});
    parallel_chunks(z.size(), [&](std::int64_t begin, std::int64_t count) {
      T* out = z.as<T>() + begin;
      nest.for_each_run(begin, count, [&](const auto& at, std::int64_t n, const auto& step) {
        for (std::int64_t i = 0; i < n; ++i) {
          store(out[i], c[at[0] + i * step[0]] ? a[at[1] + i * step[1]] : b[at[2] + i * step[2]], write);
        }
        out += n;
      });
    });
  }
  // dx = where(condition, u, 0), dy = where(condition, 0, u)
  void vjp(Backward& b) const {
    const Var zero = detail::scalar_like(b.dy(), 0);
    b.dx(1) += [&] { return sum_to(where(b.x(0), b.dy(), zero), b.x_shape(1)); };
    b.dx(2) += [&] { return sum_to(where(b.x(0), zero, b.dy()), b.x_shape(2)); };
  }
};

}  // namespace

Var equal(Arg x, Arg y) { return apply(Compare<Equal>{}, x, y); }
Var not_equal(Arg x, Arg y) { return apply(Compare<NotEqual>{}, x, y); }
Var less(Arg x, Arg y) { return apply(Compare<Less>{}, x, y); }
Var less_equal(Arg x, Arg y) { return apply(Compare<LessEqual>{}, x, y); }
Var greater(Arg x, Arg y) { return apply(Compare<Greater>{}, x, y); }
Var greater_equal(Arg x, Arg y) { return apply(Compare<GreaterEqual>{}, x, y); }
Var where(Arg condition, Arg x, Arg y) { return apply(Where{}, condition, x, y); }

detail::OpTable detail::compare_ops() {
  static constexpr const OpInfo* table[] = {&op_info<Compare<Equal>>,
                                            &op_info<Compare<NotEqual>>,
                                            &op_info<Compare<Less>>,
                                            &op_info<Compare<LessEqual>>,
                                            &op_info<Compare<Greater>>,
                                            &op_info<Compare<GreaterEqual>>,
                                            &op_info<Where>};
  return table;
}

}  // namespace xgrad
