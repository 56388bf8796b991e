// Three ops that are each other's derivatives. With the trilinear form t(x, w, u) = sum(u conv2d(x, w)), each
// is the derivative of t with respect to one operand, given the other two.
#include "xgrad/ops/conv.hpp"

#include <algorithm>
#include <ostream>

#include "lib/ops/common.hpp"
#include "lib/ops/registry.hpp"
#include "lib/support/parallel.hpp"
#include "lib/tensor/gemm.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/ops/shape.hpp"

namespace xgrad {
namespace {

using detail::text;

/// What the three have in common: their attributes, and with them all extents but those of the operands.
struct Convolution {
  Window window;
  std::int64_t groups, height, width;  // of the image

  std::int64_t out_height() const { return window.positions(0, height); }
  std::int64_t out_width() const { return window.positions(1, width); }
  void describe(std::ostream& out) const {
    const auto pair = [&](const char* name, const std::int64_t(&v)[2]) {
      out << name << "={" << v[0] << ", " << v[1] << "}, ";
    };
    pair("stride", window.stride), pair("padding", window.padding), pair("dilation", window.dilation);
    out << "groups=" << groups;
  }
};

/// How the work is cut: one matrix product for each image, group and block of rows of positions. The cuts
/// depend on the shapes alone, and so do the bits of the result.
struct ConvPlan {
  Window window;
  Planes channels;  // of one group
  std::int64_t images, groups, outputs, out_width, pixels, rows, shares;

  ConvPlan(const Convolution& c, const Shape& x, const Shape& y)
      : window(c.window),
        channels{x[1] / c.groups, c.height, c.width},
        images(x[0]),
        groups(c.groups),
        outputs(y[1] / c.groups),
        out_width(c.out_width()),
        pixels(c.out_height() * c.out_width()) {
    // A block's columns stay in cache, and an image of any size needs little memory.
    constexpr std::int64_t kColumns = 64 * 1024, kShares = 8;
    const std::int64_t fitting = kColumns / std::max<std::int64_t>(1, inner() * out_width);
    rows = is_direct() ? c.out_height() : std::clamp<std::int64_t>(fitting, 1, c.out_height());
    shares = std::min(images, kShares);
  }

  /// The extent that the product sums over: the number of weights of one output.
  std::int64_t inner() const { return channels.count * window.extent[0] * window.extent[1]; }
  /// Whether the image is its own matrix of columns.
  bool is_direct() const {
    const auto all = [](const std::int64_t(&v)[2], std::int64_t n) { return v[0] == n && v[1] == n; };
    return all(window.extent, 1) && all(window.stride, 1) && all(window.padding, 0);
  }
  std::int64_t image_size() const { return channels.count * channels.height * channels.width; }
  std::int64_t columns_size() const { return is_direct() ? 0 : inner() * rows * out_width; }
  std::int64_t weights() const { return groups * outputs * inner(); }
  /// Of the matrix products, which are of the same size for all three ops.
  double flops() const { return 2.0 * static_cast<double>(images * pixels * weights()); }

  struct Block {
    std::int64_t share, group;
    Positions rows;
    std::int64_t n;              // positions in these rows
    std::int64_t image, result;  // where the group's channels and the block's outputs start
  };
  /// Calls body(block, memory for its columns). Each share is a range of images; shares run in parallel.
  template <class T, class Body>
  void for_each_block(T* columns, Body&& body) const {
    parallel_for(shares, [&](std::int64_t share) {
      for (std::int64_t i = share * images / shares; i < (share + 1) * images / shares; ++i) {
        for (std::int64_t g = 0; g < groups; ++g) {
          const std::int64_t plane = i * groups + g;
          for (std::int64_t row = 0; row * out_width < pixels; row += rows) {
            const std::int64_t count = std::min(rows, pixels / out_width - row);
            body(Block{share,
                       g,
                       {row, count},
                       count * out_width,
                       plane * image_size(),
                       plane * outputs * pixels + row * out_width},
                 columns + share * columns_size());
          }
        }
      }
    });
  }
};

std::size_t bytes(std::int64_t elements, DType dtype) {
  return static_cast<std::size_t>(elements) * size_of(dtype);
}

struct ConvWeightGrad;
struct ConvTranspose2d;

/// y of x and w, and of the bias when there is one.
struct Conv2d : Convolution {
  static constexpr const char* name = "conv2d";
  static constexpr Reads reads[] = {reads_x(1), reads_x(0), kReadsNothing};

