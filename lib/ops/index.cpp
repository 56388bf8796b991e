// Ops that read or write at indices: gather and scatter_add, take and its gradient, one_hot.
#include "xgrad/ops/index.hpp"

#include <algorithm>
#include <ostream>

#include "lib/ops/common.hpp"
#include "lib/ops/index.hpp"
#include "lib/ops/registry.hpp"
#include "xgrad/ops/elementwise.hpp"

namespace xgrad {

void detail::require_index_dtype(const char* op, DType dtype) {
  if (dtype != DType::int64 && dtype != DType::int32) {
    throw DTypeError(text(op, ": indices are ", dtype, ", not int64 or int32"));
  }
}

void detail::require_in_range(const char* op, const Var& index, std::int64_t extent,
                              std::optional<std::int64_t> ignored) {
  const ConstView view = index.view();
  require_index_dtype(op, view.dtype);
  const Indices indices(view);
  for (std::int64_t i = 0, n = view.size(); i < n; ++i) {
    if ((indices[i] < 0 || indices[i] >= extent) && indices[i] != ignored) {
      throw ShapeError(text(op, ": index ", indices[i], " at position ", i, " is outside 0 to ", extent - 1));
    }
  }
}

namespace {

using detail::Indices;

/// Calls body(offset in the indexed tensor, offset in the index) for every index.
template <class Body>
void for_each_index(const ConstView& index, int axis, std::int64_t extent, Body&& body) {
  const Indices indices(index);
  const auto e = detail::extents_about(index.shape(), axis);
  std::int64_t at = 0;
  for (std::int64_t o = 0; o < e.outer; ++o) {
    for (std::int64_t k = 0; k < e.n; ++k) {
      for (std::int64_t i = 0; i < e.inner; ++i, ++at) body((o * extent + indices[at]) * e.inner + i, at);
    }
  }
}

/// @throws ShapeError unless x and index have equal extents, the axis apart.
void require_fit(const char* op, const Shape& x, const Shape& index, int axis) {
  bool fits = x.rank() == index.rank();
  for (int i = 0; fits && i < x.rank(); ++i) fits = i == axis || x[i] == index[i];
  if (!fits) throw ShapeError(detail::text(op, ": index ", index, " does not fit ", x, " along axis ", axis));
}

struct Gather {
  static constexpr const char* name = "gather";
  static constexpr Reads reads[] = {reads_x(1), kReadsNothing};
  int axis;
  TensorType infer(Operands x) const {
    detail::require_index_dtype(name, x[1].dtype);
    require_fit(name, x[0].shape(), x[1].shape(), axis);
    return {x[0].dtype, x[1].shape()};
  }
  void eval(Operands x, View y, Write write) const {
    detail::dispatch_all(y.dtype, [&]<class T>() {
      const T* in = x[0].as<T>();
      T* out = y.as<T>();
      for_each_index(x[1], axis, x[0].shape()[axis],
                     [&](std::int64_t from, std::int64_t to) { store(out[to], in[from], write); });
    });
  }
  void vjp(Backward& b) const;  // dx = u, added where x was read
  void describe(std::ostream& out) const { out << "axis=" << axis; }
};

struct ScatterAdd {
  static constexpr const char* name = "scatter_add";
  static constexpr Reads reads[] = {reads_x(1), kReadsNothing};
  int axis;
  std::int64_t extent;
  TensorType infer(Operands x) const {
    detail::require_index_dtype(name, x[1].dtype);
    if (x[0].shape() != x[1].shape()) {
      throw ShapeError(detail::text("scatter_add: index ", x[1].shape(), " and x ", x[0].shape(), " differ"));
    }
    Shape shape = x[0].shape();
    shape.set(axis, extent);
    return {require_floating(name, x.first(1)), shape};
  }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const T* in = x[0].as<T>();
    T* out = y.as<T>();
    if (write == Write::assign) std::fill_n(out, y.size(), T(0));
    for_each_index(x[1], axis, extent, [&](std::int64_t to, std::int64_t from) { out[to] += in[from]; });
  }
  // dx = u, read where x was added
  void vjp(Backward& b) const { b.dx(0) += apply(Gather{axis}, b.dy(), b.x(1)); }
  void describe(std::ostream& out) const { out << "axis=" << axis << ", extent=" << extent; }
};

void Gather::vjp(Backward& b) const {
  b.dx(0) += apply(ScatterAdd{axis, b.x_shape(0)[axis]}, b.dy(), b.x(1));
}

struct Take {
  static constexpr const char* name = "take";
  static constexpr Reads reads[] = {reads_x(1), kReadsNothing};
  int axis;
  TensorType infer(Operands x) const {
    Shape shape;
    for (int i = 0; i < axis; ++i) shape.push_back(x[0].shape()[i]);
    for (std::int64_t extent : x[1].shape()) shape.push_back(extent);
    for (int i = axis + 1; i < x[0].shape().rank(); ++i) shape.push_back(x[0].shape()[i]);
    return {x[0].dtype, shape};
  }
  void eval(Operands x, View y, Write write) const {
    detail::dispatch_all(y.dtype, [&]<class T>() {
      const Indices indices(x[1]);
      const auto e = detail::extents_about(x[0].shape(), axis);
      const T* in = x[0].as<T>();
      T* out = y.as<T>();
      for (std::int64_t o = 0; o < e.outer; ++o, in += e.n * e.inner) {
        for (std::int64_t k = 0; k < x[1].size(); ++k, out += e.inner) {
          detail::put_run(in + indices[k] * e.inner, 1, out, e.inner, write);
        }
      }
    });
  }
  void vjp(Backward& b) const;  // dx = u, added to the slices that were read
  void describe(std::ostream& out) const { out << "axis=" << axis; }
};

/// The adjoint of take: zeros of extent `extent` along the axis, to which the slices of x are added.
struct TakeGrad {
  static constexpr const char* name = "take_grad";
  static constexpr Reads reads[] = {reads_x(1), kReadsNothing};
  int axis;
  std::int64_t extent;
  TensorType infer(Operands x) const {
    const int index_rank = x[1].shape().rank();
    Shape shape;
    for (int i = 0; i < x[0].shape().rank(); ++i) {
      if (i == axis) shape.push_back(extent);
      if (i < axis || i >= axis + index_rank) shape.push_back(x[0].shape()[i]);
    }
    if (axis == x[0].shape().rank()) shape.push_back(extent);
    return {x[0].dtype, shape};
  }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const Indices indices(x[1]);
    const auto e = detail::extents_about(y.shape(), axis);
    const T* in = x[0].as<T>();
    T* out = y.as<T>();
    if (write == Write::assign) std::fill_n(out, y.size(), T(0));
    for (std::int64_t o = 0; o < e.outer; ++o, out += e.n * e.inner) {
      for (std::int64_t k = 0; k < x[1].size(); ++k, in += e.inner) {
        detail::put_run(in, 1, out + indices[k] * e.inner, e.inner, Write::accumulate);
      }
    }
  }
  void vjp(Backward& b) const { b.dx(0) += apply(Take{axis}, b.dy(), b.x(1)); }
  void describe(std::ostream& out) const { out << "axis=" << axis << ", extent=" << extent; }
};

