#include "xgrad/ops/pool.hpp"

#include <algorithm>
#include <ostream>

#include "lib/ops/common.hpp"
#include "lib/ops/registry.hpp"
#include "lib/support/parallel.hpp"

namespace xgrad {
namespace {

using detail::text;

/// What pooling ops have in common: their attributes, and the way through the windows.
struct Pooling {
  Window window;
  std::int64_t height, width;  // of the image

  TensorType pooled(const char* op, Operands x) const {
    const Shape& s = x[0].shape();
    return {require_floating(op, x),
            Shape{s[0], s[1], window.positions(0, height), window.positions(1, width)}};
  }
  TensorType unpooled(const char* op, Operands x) const {
    return {require_floating(op, x), Shape{x[0].shape()[0], x[0].shape()[1], height, width}};
  }
  void describe(std::ostream& out) const {
    const auto pair = [&](const char* name, const std::int64_t(&v)[2]) {
      out << name << "={" << v[0] << ", " << v[1] << '}';
    };
    pair("window", window.extent), pair(", stride", window.stride), pair(", padding", window.padding);
  }

  /// The part of a window that is in the image: rows top to bottom, columns left to right.
  struct Box {
    std::int64_t top, bottom, left, right;
  };
  /// Calls body(image, position, window) for every position of every plane: the offsets of the plane and of
  /// the position in the result. Planes are independent and run in parallel.
  template <class Body>
  void for_each_window(std::int64_t planes, Body&& body) const {
    const std::int64_t rows = window.positions(0, height), columns = window.positions(1, width);
    parallel_for(planes, [&](std::int64_t plane) {
      const std::int64_t image = plane * height * width;
      std::int64_t position = plane * rows * columns;
      for (std::int64_t r = 0; r < rows; ++r) {
        const std::int64_t y = r * window.stride[0] - window.padding[0];
        const std::int64_t top = std::max<std::int64_t>(y, 0),
                           bottom = std::min(y + window.extent[0], height);
        std::int64_t x = -window.padding[1];
        for (std::int64_t c = 0; c < columns; ++c, x += window.stride[1], ++position) {
          body(image, position,
               Box{top, bottom, std::max<std::int64_t>(x, 0), std::min(x + window.extent[1], width)});
        }
      }
    });
  }
  /// Calls body(offset, position) for every position of every plane: the offset in x of the window's largest
  /// element, and that of the position in the result.
  template <class T, class Body>
  void for_each_largest(const T* x, std::int64_t planes, Body&& body) const {
    const std::int64_t rows = window.positions(0, height), columns = window.positions(1, width);
    parallel_for(planes, [&](std::int64_t plane) {
      const std::int64_t image = plane * height * width;
      std::int64_t position = plane * rows * columns;
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < columns; c += kernels::kLargestPositions) {
          const Positions some{c, std::min(kernels::kLargestPositions, columns - c)};
          std::int32_t offsets[kernels::kLargestPositions];
          kernels::table<T>().largest(x + image, {1, height, width}, window, r, some, offsets);
          std::int64_t corner = image + (r * window.stride[0] - window.padding[0]) * width +
                                c * window.stride[1] - window.padding[1];
          for (std::int64_t k = 0; k < some.count; ++k, ++position, corner += window.stride[1]) {
            body(corner + offsets[k], position);
          }
        }
      }
    });
  }
};

std::int64_t planes_of(const View& v) { return v.shape()[0] * v.shape()[1]; }

/// Of every window, v's element where x is largest: linear in v, piecewise constant in x.
struct MaxPool2d : Pooling {
  static constexpr const char* name = "max_pool2d";
  static constexpr Reads reads[] = {reads_x(1), kReadsNothing};
  TensorType infer(Operands x) const { return pooled(name, x); }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const T *v = x[0].as<T>(), *from = x[1].as<T>();
    T* out = y.as<T>();
    for_each_largest(from, planes_of(y), [&](std::int64_t offset, std::int64_t position) {
      store(out[position], v[offset], write);
    });
  }
  void vjp(Backward& b) const;
};

/// The transpose in v: u goes where x is largest.
struct MaxPool2dGrad : Pooling {
  static constexpr const char* name = "max_pool2d_grad";
  static constexpr Reads reads[] = {reads_x(1), kReadsNothing};
  TensorType infer(Operands x) const { return unpooled(name, x); }
  template <class T>
  void eval(Operands x, View dx, Write write) const {
    const T *u = x[0].as<T>(), *from = x[1].as<T>();
    T* out = dx.as<T>();
    if (write == Write::assign) std::fill_n(out, dx.size(), T(0));
    for_each_largest(from, planes_of(dx),
                     [&](std::int64_t offset, std::int64_t position) { out[offset] += u[position]; });
  }
  void vjp(Backward& b) const { b.dx(0) += apply(MaxPool2d{*this}, b.dy(), b.x(1)); }
};

