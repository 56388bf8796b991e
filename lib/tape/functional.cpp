// Derivatives of functions: value_and_grad, vjp, jvp, hvp, jacobian, hessian.
#include "xgrad/tape/functional.hpp"

#include <algorithm>
#include <utility>

#include "lib/tape/core.hpp"
#include "lib/tensor/copy.hpp"
#include "xgrad/tape/grad.hpp"
#include "xgrad/tensor/dispatch.hpp"

namespace xgrad {
namespace {

using detail::Access;
using detail::Aside;
using detail::TapeCore;
using Vars = std::vector<Var>;

std::size_t bytes_of(const ConstView& v) { return static_cast<std::size_t>(v.size()) * size_of(v.dtype); }

struct Row;

/// The operands, which are alike, one after the other: the rows of [leading..., operand's shape...].
struct StackRows {
  static constexpr const char* name = "stack_rows";
  static constexpr Reads reads[] = {kReadsNothing};
  Shape leading;
  TensorType infer(Operands x) const {
    Shape shape = leading;
    for (std::int64_t n : x[0].shape()) shape.push_back(n);
    return {x[0].dtype, shape};
  }
  void eval(Operands x, View y, Write write) const {
    auto* row = static_cast<std::byte*>(y.data);
    for (const ConstView& v : x) {
      detail::copy(v, {row, y.dtype, v.extents}, write);
      row += bytes_of(v);
    }
  }
  void vjp(Backward& b) const;
};

/// Row k of x, which StackRows made of rows of some shape.
struct Row {
  static constexpr const char* name = "row";
  static constexpr Reads reads[] = {kReadsNothing};
  Shape leading, row;
  std::int64_t k;
  TensorType infer(Operands x) const { return {x[0].dtype, row}; }
  void eval(Operands x, View y, Write write) const {
    const auto* from = static_cast<const std::byte*>(x[0].data) + static_cast<std::size_t>(k) * bytes_of(y);
    detail::copy({from, y.dtype, y.extents}, y, write);
  }
  void vjp(Backward& b) const {
    Var zero = b.dy().tape().constant({b.dy().dtype(), row}, [](View v) { detail::fill(v, 0); });
    Vars rows(static_cast<std::size_t>(leading.size()), zero);
    rows[static_cast<std::size_t>(k)] = b.dy();
    b.dx(0) += apply_all(StackRows{leading}, rows);
  }
};

void StackRows::vjp(Backward& b) const {
  for (int k = 0; k < b.operand_count(); ++k) b.dx(k) += apply(Row{leading, b.x_shape(k), k}, b.dy());
}

/// The tape of a function's operands, after the checks that all have in common.
template <class F>
TapeCore& core_of(const F& f, std::span<const Var> xs, const char* use) {
  if (!f) throw Error(detail::text(use, ": the function is empty"));
  if (xs.empty()) throw ShapeError(detail::text(use, ": no operands"));
  for (const Var& x : xs) Access::current_slot(x, use);
  return *Access::core(xs[0]);
}

/// A function's operands and value, recorded also inside a pass or under no_grad.
struct Evaluated {
  Vars x;  // a constant stands for itself under a new name
  Var y;

