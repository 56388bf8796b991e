// Pass: adding to cotangents.
#include <utility>

#include "lib/tape/core.hpp"
#include "lib/tape/mutation.hpp"
#include "lib/tensor/copy.hpp"
#include "lib/tensor/strided.hpp"

namespace xgrad::detail {
namespace {

using State = Cotangent::State;

/// The sum of operands of equal shapes: how cotangents are summed up.
struct Accumulate {
  static constexpr const char* name = "accumulate";
  static constexpr Reads reads[] = {kReadsNothing};
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View y, Write write) const {
    for (const ConstView& v : x) copy(v, y, std::exchange(write, Write::accumulate));
  }
  void vjp(Backward& b) const {
    b.dx(0) += b.dy();
    b.dx(1) += b.dy();
  }
};

/// Broadcasts a cotangent to its value's shape. Only where the gradient is not itself recorded.
struct Expand {
  static constexpr const char* name = "expand";
  Shape shape;
  TensorType infer(Operands x) const { return {x[0].dtype, shape}; }
  void eval(Operands x, View y, Write write) const {
    copy_strided(x[0], 0, broadcast_strides(x[0].shape(), shape), y, write);
  }
};

}  // namespace

Var Pass::expanded(const Var& v, const Shape& shape) { return apply(Expand{shape}, v); }

void Pass::expand(SlotId operand) {
  if (entry(operand).state != State::unexpanded) return;
  const Var full = expanded(Access::var(core_, entry(operand).value), core_.values[operand].shape);
  flush();
  set(operand, Access::index(full), State::full);
}

void Pass::set(SlotId operand, SlotId value, State state) {
  const Slot& v = core_.values[value];
  if (v.depends && !is_graph()) [[unlikely]] {
    // What a callback returns is a constant here.
    const Var constant = core_.renamed(v, Origin::constant, kOnNothing);
    return set(operand, Access::index(constant), state);
  }
  Cotangent& c = entry(operand);
  core_.hold(value);
  if (c.state == State::empty) {
    core_.hold(operand);
  } else {
    core_.release(c.value);
  }
  c.value = value;
  c.state = state;
}

void Pass::add(SlotId operand, const Var& v, bool is_sole) {
  const SlotId value = Access::index(v);
  // Sole: named by v, and held as the pending call's result.
  bool is_pending = pending_ && pending_->y == value && is_sole && core_.values[value].handles == 2;
  if (pending_ && !is_pending) flush();
  if (!is_pending && !core_.values[value].data) Access::throw_no_value(name_, core_.values[value]);

  // Executes the pending call, or copies v, into memory that is there.
  const auto put = [&](const View& to, Write write) {
    if (is_pending) return run_pending(&to, write);
    const Accumulate op;
    const ConstView from = core_.values.view(core_.values[value]);
    core_.executor.run_into({&op_info<Accumulate>, &op, {&value, 1}, operand, 0, nullptr}, {&from, 1}, to,
                            write);
  };
  // Gives the pending call's result memory of its own.
  const auto compute = [&] {
    if (std::exchange(is_pending, false)) run_pending(nullptr, Write::assign);
  };

  const Slot& slot = core_.values[operand];
  if (kind_ == PassKind::gradients && slot.origin == Origin::parameter) {
    const std::shared_ptr<ParameterState> p = slot.leaf->parameter;
    if (acquire_gradient(p)) {
      put(p->grad_view(), p->has_grad ? Write::accumulate : Write::assign);
      p->has_grad = true;
      return;
    }
  }
  if (is_graph()) compute();  // and lists it
  switch (entry(operand).state) {
    case State::empty:
      compute();
      return set(operand, value, State::full);
    case State::unexpanded:
      compute();
      expand(operand);
      break;
    case State::full:
      break;
  }
  const SlotId sum = entry(operand).value;
  Slot& s = core_.values[sum];
  // Only what nobody else reads is written to: no Var, no instruction, no other shape of the same memory.
  if (!is_graph() && s.handles == 1 && s.uses == 0 && s.buffer && s.buffer->owners == 1) {
    return put(core_.values.mutable_view(s), Write::accumulate);
  }
  compute();
  const Var total = apply(Accumulate{}, Access::var(core_, sum), v);
  flush();
  set(operand, Access::index(total), State::full);
}

void Pass::add_broadcast(SlotId operand, const Var& v) {
  flush();
  const Slot& slot = core_.values[operand];
  const Cotangent& c = entry(operand);
  if (v.shape() == slot.shape) return add(operand, v, false);
  if (c.state != State::empty || c.requested || slot.origin != Origin::op) {
    return add(operand, expanded(v, slot.shape), true);
  }
  set(operand, Access::index(v), State::unexpanded);
}

}  // namespace xgrad::detail
