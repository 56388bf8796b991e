// Diagonals and triangles of matrices, compositions of scatter_add, slice and where.
#include "xgrad/ops/diagonal.hpp"

#include <algorithm>
#include <cstdint>

#include "lib/ops/common.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/index.hpp"
#include "xgrad/ops/shape.hpp"

namespace xgrad {
namespace {

/// x where keep(column - row), 0 elsewhere
template <class Keep>
Var triangle(const char* op, const Var& x, Keep&& keep) {
  require_floating(op, x);
  if (x.rank() < 2) throw ShapeError(detail::text(op, ": ", x.shape(), " has fewer than two axes"));
  const std::int64_t rows = x.shape()[x.rank() - 2], columns = x.shape()[x.rank() - 1];
  const Var mask = x.tape().constant({DType::boolean, {rows, columns}}, [&](View v) {
    bool* out = v.as<bool>();
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < columns; ++j) *out++ = keep(j - i);
    }
  });
  return where(mask, x, detail::scalar_like(x, 0));
}

}  // namespace

Var diag(const Var& x, int k) {
  const std::int64_t right = std::max(k, 0), down = right - k;
  if (x.rank() == 1) {
    const std::int64_t n = x.size(), side = n + right + down;
    const Var places = x.tape().constant({DType::int64, {n}}, [&](View v) {
      for (std::int64_t i = 0; i < n; ++i) v.as<std::int64_t>()[i] = (i + down) * side + i + right;
    });
    return reshape(scatter_add(x, 0, places, side * side), Shape{side, side});
  }
  if (x.rank() != 2) throw ShapeError(detail::text("diag: ", x.shape(), " is neither a vector nor a matrix"));
  const std::int64_t rows = x.shape()[0], columns = x.shape()[1];
  const std::int64_t count = std::max<std::int64_t>(std::min(rows - down, columns - right), 0);
  const std::int64_t start = down * columns + right, step = columns + 1;
  return slice(reshape(x, Shape{x.size()}), 0, start, start + count * step, step);
}

Var tril(const Var& x, int k) {
  return triangle("tril", x, [k](std::int64_t to_the_right) { return to_the_right <= k; });
}
Var triu(const Var& x, int k) {
  return triangle("triu", x, [k](std::int64_t to_the_right) { return to_the_right >= k; });
}

}  // namespace xgrad
