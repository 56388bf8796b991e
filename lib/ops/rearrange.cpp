// Joining, cutting, repeating and reordering: compositions of the ops in shape.cpp and index.cpp.
#include "xgrad/ops/rearrange.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "lib/ops/common.hpp"
#include "xgrad/ops/index.hpp"
#include "xgrad/ops/shape.hpp"
#include "xgrad/tape/flow.hpp"

namespace xgrad {
namespace {

/// Repeats each block of the axes from `axis` on `count` times: [outer, count, block].
Var repeat_blocks(const Var& x, int axis, std::int64_t count) {
  std::int64_t outer = 1, block = 1;
  for (int i = 0; i < x.rank(); ++i) (i < axis ? outer : block) *= x.shape()[i];
  return broadcast_to(reshape(x, Shape{outer, 1, block}), Shape{outer, count, block});
}

/// The shape with one axis `count` times as long.
Shape lengthened(Shape shape, int axis, std::int64_t count) {
  shape.set(axis, shape[axis] * count);
  return shape;
}

void require_widths(const Var& x, const std::vector<Padding>& widths) {
  if (widths.size() != static_cast<std::size_t>(x.rank()))
    throw ShapeError(
        detail::text("pad: ", widths.size(), " widths for the ", x.rank(), " axes of ", x.shape()));
  for (const Padding& w : widths) {
    if (w.before < 0 || w.after < 0)
      throw ShapeError(detail::text("pad: width ", std::min(w.before, w.after), " is negative"));
  }
}

/// The index of the element, of n, that padding puts at position i, which may be negative or beyond n.
std::int64_t source_of(std::int64_t i, std::int64_t n, PadMode mode) {
  if (mode == PadMode::edge) return std::clamp<std::int64_t>(i, 0, n - 1);
  const std::int64_t period = 2 * (n - 1), k = (i % period + period) % period;
  return k < n ? k : period - k;
}

}  // namespace

Var stack(std::span<const Var> xs, int axis) {
  if (xs.empty()) throw ShapeError("stack: no operands");
  const int a = normalize_axis("stack", axis, xs[0].rank() + 1);
  std::vector<Var> parts;
  for (const Var& x : xs) {
    if (x.shape() != xs[0].shape()) {
      throw ShapeError(detail::text("stack: shapes of operands 0 and ", parts.size(), " differ, ",
                                    xs[0].shape(), " and ", x.shape()));
    }
    parts.push_back(expand_dims(x, a));
  }
  return concat(parts, a);
}
Var stack(std::initializer_list<Var> xs, int axis) { return stack(std::span(xs.begin(), xs.size()), axis); }

std::vector<Var> split(const Var& x, std::span<const std::int64_t> sizes, int axis) {
  const int a = normalize_axis("split", axis, x.rank());
  for (std::int64_t size : sizes) {
    if (size < 0) throw ShapeError(detail::text("split: size ", size, " is negative"));
  }
  const std::int64_t total = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
  if (total != x.shape()[a]) {
    throw ShapeError(
        detail::text("split: the sizes add up to ", total, ", not to extent ", x.shape()[a], " of axis ", a));
  }
  std::vector<Var> parts;
  std::int64_t start = 0;
  for (std::int64_t size : sizes) {
    parts.push_back(slice(x, a, start, start + size));
    start += size;
  }
  return parts;
}
std::vector<Var> split(const Var& x, std::initializer_list<std::int64_t> sizes, int axis) {
  return split(x, std::span(sizes.begin(), sizes.size()), axis);
}
std::vector<Var> split(const Var& x, std::int64_t parts, int axis) {
  const int a = normalize_axis("split", axis, x.rank());
  const std::int64_t n = x.shape()[a];
  if (parts < 1 || n % parts != 0)
    throw ShapeError(detail::text("split: extent ", n, " of axis ", a, " is not ", parts, " equal parts"));
  return split(x, std::vector<std::int64_t>(static_cast<std::size_t>(parts), n / parts), a);
}

Var flip(const Var& x, const Axes& axes) {
  const detail::AxisMask mask{axes.mask("flip", x.rank())};
  Var y = x;
  for (int i = 0; i < x.rank(); ++i) {
    if (mask.has(i)) y = slice(y, i, {}, {}, -1);
  }
  return identity(std::move(y));
}

Var roll(const Var& x, std::int64_t shift, int axis) {
  const int a = normalize_axis("roll", axis, x.rank());
  const std::int64_t n = x.shape()[a], places = n > 0 ? (shift % n + n) % n : 0;
  return places == 0 ? identity(x) : concat({slice(x, a, n - places), slice(x, a, 0, n - places)}, a);
}

Var pad(const Var& x, const std::vector<Padding>& widths, double value) {
  require_widths(x, widths);
  Var y = x;
  for (int i = 0; i < x.rank(); ++i) {
    const Padding& w = widths[static_cast<std::size_t>(i)];
    if (w.before == 0 && w.after == 0) continue;
    const auto margin = [&](std::int64_t width) {
      Shape shape = y.shape();
      shape.set(i, width);
      return broadcast_to(detail::scalar_like(x, value), shape);
    };
    y = concat({margin(w.before), y, margin(w.after)}, i);
  }
  return identity(std::move(y));
}

Var pad(const Var& x, const std::vector<Padding>& widths, PadMode mode) {
  require_widths(x, widths);
  Var y = x;
  for (int i = 0; i < x.rank(); ++i) {
    const Padding w = widths[static_cast<std::size_t>(i)];
    if (w.before == 0 && w.after == 0) continue;
    const std::int64_t n = x.shape()[i], least = mode == PadMode::edge ? 1 : 2;
    if (n < least) throw ShapeError(detail::text("pad: extent ", n, " of axis ", i, " is less than ", least));
    const auto fill = [&](View v) {
      for (std::int64_t k = 0; k < v.size(); ++k) v.as<std::int64_t>()[k] = source_of(k - w.before, n, mode);
    };
    y = take(y, x.tape().constant({DType::int64, {w.before + n + w.after}}, fill), i);
  }
  return identity(std::move(y));
}

Var tile(const Var& x, const std::vector<std::int64_t>& counts) {
  for (std::int64_t count : counts) {
    if (count < 0) throw ShapeError(detail::text("tile: count ", count, " is negative"));
  }
  const int more = static_cast<int>(counts.size()) - x.rank();
  Shape shape;
  for (int i = 0; i < more; ++i) shape.push_back(1);
  for (std::int64_t extent : x.shape()) shape.push_back(extent);
  Var y = more > 0 ? reshape(x, shape) : x;
  int axis = std::max(-more, 0);
  for (std::int64_t count : counts) {
    if (count != 1) y = reshape(repeat_blocks(y, axis, count), lengthened(y.shape(), axis, count));
    ++axis;
  }
  return identity(std::move(y));
}

Var repeat(const Var& x, std::int64_t count, int axis) {
  const int a = normalize_axis("repeat", axis, x.rank());
  if (count < 0) throw ShapeError(detail::text("repeat: count ", count, " is negative"));
  return reshape(repeat_blocks(x, a + 1, count), lengthened(x.shape(), a, count));
}

}  // namespace xgrad
