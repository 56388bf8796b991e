#include "xgrad/tape/functional.hpp"

#include <cstring>

#include "lib/tape/pass.hpp"
#include "lib/tensor/copy.hpp"
#include "xgrad/tape/grad.hpp"

namespace xgrad {
namespace {

using detail::Access;
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

/// Operands that can be differentiated with respect to: a constant stands for itself under a new name.
Vars active(std::span<const Var> xs, const char* use) {
  Vars result;
  for (const Var& x : xs) {
    Access::current_slot(x, use);
    result.push_back(x.requires_grad() ? x : detail::enter_again(x));
  }
  return result;
}

Var zeros_like(const Var& x, bool requires_grad) {
  const auto zero = [](View v) { detail::fill(v, 0); };
  const Var zeros = x.tape().constant({x.dtype(), x.shape()}, zero);
  return requires_grad ? detail::enter_again(zeros) : zeros;
}

Var unit_like(const Var& y, std::int64_t k) {
  return y.tape().constant({y.dtype(), y.shape()}, [k](View v) {
    detail::fill(v, 0);
    v.dtype == DType::float32 ? v.as<float>()[k] = 1 : v.as<double>()[k] = 1;
  });
}

/// The Jacobian of y with respect to each of xs.
Vars jacobian_of(const Var& y, std::span<const Var> xs, bool create_graph) {
  std::vector<Vars> rows(xs.size());
  for (std::int64_t k = 0; k < y.size(); ++k) {
    const Vars row = grad(y, xs, {.create_graph = create_graph, .cotangent = unit_like(y, k)});
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

TensorFunction of_span(const UnaryFunction& f) {
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
  const Vars x = active(xs, "value_and_grad");
  Var y = f(x);
  Vars g = grad(y, x, {.create_graph = create_graph, .cotangent = {}});
  return {std::move(y), std::move(g)};
}

Vjp vjp(const TensorFunction& f, std::span<const Var> xs, const Var& cotangent, bool create_graph) {
  const Vars x = active(xs, "vjp");
  Var y = f(x);
  Vars g = grad(y, x, {.create_graph = create_graph, .cotangent = cotangent});
  return {std::move(y), std::move(g)};
}

Jvp jvp(const TensorFunction& f, std::span<const Var> xs, std::span<const Var> tangents, bool create_graph) {
  require_like(xs, tangents, "jvp");
  const Vars x = active(xs, "jvp");
  Var y = f(x);
  // The vjp is linear in its cotangent, so its value there does not matter, and its own vjp is the jvp.
  const Var u = zeros_like(y, true);
  const Vars g = grad(y, x, {.create_graph = true, .cotangent = u});
  Var tangent = grad(g, tangents, one(u), create_graph)[0];
  return {std::move(y), std::move(tangent)};
}

std::vector<Var> hvp(const TensorFunction& f, std::span<const Var> xs, std::span<const Var> vs,
                     bool create_graph) {
  require_like(xs, vs, "hvp");
  const Vars x = active(xs, "hvp");
  const Vars g = grad(f(x), x, {.create_graph = true, .cotangent = {}});
  return grad(g, vs, x, create_graph);
}

std::vector<Var> jacobian(const TensorFunction& f, std::span<const Var> xs, bool create_graph) {
  const Vars x = active(xs, "jacobian");
  return jacobian_of(f(x), x, create_graph);
}

std::vector<std::vector<Var>> hessian(const TensorFunction& f, std::span<const Var> xs, bool create_graph) {
  const Vars x = active(xs, "hessian");
  const Vars g = grad(f(x), x, {.create_graph = true, .cotangent = {}});
  std::vector<Vars> blocks;
  for (const Var& row : g) blocks.push_back(jacobian_of(row, x, create_graph));
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