  Evaluated(const TensorFunction& f, std::span<const Var> xs, const char* use) {
    for (const Var& v : xs) x.push_back(v.requires_grad() ? v : detail::watch(v));
    y = f(x);
    Access::current_slot(y, use);
  }
};

/// The result for the caller: a constant under no_grad.
Var result_of(TapeCore& core, Var v) { return core.is_paused() && v.requires_grad() ? stop_gradient(v) : v; }

Vars gradient(const Var& y, std::span<const Var> xs, bool create_graph, const Var& cotangent = {}) {
  return detail::grad_or_zeros({&y, 1}, {&cotangent, 1}, xs, create_graph);
}

/// @throws ShapeError when the Jacobian of y is too large to be made row by row
void require_small(const char* use, const Var& y, std::span<const Var> xs) {
  constexpr std::int64_t kMostRows = UINT16_MAX;
  if (y.size() > kMostRows) {
    throw ShapeError(detail::text(use, ": the function's value ", y.shape(), " has ", y.size(),
                                  " elements, more than ", kMostRows));
  }
  for (const Var& x : xs) {
    if (y.rank() + x.rank() <= kMaxRank) continue;
    throw ShapeError(detail::text(use, ": of ", y.shape(), " with respect to ", x.shape(), " has more than ",
                                  kMaxRank, " axes"));
  }
}

Var unit_like(const Var& y, std::int64_t k) {
  return y.tape().constant({y.dtype(), y.shape()}, [k](View v) {
    detail::fill(v, 0);
    detail::dispatch_floating(v.dtype, [&]<class T>() { v.as<T>()[k] = 1; });
  });
}

/// The Jacobian of y with respect to each of xs.
Vars jacobian_of(const Var& y, std::span<const Var> xs, bool create_graph) {
  std::vector<Vars> rows(xs.size());
  for (std::int64_t k = 0; k < y.size(); ++k) {
    const Vars row = gradient(y, xs, create_graph, unit_like(y, k));
    for (std::size_t i = 0; i < xs.size(); ++i) rows[i].push_back(row[i]);
  }
  Vars result;
  for (std::size_t i = 0; i < xs.size(); ++i) {
    if (y.size() > 0) {
      result.push_back(apply_all(StackRows{y.shape()}, rows[i]));
    } else {
      Shape shape = y.shape();
      for (std::int64_t n : xs[i].shape()) shape.push_back(n);
      result.push_back(y.tape().constant({y.dtype(), shape}, [](View) {}));
    }
  }
  return result;
}

void require_like(std::span<const Var> xs, std::span<const Var> vs, const char* use) {
  bool fits = xs.size() == vs.size();
  for (std::size_t i = 0; fits && i < xs.size(); ++i) {
    fits = xs[i].shape() == vs[i].shape() && xs[i].dtype() == vs[i].dtype();
    if (!fits) {
      throw ShapeError(detail::text(use, ": vector ", i, " is ", vs[i].dtype(), ' ', vs[i].shape(),
                                    ", operand ", i, " is ", xs[i].dtype(), ' ', xs[i].shape()));
    }
  }
  if (!fits) throw ShapeError(detail::text(use, ": ", vs.size(), " vectors for ", xs.size(), " operands"));
}

/// Empty when f is.
TensorFunction of_span(const UnaryFunction& f) {
  if (!f) return {};
  return [&f](std::span<const Var> x) { return f(x[0]); };
}
std::span<const Var> one(const Var& x) { return {&x, 1}; }

}  // namespace

std::vector<Var> leaves(Tape& tape, std::span<const Parameter> parameters) {
  Vars result;
  for (const Parameter& p : parameters) result.push_back(tape.leaf(p));
  return result;
}

ValueAndGrad value_and_grad(const TensorFunction& f, std::span<const Var> xs, bool create_graph) {
  TapeCore& core = core_of(f, xs, "value_and_grad");
  ValueAndGrad result;
  {
    const Aside aside(core);
    const Evaluated at(f, xs, "value_and_grad");
    result = {at.y, gradient(at.y, at.x, create_graph)};
  }
  result.value = result_of(core, std::move(result.value));
  return result;
}

Vjp vjp(const TensorFunction& f, std::span<const Var> xs, const Var& cotangent, bool create_graph) {
  TapeCore& core = core_of(f, xs, "vjp");
  Vjp result;
  {
    const Aside aside(core);
    const Evaluated at(f, xs, "vjp");
    result = {at.y, gradient(at.y, at.x, create_graph, cotangent)};
  }
  result.value = result_of(core, std::move(result.value));
  return result;
}

Jvp jvp(const TensorFunction& f, std::span<const Var> xs, std::span<const Var> tangents, bool create_graph) {
  TapeCore& core = core_of(f, xs, "jvp");
  require_like(xs, tangents, "jvp");
  Jvp result;
  {
    const Aside aside(core);
    const Evaluated at(f, xs, "jvp");
    // The vjp is linear in its cotangent, so its value there does not matter, and its own vjp is the jvp.
    const Var u = detail::watch(detail::filled_like(core, Access::slot(at.y), 0));
    const Vars g = gradient(at.y, at.x, true, u);
    result = {at.y, detail::grad_or_zeros(g, tangents, one(u), create_graph)[0]};
  }
  result.value = result_of(core, std::move(result.value));
  return result;
}

std::vector<Var> hvp(const TensorFunction& f, std::span<const Var> xs, std::span<const Var> vs,
                     bool create_graph) {
  TapeCore& core = core_of(f, xs, "hvp");
  require_like(xs, vs, "hvp");
  const Aside aside(core);
  const Evaluated at(f, xs, "hvp");
  return detail::grad_or_zeros(gradient(at.y, at.x, true), vs, at.x, create_graph);
}

std::vector<Var> jacobian(const TensorFunction& f, std::span<const Var> xs, bool create_graph) {
  TapeCore& core = core_of(f, xs, "jacobian");
  const Aside aside(core);
  const Evaluated at(f, xs, "jacobian");
  require_small("jacobian", at.y, at.x);
  return jacobian_of(at.y, at.x, create_graph);
}

std::vector<std::vector<Var>> hessian(const TensorFunction& f, std::span<const Var> xs, bool create_graph) {
  TapeCore& core = core_of(f, xs, "hessian");
  for (const Var& x : xs) require_small("hessian", x, xs);
  const Aside aside(core);
  const Evaluated at(f, xs, "hessian");
  std::vector<Vars> blocks;
  for (const Var& row : gradient(at.y, at.x, true)) blocks.push_back(jacobian_of(row, at.x, create_graph));
  return blocks;
}

ValueAndGrad value_and_grad(const UnaryFunction& f, const Var& x, bool create_graph) {
  return value_and_grad(of_span(f), one(x), create_graph);
}
Vjp vjp(const UnaryFunction& f, const Var& x, const Var& cotangent, bool create_graph) {
  return vjp(of_span(f), one(x), cotangent, create_graph);
}
Jvp jvp(const UnaryFunction& f, const Var& x, const Var& tangent, bool create_graph) {
  return jvp(of_span(f), one(x), one(tangent), create_graph);
}
Var hvp(const UnaryFunction& f, const Var& x, const Var& v, bool create_graph) {
  return hvp(of_span(f), one(x), one(v), create_graph)[0];
}
Var jacobian(const UnaryFunction& f, const Var& x, bool create_graph) {
  return jacobian(of_span(f), one(x), create_graph)[0];
}
Var hessian(const UnaryFunction& f, const Var& x, bool create_graph) {
  return hessian(of_span(f), one(x), create_graph)[0][0];
}

}  // namespace xgrad
