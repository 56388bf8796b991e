// stop_gradient, identity, hooks and checkpoints.
#include "xgrad/tape/flow.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "lib/tape/core.hpp"
#include "lib/tensor/copy.hpp"

namespace xgrad {
namespace {

using detail::Access;
using detail::Callback;
using detail::Instruction;
using detail::Origin;
using detail::Pass;
using detail::Slot;
using detail::SlotId;
using detail::TapeCore;

/// The same value under another name: what the ops of this file share.
struct Alias {
  static constexpr bool aliases = true;
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View y, Write write) const { detail::copy(x[0], y, write); }
};

struct StopGradient : Alias {
  static constexpr const char* name = "stop_gradient";
  static constexpr bool constant = true;
};

struct Hook : Alias {
  static constexpr const char* name = "hook";
  static constexpr Reads reads[] = {kReadsNothing};
  std::shared_ptr<const CotangentHook> f;
  void vjp(Backward& b) const {
    Var replaced;
    {
      const Var dy = b.dy();
      TapeCore& core = Access::pass(b).core();
      const Callback callback(core, "a hook");
      replaced = (*f)(dy);
      core.require_alive(name);
    }
    if (replaced.defined()) {
      b.dx(0) += std::move(replaced);
    } else {
      b.dx(0) += b.dy();
    }
  }
};

/// Tells results apart: a hash (FNV-1a over words) of a value's bytes.
std::uint64_t fingerprint(const ConstView& v) {
  const auto* p = static_cast<const std::byte*>(v.data);
  const std::size_t bytes = static_cast<std::size_t>(v.size()) * size_of(v.dtype);
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto mix = [&](std::size_t at, std::size_t n) {
    std::uint64_t word = 0;
    std::memcpy(&word, p + at, n);
    hash = (hash ^ word) * 0x100000001b3;
    hash ^= hash >> 32;
  };
  std::size_t at = 0;
  for (; at + 8 <= bytes; at += 8) mix(at, 8);
  if (at < bytes) mix(at, bytes - at);
  return hash;
}

/// The slot of what a checkpointed function gave. @throws unless it is a current value of the tape, which
/// lives
const Slot& checked_result(const TapeCore& core, const Var& y) {
  core.require_alive("checkpoint");
  const Slot& slot = Access::current_slot(y, "checkpoint");
  if (Access::core(y) != &core)
    throw TapeMismatch("checkpoint: the function's result belongs to another tape");
  return slot;
}

/// Operand 0 is f's result. The others are the variables that it depends on, named so that a pass finds its
/// way to them. They count as read, because f reads them again.
struct Checkpoint : Alias {
  static constexpr const char* name = "checkpoint";
  static constexpr Reads reads[] = {kReadsNothing, ~(reads_x(0) | kReadsOutput)};
  struct Function {
    TensorFunction f;
    std::vector<Var> xs;  // which keeps their values
    std::uint64_t result;
  };
  std::shared_ptr<const Function> function;

  /// Lists the instructions of f anew and gives its result the cotangent. The pass goes on with them.
  void vjp(Backward& b) const {
    Pass& pass = Access::pass(b);
    TapeCore& core = pass.core();
    const Var dy = b.dy();
    Var y;
    std::uint64_t floor = 0;
    {
      const Callback callback(core, "a checkpointed function");
      floor = core.values.next_id();
      y = function->f(function->xs);
      checked_result(core, y);
    }
    if (y.shape() != b.y_shape() || fingerprint(y.view()) != function->result) {
      throw Error(
          "checkpoint: the function gave another result when backward called it again; it must not draw "
          "random numbers, and parameters must not be written before backward");
    }
    pass.push_segment(floor);
    if (pass.needs(Access::index(y))) pass.add(Access::index(y), dy, false);
  }
};

/// Differentiable values from before id `floor` that instructions from `floor` on read.
std::vector<SlotId> free_variables(const TapeCore& core, std::uint64_t floor) {
  std::vector<SlotId> found;
  for (const Instruction* i = core.recording.last(); i && core.recording.id(*i) >= floor; i = i->previous) {
    for (const SlotId x : i->x()) {
      const Slot& slot = core.values[x];
      // Parameters have one slot, whenever they were entered; inputs of f's own are others at the next call.
      if ((slot.depends & detail::kOnSource) && (slot.id < floor || slot.origin == Origin::parameter))
        found.push_back(x);
    }
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace

Var stop_gradient(const Var& x) {
  const Var y = apply(StopGradient{}, x);
  Access::core(y)->values[Access::index(y)].depends =
      detail::kOnNothing;  // its derivative is not zero, but none
  return y;
}

Var identity(Arg x) {
  const Var& v = x;
  if (Access::live_core(v).is_paused() && v.requires_grad()) return stop_gradient(v);
  return x.take();
}

Var with_hook(const Var& x, CotangentHook f) {
  if (!f) throw Error("hook: the function is empty");
  return apply(Hook{{}, std::make_shared<const CotangentHook>(std::move(f))}, x);
}

Var checkpoint(TensorFunction f, std::span<const Var> xs) {
  if (!f) throw Error("checkpoint: the function is empty");
  if (xs.empty()) throw Error("checkpoint: xs is empty; the function must have an operand");
  TapeCore& core = Access::live_core(xs[0]);
  if (core.is_paused() || core.pass) return identity(f(xs));
  Access::current_slot(xs[0], Checkpoint::name);

  const detail::Frame frame(core, "a checkpointed function");
  const std::uint64_t floor = core.values.next_id();
  Var y = f(xs);
  const Slot& result = checked_result(core, y);
  if (!detail::producer_of(result) || result.id < floor) return y;
  std::vector<Var> operands{stop_gradient(y)};
  for (const SlotId i : free_variables(core, floor)) operands.push_back(Access::var(core, i));
  Checkpoint op;
  op.function = std::make_shared<const Checkpoint::Function>(
      Checkpoint::Function{std::move(f), {xs.begin(), xs.end()}, fingerprint(y.view())});
  y = Var();  // drops what f recorded
  return apply_all(op, operands);
}

}  // namespace xgrad