  TensorType infer(Operands x) const {
    return {require_floating(name, x), Shape{x[0].shape()[0], x[1].shape()[0], out_height(), out_width()}};
  }
  ConvPlan plan(Operands x, const Shape& y) const { return {*this, x[0].shape(), y}; }
  std::size_t workspace(Operands x) const {
    const ConvPlan c = plan(x, infer(x).shape);
    return bytes(c.shares * c.columns_size(), x[0].dtype);
  }
  template <class T>
  void eval(Operands x, View y, Write write, void* workspace) const {
    const ConvPlan c = plan(x, y.shape());
    const bool biased = x.size() == 3;
    c.for_each_block(static_cast<T*>(workspace), [&](const ConvPlan::Block& block, T* columns) {
      const T* image = x[0].as<T>() + block.image;
      const T* w = x[1].as<T>() + block.group * c.outputs * c.inner();
      T* out = y.as<T>() + block.result;
      if (!c.is_direct()) kernels::table<T>().im2col(image, c.channels, window, block.rows, columns);
      for (std::int64_t o = 0; biased && o < c.outputs; ++o) {
        const T bias = x[2].as<T>()[block.group * c.outputs + o];
        T* line = out + o * c.pixels;
        for (std::int64_t i = 0; i < block.n; ++i) store(line[i], bias, write);
      }
      gemm({.m = c.outputs, .n = block.n, .k = c.inner(), .stride_b = block.n, .stride_c = c.pixels}, T(1), w,
           c.is_direct() ? image : columns, biased || write == Write::accumulate ? T(1) : T(0), out);
    });
  }
  double flops(Operands x, const Shape& y) const { return plan(x, y).flops(); }
  void vjp(Backward& b) const;
};

/// x of y and w.
struct ConvTranspose2d : Convolution {
  static constexpr const char* name = "conv_transpose2d";
  static constexpr Reads reads[] = {reads_x(1), reads_x(0)};

  TensorType infer(Operands x) const {
    return {require_floating(name, x), Shape{x[0].shape()[0], x[1].shape()[1] * groups, height, width}};
  }
  ConvPlan plan(Operands y, const Shape& x) const { return {*this, x, y[0].shape()}; }
  std::size_t workspace(Operands x) const {
    const ConvPlan c = plan(x, infer(x).shape);
    return bytes(c.shares * c.columns_size(), x[0].dtype);
  }
  template <class T>
  void eval(Operands x, View y, Write write, void* workspace) const {
    const ConvPlan c = plan(x, y.shape());
    c.for_each_block(static_cast<T*>(workspace), [&](const ConvPlan::Block& block, T* columns) {
      T* image = y.as<T>() + block.image;
      const T* w = x[1].as<T>() + block.group * c.outputs * c.inner();
      const bool add = c.is_direct() && write == Write::accumulate;
      gemm({.m = c.inner(), .n = block.n, .k = c.outputs, .transpose_a = true, .stride_b = c.pixels}, T(1), w,
           x[0].as<T>() + block.result, add ? T(1) : T(0), c.is_direct() ? image : columns);
      if (c.is_direct()) return;
      if (block.rows.first == 0 && write == Write::assign) std::fill_n(image, c.image_size(), T(0));
      kernels::table<T>().col2im(columns, c.channels, window, block.rows, image);
    });
  }
  double flops(Operands x, const Shape& y) const { return plan(x, y).flops(); }
  void vjp(Backward& b) const;
};

/// w of x and y.
struct ConvWeightGrad : Convolution {
  static constexpr const char* name = "conv2d_weight_grad";
  static constexpr Reads reads[] = {reads_x(1), reads_x(0)};

