// What lets a derivative through, and how: stop_gradient, hooks on cotangents, checkpoints.
#pragma once

#include <functional>
#include <initializer_list>
#include <span>

#include "xgrad/tape/var.hpp"

namespace xgrad {

/// A function of one or several tensors, written with ops.
using TensorFunction = std::function<Var(std::span<const Var>)>;

/// x as a constant: the same memory, but no derivative passes through it.
Var stop_gradient(const Var& x);

/// x itself; under no_grad x as a constant. What a function returns when it has nothing to do, so that its
/// result needs a gradient under the same conditions as any other result.
Var identity(Arg x);

/// Sees a cotangent on its way back. What it returns goes on in the cotangent's place and must have its
/// shape; an empty Var leaves it as it is.
using CotangentHook = std::function<Var(const Var& dy)>;

/// x itself, with a hook on its cotangent: `h = with_hook(h, f)` calls f whenever a backward pass reaches h
/// and is on its way to x. f may look at the values, clip them, or replace them with ops; what it computes is
/// differentiated in turn when the pass records a graph. The hook lives as long as the recording.
Var with_hook(const Var& x, CotangentHook f);

/// f(xs), of which only the operands are kept: what f computes on the way is dropped, and computed once more
/// when a backward pass reaches it (Chen et al. 2016). Memory for time, nothing else changes: derivatives of
/// every order, also with respect to parameters and variables that f captures.
///
/// f is called again, so it must compute the same: it must not draw random numbers (give it keys, not a
/// Generator), and parameters must not be written before backward. A backward that gets another result
/// throws Error. f is kept with the recording; what it captures by reference must live as long.
/// @throws what f throws; Error when xs is empty.
Var checkpoint(TensorFunction f, std::span<const Var> xs);
inline Var checkpoint(TensorFunction f, std::initializer_list<Var> xs) {
  return checkpoint(std::move(f), std::span(xs.begin(), xs.size()));
}

}  // namespace xgrad
