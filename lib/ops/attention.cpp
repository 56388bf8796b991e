// Scaled dot-product attention, a composition of matmul, where and softmax.
#include "xgrad/ops/attention.hpp"

#include <cmath>
#include <limits>

#include "lib/ops/common.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/linalg.hpp"
#include "xgrad/ops/softmax.hpp"

namespace xgrad {
namespace {

using detail::text;

/// scores where `allowed`, -inf elsewhere
Var masked(const Var& scores, const Var& allowed) {
  return where(allowed, scores, detail::scalar_like(scores, -std::numeric_limits<double>::infinity()));
}

/// true on and below the diagonal.
Var lower_triangle(Tape& tape, std::int64_t rows, std::int64_t columns) {
  return tape.constant({DType::boolean, Shape{rows, columns}}, [&](View v) {
    bool* out = v.as<bool>();
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < columns; ++c) *out++ = c <= r;
    }
  });
}

}  // namespace

Var scaled_dot_product_attention(const Var& q, const Var& k, const Var& v, const AttentionOptions& options) {
  constexpr const char* op = "scaled_dot_product_attention";
  const int i = q.rank() - 1, j = k.rank() - 1, l = v.rank() - 1;
  if (i < 1 || j < 1 || l < 1 || q.shape()[i] != k.shape()[j] || k.shape()[j - 1] != v.shape()[l - 1]) {
    throw ShapeError(text(op, ": q ", q.shape(), ", k ", k.shape(), " and v ", v.shape(),
                          " do not fit; q is [..., L, E], k [..., S, E], v [..., S, F]"));
  }
  require_floating(op, q, k, v);
  const double scale = options.scale.value_or(1 / std::sqrt(static_cast<double>(q.shape()[i])));
  Var scores = matmul(q * scale, k, false, true);
  if (options.mask.defined()) {
    const Var& mask = options.mask;
    if (!broadcasts_to(mask.shape(), scores.shape())) {
      throw ShapeError(text(op, ": mask ", mask.shape(), " does not broadcast to ", scores.shape()));
    }
    scores = mask.dtype() == DType::boolean ? masked(scores, mask) : scores + mask;
  }
  if (options.causal) {
    scores = masked(scores, lower_triangle(q.tape(), q.shape()[i - 1], k.shape()[j - 1]));
  }
  return matmul(softmax(scores), v);
}

}  // namespace xgrad