  TensorType infer(Operands x) const {
    return {require_floating(name, x),
            Shape{x[1].shape()[1], x[0].shape()[1] / groups, window.extent[0], window.extent[1]}};
  }
  ConvPlan plan(Operands x) const { return {*this, x[0].shape(), x[1].shape()}; }
  std::size_t workspace(Operands x) const {
    const ConvPlan c = plan(x);
    return bytes(c.shares * (c.columns_size() + c.weights()), x[0].dtype);
  }
  // Each share adds up a sum of its own, whatever thread it runs on; then these are added in their order.
  template <class T>
  void eval(Operands x, View dw, Write write, void* workspace) const {
    const ConvPlan c = plan(x);
    T* sums = static_cast<T*>(workspace);
    std::fill_n(sums, c.shares * c.weights(), T(0));
    c.for_each_block(sums + c.shares * c.weights(), [&](const ConvPlan::Block& block, T* columns) {
      const T* image = x[0].as<T>() + block.image;
      if (!c.is_direct()) kernels::table<T>().im2col(image, c.channels, window, block.rows, columns);
      gemm({.m = c.outputs,
            .n = c.inner(),
            .k = block.n,
            .transpose_b = true,
            .stride_a = c.pixels,
            .stride_b = block.n},
           T(1), x[1].as<T>() + block.result, c.is_direct() ? image : columns, T(1),
           sums + block.share * c.weights() + block.group * c.outputs * c.inner());
    });
    T* out = dw.as<T>();
    if (write == Write::assign) std::fill_n(out, dw.size(), T(0));
    for (std::int64_t share = 0; share < c.shares; ++share, sums += c.weights()) {
      for (std::int64_t i = 0; i < c.weights(); ++i) out[i] += sums[i];
    }
  }
  double flops(Operands x, const Shape&) const { return plan(x).flops(); }
  void vjp(Backward& b) const {
    b.dx(0) += apply(ConvTranspose2d{*this}, b.x(1), b.dy());
    b.dx(1) += apply(Conv2d{*this}, b.x(0), b.dy());
  }
};

void Conv2d::vjp(Backward& b) const {
  b.dx(0) += apply(ConvTranspose2d{*this}, b.dy(), b.x(1));
  b.dx(1) += apply(ConvWeightGrad{*this}, b.x(0), b.dy());
  if (b.operand_count() == 3) b.dx(2) += [&] { return sum(sum(b.dy(), {2, 3}), 0); };
}

void ConvTranspose2d::vjp(Backward& b) const {
  b.dx(0) += apply(Conv2d{*this}, b.dy(), b.x(1));
  b.dx(1) += apply(ConvWeightGrad{*this}, b.dy(), b.x(0));
}

// Checks --------------------------------------------------------------------------------------------------

/// The convolution of an image (of yet unknown extents) with a window, from a function's options.
/// @throws ShapeError
template <class Options>
Convolution convolution(const char* op, const Shape& w, const Options& o) {
  const auto require = [&](const char* what, const Extent2d& e, std::int64_t least) {
    if (e.height < least || e.width < least) {
      throw ShapeError(text(op, ": ", what, " {", e.height, ", ", e.width, "} must be at least ", least));
    }
  };
  require("stride", o.stride, 1), require("padding", o.padding, 0), require("dilation", o.dilation, 1);
  if (o.groups < 1) throw ShapeError(text(op, ": groups ", o.groups, " must be at least 1"));
  if (w[2] < 1 || w[3] < 1) throw ShapeError(text(op, ": no window in w ", w));
  return {{{w[2], w[3]},
           {o.stride.height, o.stride.width},
           {o.padding.height, o.padding.width},
           {o.dilation.height, o.dilation.width}},
          o.groups,
          0,
          0};
}

/// @throws ShapeError unless the image holds a window.
void require_room(const char* op, const Convolution& c, const Shape& x, const Shape& w) {
  if (c.out_height() > 0 && c.out_width() > 0) return;
  throw ShapeError(text(op, ": the window of w ", w, " does not fit into x ", x));
}

/// @throws ShapeError unless the bias is empty or has one number for each output.
void require_bias(const char* op, const Var& bias, std::int64_t outputs) {
  if (!bias.defined() || bias.shape() == Shape{outputs}) return;
  throw ShapeError(text(op, ": bias ", bias.shape(), " must be [", outputs, "]"));
}

}  // namespace

Var conv2d(const Var& x, const Var& w, const Var& bias, const Conv2dOptions& options) {
  const Shape &image = x.shape(), &window = w.shape();
  if (image.rank() != 4 || window.rank() != 4) {
    throw ShapeError(text("conv2d: x ", image, " and w ", window,
                          " do not fit; x is [N, C, H, W], w [O, C / groups, kh, kw]"));
  }
  Convolution c = convolution("conv2d", window, options);
  if (image[1] != window[1] * c.groups || window[0] % c.groups != 0) {
    throw ShapeError(text("conv2d: x ", image, " and w ", window, " do not fit with ", c.groups,
                          " groups; x is [N, C, H, W], w [O, C / groups, kh, kw]"));
  }
  c.height = image[2], c.width = image[3];
  require_room("conv2d", c, image, window);
  require_bias("conv2d", bias, window[0]);
  return bias.defined() ? apply(Conv2d{c}, x, w, bias) : apply(Conv2d{c}, x, w);
}

Var conv1d(const Var& x, const Var& w, const Var& bias, const Conv1dOptions& o) {
  const Shape line = x.shape(), window = w.shape();
  if (line.rank() != 3 || window.rank() != 3) {
    throw ShapeError(
        text("conv1d: x ", line, " and w ", window, " do not fit; x is [N, C, L], w [O, C / groups, k]"));
  }
  const Var y = conv2d(reshape(x, Shape{line[0], line[1], 1, line[2]}),
                       reshape(w, Shape{window[0], window[1], 1, window[2]}), bias,
                       {{1, o.stride}, {0, o.padding}, {1, o.dilation}, o.groups});
  return reshape(y, Shape{line[0], window[0], y.shape()[3]});
}

Var conv_transpose2d(const Var& x, const Var& w, const Var& bias, const ConvTranspose2dOptions& options) {
  constexpr const char* op = ConvTranspose2d::name;
  const Shape &image = x.shape(), &window = w.shape();
  if (image.rank() != 4 || window.rank() != 4) {
    throw ShapeError(text(op, ": x ", image, " and w ", window,
                          " do not fit; x is [N, C, H, W], w [C, O / groups, kh, kw]"));
  }
  Convolution c = convolution(op, window, options);
  if (image[1] != window[0] || image[1] % c.groups != 0) {
    throw ShapeError(text(op, ": x ", image, " and w ", window, " do not fit with ", c.groups,
                          " groups; x is [N, C, H, W], w [C, O / groups, kh, kw]"));
  }
  const Extent2d& further = options.output_padding;
  if (further.height < 0 || further.width < 0 || further.height >= c.window.stride[0] ||
      further.width >= c.window.stride[1]) {
    throw ShapeError(text(op, ": output_padding {", further.height, ", ", further.width,
                          "} must be at least 0 and less than the stride {", c.window.stride[0], ", ",
                          c.window.stride[1], "}"));
  }
  const auto extent = [&](int axis, std::int64_t positions, std::int64_t more) {
    return (positions - 1) * c.window.stride[axis] - 2 * c.window.padding[axis] + c.window.span(axis) + more;
  };
  c.height = extent(0, image[2], further.height), c.width = extent(1, image[3], further.width);
  if (c.height < 1 || c.width < 1 || image[2] < 1 || image[3] < 1) {
    throw ShapeError(text(op, ": nothing is left of x ", image, " with w ", window));
  }
  const std::int64_t outputs = window[1] * c.groups;
  require_bias(op, bias, outputs);
  const Var y = apply(ConvTranspose2d{c}, x, w);
  return bias.defined() ? y + reshape(bias, Shape{outputs, 1, 1}) : y;
}

detail::OpTable detail::conv_ops() {
  static constexpr const OpInfo* table[] = {&op_info<Conv2d>, &op_info<ConvTranspose2d>,
                                            &op_info<ConvWeightGrad>};
  return table;
}

}  // namespace xgrad
