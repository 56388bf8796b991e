// Ops that move elements without changing them.
#include "xgrad/ops/shape.hpp"

#include <algorithm>
#include <numeric>
#include <ostream>

#include "lib/ops/common.hpp"
#include "lib/ops/registry.hpp"
#include "lib/tensor/strided.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/tape/flow.hpp"

namespace xgrad {
namespace {

using detail::copy_strided;
using detail::put_run;

std::array<std::int64_t, kMaxRank> contiguous_strides(const Shape& shape) {
  std::array<std::int64_t, kMaxRank> strides{};
  std::int64_t stride = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[static_cast<std::size_t>(i)] = stride;
    stride *= shape[i];
  }
  return strides;
}

struct Reshape {
  static constexpr const char* name = "reshape";
  static constexpr bool aliases = true;
  static constexpr Reads reads[] = {kReadsNothing};
  Shape shape;
  TensorType infer(Operands x) const {
    if (shape.size() != x[0].size()) throw ShapeError(detail::text("reshape: ", x[0].shape(), " to ", shape));
    return {x[0].dtype, shape};
  }
  void eval(Operands x, View y, Write write) const { detail::copy(x[0], y, write); }
  // dx = u, reshaped
  void vjp(Backward& b) const { b.dx(0) += reshape(b.dy(), b.x_shape(0)); }
};

struct Transpose {
  static constexpr const char* name = "transpose";
  static constexpr Reads reads[] = {kReadsNothing};
  std::array<std::int8_t, kMaxRank> axes;
  TensorType infer(Operands x) const {
    Shape shape;
    for (int i = 0; i < x[0].shape().rank(); ++i)
      shape.push_back(x[0].shape()[axes[static_cast<std::size_t>(i)]]);
    return {x[0].dtype, shape};
  }
  void eval(Operands x, View y, Write write) const {
    const auto strides = contiguous_strides(x[0].shape());
    std::array<std::int64_t, kMaxRank> permuted{};
    for (std::size_t i = 0; i < static_cast<std::size_t>(y.shape().rank()); ++i) {
      permuted[i] = strides[static_cast<std::size_t>(axes[i])];
    }
    copy_strided(x[0], 0, permuted, y, write);
  }
  // dx = u with the axes in their old order
  void vjp(Backward& b) const {
    std::vector<int> inverse(static_cast<std::size_t>(b.y_shape().rank()));
    for (std::size_t i = 0; i < inverse.size(); ++i)
      inverse[static_cast<std::size_t>(axes[i])] = static_cast<int>(i);
    b.dx(0) += transpose(b.dy(), inverse);
  }
  void describe(std::ostream& out) const {
    out << "axes={";
    for (std::size_t i = 0; i < axes.size() && axes[i] >= 0; ++i) out << (i ? ", " : "") << int{axes[i]};
    out << '}';
  }
};

struct BroadcastTo {
  static constexpr const char* name = "broadcast_to";
  static constexpr Reads reads[] = {kReadsNothing};
  Shape shape;
  TensorType infer(Operands x) const {
    if (!broadcasts_to(x[0].shape(), shape)) {
      throw ShapeError(detail::text("broadcast_to: ", x[0].shape(), " does not broadcast to ", shape));
    }
    return {x[0].dtype, shape};
  }
  void eval(Operands x, View y, Write write) const {
    copy_strided(x[0], 0, broadcast_strides(x[0].shape(), shape), y, write);
  }
  // dx = u, summed to the shape of x
  void vjp(Backward& b) const { b.dx(0) += sum_to(b.dy(), b.x_shape(0)); }
};

struct Concat {
  static constexpr const char* name = "concat";
  static constexpr Reads reads[] = {kReadsNothing};
  int axis;
  TensorType infer(Operands x) const {
    Shape shape = x[0].shape();
    for (std::size_t k = 1; k < x.size(); ++k) {
      const Shape& other = x[k].shape();
      bool fits = other.rank() == shape.rank();
      for (int i = 0; fits && i < shape.rank(); ++i) fits = i == axis || other[i] == shape[i];
      if (!fits) {
        throw ShapeError(detail::text("concat: operand ", k, ' ', other, " does not fit operand 0 ",
                                      x[0].shape(), " along axis ", axis));
      }
      shape.set(axis, shape[axis] + other[axis]);
    }
    return {require_one_dtype(name, x), shape};
  }
  void eval(Operands x, View y, Write write) const {
    detail::dispatch_all(y.dtype, [&]<class T>() {
      const auto all = detail::extents_about(y.shape(), axis);
      T* out = y.as<T>();
      for (const ConstView& part : x) {
        const std::int64_t run = part.shape()[axis] * all.inner;
        for (std::int64_t o = 0; o < all.outer; ++o) {
          put_run(part.as<T>() + o * run, 1, out + o * all.n * all.inner, run, write);
        }
        out += run;
      }
    });
  }
  // dx[k] = the slice of u that x[k] became
  void vjp(Backward& b) const {
    std::int64_t start = 0;
    for (int k = 0; k < b.operand_count(); ++k) {
      const std::int64_t stop = start + b.x_shape(k)[axis];
      b.dx(k) += slice(b.dy(), axis, start, stop);
      start = stop;
    }
  }
  void describe(std::ostream& out) const { out << "axis=" << axis; }
};

/// `count` elements along an axis: start, start + step, ...
struct SliceRange {
  int axis;
  std::int64_t start, step, count;
  void describe(std::ostream& out) const {
    out << "axis=" << axis << ", start=" << start << ", step=" << step << ", count=" << count;
  }
};

struct Slice : SliceRange {
  static constexpr const char* name = "slice";
  static constexpr Reads reads[] = {kReadsNothing};
  TensorType infer(Operands x) const {
    Shape shape = x[0].shape();
    shape.set(axis, count);
    return {x[0].dtype, shape};
  }
  void eval(Operands x, View y, Write write) const {
    auto strides = contiguous_strides(x[0].shape());
    const auto a = static_cast<std::size_t>(axis);
    const std::int64_t offset = count > 0 ? start * strides[a] : 0;
    strides[a] *= step;
    copy_strided(x[0], offset, strides, y, write);
  }
  void vjp(Backward& b) const;  // dx = u in the slice, 0 elsewhere
};

/// The adjoint of a slice: x in the slice, 0 elsewhere.
struct SliceGrad : SliceRange {
  static constexpr const char* name = "slice_grad";
  static constexpr Reads reads[] = {kReadsNothing};
  std::int64_t extent;  // of the axis
  TensorType infer(Operands x) const {
    Shape shape = x[0].shape();
    shape.set(axis, extent);
    return {x[0].dtype, shape};
  }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const auto e = detail::extents_about(y.shape(), axis);
    T* out = y.as<T>();
    const T* in = x[0].as<T>();
    if (write == Write::assign) std::fill_n(out, y.size(), T(0));
    for (std::int64_t o = 0; o < e.outer; ++o) {
      for (std::int64_t k = 0; k < count; ++k, in += e.inner) {
        put_run(in, 1, out + (o * e.n + start + k * step) * e.inner, e.inner, Write::accumulate);
      }
    }
  }
  // dx = the slice of u
  void vjp(Backward& b) const {
    Slice slice{};
    static_cast<SliceRange&>(slice) = *this;
    b.dx(0) += apply(slice, b.dy());
  }
};

