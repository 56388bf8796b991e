// The derivatives of a recording: backward into parameters, grad as values.
#include "xgrad/tape/grad.hpp"

#include <algorithm>

#include "lib/tape/core.hpp"
#include "xgrad/tensor/dispatch.hpp"

namespace xgrad {

using detail::Access;
using detail::Frame;
using detail::Origin;
using detail::Pass;
using detail::PassKind;
using detail::Slot;
using detail::SlotId;
using detail::TapeCore;

namespace detail {

void fill(const View& v, double value) {
  dispatch_floating(v.dtype, [&]<class T>() { std::fill_n(v.as<T>(), v.size(), static_cast<T>(value)); });
}

Var filled_like(TapeCore& core, const Slot& slot, double value) {
  Var v = core.new_value({slot.dtype, slot.shape}, Origin::constant, kOnNothing);
  Slot& filled = Access::slot(core, v);
  core.values.allocate(filled);
  fill(core.values.mutable_view(filled), value);
  return v;
}

Var watch(const Var& x) {
  TapeCore& core = Access::live_core(x);
  const Slot& from = Access::slot(x);
  if (!is_floating(from.dtype)) {
    throw DTypeError(text("grad: an operand is ", from.dtype, ", not floating; capture it instead"));
  }
  (void)x.view();  // executes it if it is pending
  return core.renamed(from, Origin::input, kOnInput);
}

}  // namespace detail

namespace {

/// The checked starting point of a pass.
const Slot& root_of(const Var& y, const char* use) {
  const Slot& slot = Access::current_slot(y, use);
  if (!is_floating(slot.dtype)) throw DTypeError(detail::text(use, ": y is ", slot.dtype, ", not floating"));
  return slot;
}

/// Checks one of grad's ys and its cotangent, which is empty when there is none.
void check_root(const Var& y, const Var& cotangent, const Var& first) {
  const Slot& root = root_of(y, "grad");
  if (Access::core(y) != Access::core(first)) throw TapeMismatch("grad: the ys belong to different tapes");
  if (!cotangent.defined()) {
    if (root.shape.size() == 1) return;
    throw ShapeError(detail::text("grad: y ", root.shape, " must have one element; give a cotangent"));
  }
  const Slot& given = Access::current_slot(cotangent, "grad");
  if (Access::core(cotangent) != Access::core(y))
    throw TapeMismatch("grad: y and the cotangent belong to different tapes");
  if (given.shape != root.shape || given.dtype != root.dtype) {
    throw ShapeError(detail::text("grad: the cotangent is ", given.dtype, ' ', given.shape, ", y is ",
                                  root.dtype, ' ', root.shape));
  }
}

/// The instruction that made the last of the ys, null when none is listed.
detail::Instruction* last_of(const TapeCore& core, std::span<const Var> ys) {
  detail::Instruction* last = nullptr;
  for (const Var& y : ys) {
    detail::Instruction* made_by = detail::producer_of(core.values[Access::index(y)]);
    if (made_by && (!last || core.recording.id(*last) < core.recording.id(*made_by))) last = made_by;
  }
  return last;
}

/// Whether a pass can reach something differentiable from y.
bool has_derivative(const Var& y) { return Access::slot(y).depends != detail::kOnNothing; }

}  // namespace

// Public functions --------------------------------------------------------------------------------------

void backward(const Var& loss, BackwardOptions options) {
  const Slot& root = root_of(loss, "backward");
  TapeCore& core = *Access::core(loss);
  if (root.shape.size() != 1) {
    throw ShapeError(detail::text("backward: loss ", root.shape,
                                  " must have one element; sum it, or use grad with a cotangent"));
  }
  if (!(root.depends & detail::kOnParameter)) {
    throw NotDifferentiable("backward: the loss depends on no parameter; use grad for inputs");
  }
  // In a callback the recording outside stays.
  const Frame* callback = core.frame;
  const Frame frame(core, "backward");
  const bool consume = !options.keep_recording;
  bool is_running = false;
  try {
    Pass pass(core, "backward", PassKind::gradients);
    pass.require_unmodified({&loss, 1});
    is_running = true;
    pass.acquire_gradients();
    pass.seed(loss, detail::filled_like(core, root, 1));
    pass.run(consume, callback);
    pass.finish();
  } catch (...) {
    if (is_running && consume && !callback && core.owner) core.recording.consume();
    throw;
  }
  if (consume && !callback) core.recording.consume();
  core.check_now_and_then();
}

std::vector<Var> grad(const Var& y, std::span<const Var> xs, const GradOptions& options) {
  return grad(std::span(&y, 1), std::span(&options.cotangent, 1), xs, options.create_graph);
}

std::vector<Var> grad(std::span<const Var> ys, std::span<const Var> cotangents, std::span<const Var> xs,
                      bool create_graph) {
  for (const Var& y : ys) {
    if (has_derivative(y) || !is_floating(y.dtype())) continue;
    throw NotDifferentiable(
        detail::text("grad: y %", Access::slot(y).id, ' ', y.shape(),
                     " depends on nothing differentiable; was it computed under no_grad, or "
                     "by a grad without create_graph?"));
  }
  return detail::grad_or_zeros(ys, cotangents, xs, create_graph);
}

std::vector<Var> detail::grad_or_zeros(std::span<const Var> ys, std::span<const Var> cotangents,
                                       std::span<const Var> xs, bool create_graph) {
  if (ys.empty() || cotangents.size() != ys.size()) {
    throw ShapeError(text("grad: ", ys.size(), " ys and ", cotangents.size(),
                          " cotangents; give at least one y, and a cotangent for each"));
  }
  for (std::size_t k = 0; k < ys.size(); ++k) check_root(ys[k], cotangents[k], ys[0]);
  TapeCore& core = *Access::core(ys[0]);
  for (const Var& x : xs) {
    const Slot& slot = Access::current_slot(x, "grad");
    if (Access::core(x) != &core) throw TapeMismatch("grad: y and x belong to different tapes");
    if ((slot.depends & kOnSource) == 0) {
      throw NotDifferentiable(text("grad: x %", slot.id, " ", slot.shape,
                                   " needs no gradient; enter it with tape.input or tape.leaf"));
    }
  }
  const Frame frame(core, "grad");
  std::vector<Var> result;
  result.reserve(xs.size());
  {
    Pass pass(core, "grad", create_graph ? PassKind::graph : PassKind::values);
    for (const Var& x : xs) pass.request(Access::index(x));
    pass.mark_reachable(last_of(core, ys), pass.floor());
    pass.require_unmodified(ys);
    for (std::size_t k = 0; k < ys.size(); ++k) {
      if (!pass.needs(Access::index(ys[k]))) continue;  // it depends on none of xs
      const bool is_given = cotangents[k].defined();
      pass.seed(ys[k], is_given ? cotangents[k] : filled_like(core, Access::slot(ys[k]), 1));
    }
    pass.run(false, nullptr);
    for (const Var& x : xs) result.push_back(pass.cotangent(Access::index(x)));
    pass.finish();
  }
  for (std::size_t i = 0; i < xs.size(); ++i) {
    if (!result[i].defined()) result[i] = filled_like(core, Access::slot(xs[i]), 0);
    // A constant derivative is recorded too: its derivatives are zero, not missing.
    if (create_graph && !has_derivative(result[i])) {
      result[i] = core.renamed(Access::slot(result[i]), Origin::constant, kFlatly);
    }
  }
  core.check_now_and_then();
  return result;
}

}  // namespace xgrad