void MaxPool2d::vjp(Backward& b) const { b.dx(0) += apply(MaxPool2dGrad{*this}, b.dy(), b.x(1)); }

/// One over what a window's sum is divided by.
struct Averaging : Pooling {
  bool count_include_pad;
  template <class T>
  T scale(const Box& w) const {
    const std::int64_t count =
        count_include_pad ? window.extent[0] * window.extent[1] : (w.bottom - w.top) * (w.right - w.left);
    return T(1) / static_cast<T>(count);
  }
};

struct AvgPool2d : Averaging {
  static constexpr const char* name = "avg_pool2d";
  static constexpr Reads reads[] = {kReadsNothing};
  TensorType infer(Operands x) const { return pooled(name, x); }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const T* in = x[0].as<T>();
    T* out = y.as<T>();
    for_each_window(planes_of(y), [&](std::int64_t image, std::int64_t position, const Box& w) {
      T sum = 0;
      for (std::int64_t row = w.top; row < w.bottom; ++row) {
        for (std::int64_t i = w.left; i < w.right; ++i) sum += in[image + row * width + i];
      }
      store(out[position], sum * scale<T>(w), write);
    });
  }
  void vjp(Backward& b) const;
};

/// The transpose: every window's u is spread over the window.
struct AvgPool2dGrad : Averaging {
  static constexpr const char* name = "avg_pool2d_grad";
  static constexpr Reads reads[] = {kReadsNothing};
  TensorType infer(Operands x) const { return unpooled(name, x); }
  template <class T>
  void eval(Operands x, View dx, Write write) const {
    const T* u = x[0].as<T>();
    T* out = dx.as<T>();
    if (write == Write::assign) std::fill_n(out, dx.size(), T(0));
    for_each_window(planes_of(dx), [&](std::int64_t image, std::int64_t position, const Box& w) {
      const T share = u[position] * scale<T>(w);
      for (std::int64_t row = w.top; row < w.bottom; ++row) {
        for (std::int64_t i = w.left; i < w.right; ++i) out[image + row * width + i] += share;
      }
    });
  }
  void vjp(Backward& b) const { b.dx(0) += apply(AvgPool2d{*this}, b.dy()); }
};

void AvgPool2d::vjp(Backward& b) const { b.dx(0) += apply(AvgPool2dGrad{*this}, b.dy()); }

/// What a pooling function's options come to. @throws ShapeError
template <class Options>
Pooling pooling(const char* op, const Var& x, const Options& o) {
  const Shape& s = x.shape();
  if (s.rank() != 4) throw ShapeError(text(op, ": x is [N, C, H, W], not ", s));
  const Extent2d stride(o.stride.height ? o.stride.height : o.window.height,
                        o.stride.width ? o.stride.width : o.window.width);
  const auto require = [&](const char* what, const Extent2d& e, std::int64_t least) {
    if (e.height >= least && e.width >= least) return;
    throw ShapeError(text(op, ": ", what, " {", e.height, ", ", e.width, "} must be at least ", least));
  };
  require("window", o.window, 1), require("stride", stride, 1), require("padding", o.padding, 0);
  if (2 * o.padding.height > o.window.height || 2 * o.padding.width > o.window.width) {
    throw ShapeError(text(op, ": padding {", o.padding.height, ", ", o.padding.width,
                          "} must be at most half the window {", o.window.height, ", ", o.window.width, "}"));
  }
  const Pooling p{{{o.window.height, o.window.width},
                   {stride.height, stride.width},
                   {o.padding.height, o.padding.width},
                   {1, 1}},
                  s[2],
                  s[3]};
  if (s[2] == 0 || s[3] == 0 || p.window.positions(0, s[2]) == 0 || p.window.positions(1, s[3]) == 0) {
    throw ShapeError(
        text(op, ": the window {", o.window.height, ", ", o.window.width, "} does not fit into x ", s));
  }
  return p;
}

}  // namespace

Var max_pool2d(const Var& x, const MaxPool2dOptions& options) {
  return apply(MaxPool2d{pooling("max_pool2d", x, options)}, x, x);
}

Var avg_pool2d(const Var& x, const AvgPool2dOptions& options) {
  return apply(AvgPool2d{{pooling("avg_pool2d", x, options), options.count_include_pad}}, x);
}

detail::OpTable detail::pool_ops() {
  static constexpr const OpInfo* table[] = {&op_info<MaxPool2d>, &op_info<MaxPool2dGrad>, &op_info<AvgPool2d>,
                                            &op_info<AvgPool2dGrad>};
  return table;
}

}  // namespace xgrad