void Slice::vjp(Backward& b) const {
  SliceGrad grad{};
  static_cast<SliceRange&>(grad) = *this;
  grad.extent = b.x_shape(0)[axis];
  b.dx(0) += apply(grad, b.dy());
}

}  // namespace

Var reshape(const Var& x, const Shape& shape) { return apply(Reshape{shape}, x); }

Var reshape(const Var& x, std::initializer_list<std::int64_t> extents) {
  std::vector<std::int64_t> filled(extents);
  const auto open = std::find(filled.begin(), filled.end(), -1);
  if (open != filled.end()) {
    const std::int64_t rest =
        -std::accumulate(filled.begin(), filled.end(), std::int64_t{1}, std::multiplies<>());
    if (rest <= 0 || x.size() % rest != 0) {
      throw ShapeError(detail::text("reshape: no extent in place of -1 makes ", x.shape(), " fit"));
    }
    *open = x.size() / rest;
  }
  return reshape(x, Shape(filled));
}

Var transpose(const Var& x, const std::vector<int>& axes) {
  Transpose op{};
  op.axes.fill(-1);
  const int rank = x.rank();
  if (axes.empty()) {
    for (int i = 0; i < rank; ++i)
      op.axes[static_cast<std::size_t>(i)] = static_cast<std::int8_t>(rank - 1 - i);
    return apply(op, x);
  }
  unsigned seen = 0;
  for (std::size_t i = 0; i < std::min<std::size_t>(axes.size(), kMaxRank); ++i) {
    const int axis = normalize_axis("transpose", axes[i], rank);
    seen |= 1u << axis;
    op.axes[i] = static_cast<std::int8_t>(axis);
  }
  if (axes.size() != static_cast<std::size_t>(rank) || seen != (1u << rank) - 1) {
    throw ShapeError(
        detail::text("transpose: the axes must be a permutation of the ", rank, " axes of ", x.shape()));
  }
  return apply(op, x);
}

