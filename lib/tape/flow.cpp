#include "xgrad/tape/flow.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "lib/tape/pass.hpp"
#include "lib/tensor/copy.hpp"

namespace xgrad {
namespace {

using detail::Access;
using detail::TapeState;

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
    Var replaced = (*f)(b.dy());
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

/// While it lives, ops are executed and recorded, though a backward pass is under way.
class Rerun {
 public:
  explicit Rerun(TapeState& state)
      : state_(state), floor_(state.trim_floor), paused_(std::exchange(state.paused, 0)) {
    state_.flush();
    state_.deferring = false;
    state_.trim_floor = state_.list.size();
  }
  ~Rerun() {
    state_.deferring = true;
    state_.deferred_from = state_.list.size();
    state_.trim_floor = floor_;
    state_.paused = paused_;
  }
  Rerun(const Rerun&) = delete;
  Rerun& operator=(const Rerun&) = delete;

 private:
  TapeState& state_;
  std::size_t floor_;
  int paused_;
};

/// Operand 0 is f's result; the others are the variables that it depends on, named so that a pass finds its
/// way to them.
struct Checkpoint : Alias {
  static constexpr const char* name = "checkpoint";
  static constexpr Reads reads[] = {kReadsNothing};
  struct Call {
    TensorFunction f;
    std::vector<Var> xs;  // which keeps their values
    std::uint64_t result;
  };
  std::shared_ptr<const Call> call;

  void vjp(Backward& b) const {
    TapeState& state = *Access::state(b.dy());  // which may wait to be computed: Rerun has that done
    std::size_t first = 0;
    Var y;
    {
      const Rerun rerun(state);
      first = state.list.size();
      y = call->f(call->xs);
      Access::current_slot(y, name);
    }
    if (y.shape() != b.y_shape() || fingerprint(y.view()) != call->result) {
      throw Error(
          "checkpoint: the function gave another result when backward called it again; it must not draw "
          "random numbers, and parameters must not be written before backward");
    }
    const std::uint32_t mark = Access::mark(b);
    if (mark) detail::spread_mark(state, first, mark);
    detail::Pass pass(state, state.graph, !state.graph, mark);
    detail::add_cotangent(state, state.slots[Access::index(y)], b.dy(), false, name);
    pass.run(first);
  }
};

/// The variables from before instruction `first` that what is listed since depends on.
std::vector<std::uint32_t> free_variables(TapeState& state, std::size_t first) {
  std::vector<std::uint32_t> found, made;
  for (std::size_t k = first; k < state.list.size(); ++k) made.push_back(state.list[k]->output);
  std::sort(made.begin(), made.end());
  for (std::size_t k = first; k < state.list.size(); ++k) {
    for (std::uint32_t i : state.list[k]->operands()) {
      if (state.slots[i].depends && !std::binary_search(made.begin(), made.end(), i)) found.push_back(i);
    }
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace

Var stop_gradient(const Var& x) { return apply(StopGradient{}, x); }

Var identity(Arg x) {
  const Var& v = x;
  if (Access::live_state(v).paused && v.requires_grad()) return stop_gradient(v);
  return x.take();
}

Var with_hook(const Var& x, CotangentHook f) {
  if (!f) throw Error("hook: the function is empty");
  return apply(Hook{{}, std::make_shared<const CotangentHook>(std::move(f))}, x);
}

Var checkpoint(TensorFunction f, std::span<const Var> xs) {
  if (xs.empty()) throw Error("checkpoint: xs is empty; the function must have an operand");
  Access::current_slot(xs[0], Checkpoint::name);
  TapeState& state = *Access::state(xs[0]);
  if (state.paused || state.deferring) return f(xs);

  const std::size_t first = state.list.size(), floor = std::exchange(state.trim_floor, first);
  const Tape::Mark mark = state.tape->mark();
  Var y;
  try {
    y = f(xs);
  } catch (...) {
    state.trim_floor = floor;
    throw;
  }
  state.trim_floor = floor;
  const std::vector<std::uint32_t> free = free_variables(state, first);
  const bool computed = std::any_of(state.list.begin() + static_cast<std::ptrdiff_t>(first), state.list.end(),
                                    [&](const auto* i) { return i->output == Access::index(y); });
  if (!computed) return y;  // it depends on nothing, or was there before

  std::vector<Var> operands{stop_gradient(y)};
  for (std::uint32_t i : free) operands.push_back(Access::var(state, i));
  Checkpoint op;
  op.call = std::make_shared<const Checkpoint::Call>(
      Checkpoint::Call{std::move(f), {xs.begin(), xs.end()}, fingerprint(y.view())});
  y = Var();
  state.tape->rewind(mark);
  return apply_all(op, operands);
}

}  // namespace xgrad