void Take::vjp(Backward& b) const { b.dx(0) += apply(TakeGrad{axis, b.x_shape(0)[axis]}, b.dy(), b.x(1)); }

Var take_checked(const char* op, const Var& x, const Var& index, int axis) {
  const int a = normalize_axis(op, axis, x.rank());
  detail::require_in_range(op, index, x.shape()[a]);
  return apply(Take{a}, x, index);
}

struct OneHot {
  static constexpr const char* name = "one_hot";
  static constexpr bool constant = true;
  std::int64_t classes;
  DType dtype;
  std::int64_t ignored = -1;
  TensorType infer(Operands x) const {
    detail::require_index_dtype(name, x[0].dtype);
    Shape shape = x[0].shape();
    shape.push_back(classes);
    return {dtype, shape};
  }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const Indices labels(x[0]);
    if (write == Write::assign) std::fill_n(y.as<T>(), y.size(), T(0));
    for (std::int64_t i = 0; i < x[0].size(); ++i) {
      if (labels[i] != ignored) y.as<T>()[i * classes + labels[i]] += T(1);
    }
  }
  void describe(std::ostream& out) const { out << "classes=" << classes; }
};

}  // namespace

Var gather(const Var& x, int axis, const Var& index) {
  const int a = normalize_axis("gather", axis, x.rank());
  require_fit("gather", x.shape(), index.shape(), a);
  detail::require_in_range("gather", index, x.shape()[a]);
  return detail::gather_in_range(x, a, index);
}
Var detail::gather_in_range(const Var& x, int axis, const Var& index) {
  return apply(Gather{axis}, x, index);
}

Var scatter_add(const Var& x, int axis, const Var& index, std::int64_t extent) {
  const int a = normalize_axis("scatter_add", axis, x.rank());
  if (extent < 0) throw ShapeError(detail::text("scatter_add: extent ", extent, " is negative"));
  detail::require_in_range("scatter_add", index, extent);
  return apply(ScatterAdd{a, extent}, x, index);
}

Var take(const Var& x, const Var& index, int axis) { return take_checked("take", x, index, axis); }
Var embedding(const Var& table, const Var& index) { return take_checked("embedding", table, index, 0); }

Var masked_fill(const Var& x, const Var& mask, double value) {
  require_floating("masked_fill", x);
  detail::require_bool("masked_fill", "mask", mask.dtype());
  if (!broadcasts_to(mask.shape(), x.shape())) {
    throw ShapeError(detail::text("masked_fill: mask ", mask.shape(), " does not broadcast to ", x.shape()));
  }
  return where(mask, detail::scalar_like(x, value), x);
}

Var one_hot(const Var& labels, std::int64_t classes, DType dtype) {
  if (!is_floating(dtype)) throw DTypeError(detail::text("one_hot: dtype must be floating, not ", dtype));
  detail::require_in_range("one_hot", labels, classes);
  return apply(OneHot{classes, dtype}, labels);
}

Var detail::one_hot(const Var& labels, std::int64_t classes, DType dtype,
                    std::optional<std::int64_t> ignored) {
  return apply(OneHot{classes, dtype, ignored.value_or(-1)}, labels);
}

detail::OpTable detail::index_ops() {
  static constexpr const OpInfo* table[] = {&op_info<Gather>, &op_info<ScatterAdd>, &op_info<Take>,
                                            &op_info<TakeGrad>, &op_info<OneHot>};
  return table;
}

}  // namespace xgrad