Var swapaxes(const Var& x, int axis1, int axis2) {
  const int a = normalize_axis("swapaxes", axis1, x.rank()), b = normalize_axis("swapaxes", axis2, x.rank());
  if (a == b) return identity(x);
  std::vector<int> axes(static_cast<std::size_t>(x.rank()));
  std::iota(axes.begin(), axes.end(), 0);
  std::swap(axes[static_cast<std::size_t>(a)], axes[static_cast<std::size_t>(b)]);
  return transpose(x, axes);
}

Var flatten(const Var& x, int start, int end) {
  if (x.rank() == 0) return reshape(x, Shape{1});
  const int first = normalize_axis("flatten", start, x.rank()),
            last = normalize_axis("flatten", end, x.rank());
  if (first > last) throw ShapeError(detail::text("flatten: axis ", start, " comes after axis ", end));
  Shape shape;
  for (int i = 0; i < x.rank(); ++i) {
    if (i <= first || i > last) {
      shape.push_back(x.shape()[i]);
    } else {
      shape.set(first, shape[first] * x.shape()[i]);
    }
  }
  return reshape(x, shape);
}

Var squeeze(const Var& x) {
  Shape shape;
  for (std::int64_t extent : x.shape()) {
    if (extent != 1) shape.push_back(extent);
  }
  return reshape(x, shape);
}

Var squeeze(const Var& x, const Axes& axes) {
  const detail::AxisMask mask{axes.mask("squeeze", x.rank())};
  for (int i = 0; i < x.rank(); ++i) {
    if (mask.has(i) && x.shape()[i] != 1)
      throw ShapeError(detail::text("squeeze: axis ", i, " of ", x.shape(), " does not have extent 1"));
  }
  return reshape(x, detail::reduced_shape(x.shape(), mask, false));
}

Var expand_dims(const Var& x, int axis) {
  const int a = normalize_axis("expand_dims", axis, x.rank() + 1);
  Shape shape;
  for (int i = 0; i <= x.rank(); ++i) {
    if (i == a) shape.push_back(1);
    if (i < x.rank()) shape.push_back(x.shape()[i]);
  }
  return reshape(x, shape);
}

Var broadcast_to(const Var& x, const Shape& shape) {
  return x.shape() == shape ? identity(x) : apply(BroadcastTo{shape}, x);
}

Var concat(std::span<const Var> xs, int axis) {
  if (xs.empty()) throw ShapeError("concat: no operands");
  return apply_all(Concat{normalize_axis("concat", axis, xs[0].rank())}, xs);
}
Var concat(std::initializer_list<Var> xs, int axis) { return concat(std::span(xs.begin(), xs.size()), axis); }

Var slice(const Var& x, int axis, std::optional<std::int64_t> start, std::optional<std::int64_t> stop,
          std::int64_t step) {
  const int a = normalize_axis("slice", axis, x.rank());
  if (step == 0) throw ShapeError("slice: step must not be 0");
  const std::int64_t n = x.shape()[a];
  step = std::clamp(step, -n - 1, n + 1);  // a longer step takes no more elements
  // Python's rules: bounds are clipped to [0, n], or to [-1, n - 1] going backwards.
  const std::int64_t low = step > 0 ? 0 : -1, high = step > 0 ? n : n - 1;
  const auto bound = [&](std::optional<std::int64_t> b, std::int64_t missing) {
    return b ? std::clamp(*b < 0 ? *b + n : *b, low, high) : missing;
  };
  const std::int64_t first = bound(start, step > 0 ? 0 : n - 1), end = bound(stop, step > 0 ? n : -1);
  const std::int64_t distance = step > 0 ? end - first : first - end, stride = step > 0 ? step : -step;
  const std::int64_t count = distance > 0 ? (distance + stride - 1) / stride : 0;
  Slice op{};
  static_cast<SliceRange&>(op) = {a, first, step, count};
  return apply(op, x);
}

detail::OpTable detail::shape_ops() {
  static constexpr const OpInfo* table[] = {&op_info<Reshape>, &op_info<Transpose>, &op_info<BroadcastTo>,
                                            &op_info<Concat>,  &op_info<Slice>,     &op_info<SliceGrad>};
  return table;
}

}  // namespace xgrad
