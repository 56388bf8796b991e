// Derivatives of functions: products with the Jacobian and the Hessian from either side, and both in full.
//
//     const auto rosenbrock = [](const Var& x) { ... return a scalar; };
//     const Var H = hessian(rosenbrock, x);            // [n, n]
//     const Var Hv = hvp(rosenbrock, x, v);            // H v, without H
//
// A function takes one tensor (`Var(const Var&)`) or several (`Var(std::span<const Var>)`). It may use more
// than its operands: for derivatives with respect to a model's parameters, give their leaves as operands and
// let the function call the model:
//
//     hvp([&](std::span<const Var>) { return loss(model(images)); }, leaves(tape, parameters), directions);
//
// Operands that need no gradient are entered for the call. The results belong to the operands' tape; with
// `create_graph` they are recorded themselves, so that they can be differentiated again. All throw what the
// function throws, and what `grad` throws.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "xgrad/tape/flow.hpp"
#include "xgrad/tape/parameter.hpp"
#include "xgrad/tape/tape.hpp"

namespace xgrad {

/// A function of one tensor, written with ops.
using UnaryFunction = std::function<Var(const Var&)>;

/// The leaves of parameters on a tape, in their order.
std::vector<Var> leaves(Tape& tape, std::span<const Parameter> parameters);

/// f(xs), of one element, and its gradient with respect to each of xs.
struct ValueAndGrad {
  Var value;
  std::vector<Var> grads;
};
ValueAndGrad value_and_grad(const TensorFunction& f, std::span<const Var> xs, bool create_graph = false);

/// f(xs), and the products of a cotangent, which has its shape, with the Jacobians: reverse mode, one pass.
struct Vjp {
  Var value;
  std::vector<Var> cotangents;  ///< like xs
};
Vjp vjp(const TensorFunction& f, std::span<const Var> xs, const Var& cotangent, bool create_graph = false);

/// f(xs), and the sum of the products of the Jacobians with tangents, which are like xs: how f changes along
/// a direction. Computed as the vjp of the vjp, two passes.
struct Jvp {
  Var value;
  Var tangent;  ///< like the value
};
Jvp jvp(const TensorFunction& f, std::span<const Var> xs, std::span<const Var> tangents,
        bool create_graph = false);

/// The product of the Hessian of f, which has one element, with a vector: like xs and vs. Two passes,
/// whatever the size.
std::vector<Var> hvp(const TensorFunction& f, std::span<const Var> xs, std::span<const Var> vs,
                     bool create_graph = false);

/// The Jacobian of f with respect to each of xs: shape [f's shape..., x's shape...]. One pass for each
/// element of f. @throws ShapeError when that is more than 8 axes or f has more than 65535 elements.
std::vector<Var> jacobian(const TensorFunction& f, std::span<const Var> xs, bool create_graph = false);

/// The Hessian of f, which has one element: block [i][j] has shape [xs[i]'s shape..., xs[j]'s shape...]. One
/// pass for each element of xs. @throws as jacobian does.
std::vector<std::vector<Var>> hessian(const TensorFunction& f, std::span<const Var> xs,
                                      bool create_graph = false);

// The same for functions of one tensor.
ValueAndGrad value_and_grad(const UnaryFunction& f, const Var& x, bool create_graph = false);
Vjp vjp(const UnaryFunction& f, const Var& x, const Var& cotangent, bool create_graph = false);
Jvp jvp(const UnaryFunction& f, const Var& x, const Var& tangent, bool create_graph = false);
Var hvp(const UnaryFunction& f, const Var& x, const Var& v, bool create_graph = false);
Var jacobian(const UnaryFunction& f, const Var& x, bool create_graph = false);
Var hessian(const UnaryFunction& f, const Var& x, bool create_graph = false);

}  // namespace xgrad
