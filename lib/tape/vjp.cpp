// Backward: what a vjp sees of the pass that calls it.
#include "lib/tape/core.hpp"
#include "lib/tape/mutation.hpp"

namespace xgrad {
namespace detail {

Backward Access::backward(Pass& pass, const Instruction& instruction, Var dy, bool is_unexpanded) {
  Backward b;
  b.pass_ = &pass;
  b.instruction_ = &instruction;
  b.dy_ = std::move(dy);
  b.dy_is_unexpanded_ = is_unexpanded;
  return b;
}

}  // namespace detail

using detail::Access;
using detail::Instruction;
using detail::Slot;
using detail::SlotId;

namespace {

SlotId operand_of(const Instruction& instruction, int i) {
  if (i < 0 || i >= instruction.operand_count) {
    throw Error(
        detail::text(instruction.op->name, ": vjp names operand ", i, " of ", instruction.operand_count));
  }
  return instruction.operands[i];
}

}  // namespace

const Var& Backward::dy() {
  if (std::exchange(dy_is_unexpanded_, false)) dy_ = pass_->expanded(dy_, y_shape());
  return dy_;
}

bool Backward::create_graph() const { return pass_->is_graph(); }
int Backward::operand_count() const { return instruction_->operand_count; }

Var Backward::x(int i) const {
  const SlotId x = operand_of(*instruction_, i);
  if (!(instruction_->op->all_reads & reads_x(i))) {
    throw Error(
        detail::text(instruction_->op->name, ": vjp reads x(", i, "), which its `reads` does not name"));
  }
  return Access::var(pass_->core(), x);
}

Var Backward::y() const {
  if (!(instruction_->op->all_reads & kReadsOutput)) {
    throw Error(detail::text(instruction_->op->name, ": vjp reads y, which its `reads` does not name"));
  }
  return Access::var(pass_->core(), instruction_->y);
}

const Shape& Backward::x_shape(int i) const {
  return pass_->core().values[operand_of(*instruction_, i)].shape;
}
const Shape& Backward::y_shape() const { return pass_->core().values[instruction_->y].shape; }

bool Backward::Cotangent::needed() const {
  return backward_.pass_->needs(operand_of(*backward_.instruction_, operand_));
}

/// @throws unless v can be added to the operand's cotangent
void Backward::Cotangent::require_fitting(const Var& v, bool broadcasts) const {
  const Instruction& instruction = *backward_.instruction_;
  const detail::TapeCore& core = backward_.pass_->core();
  const Slot& operand = core.values[operand_of(instruction, operand_)];
  const Slot& given = Access::current_slot(v, instruction.op->name);
  if (Access::core(v) != &core) {
    throw TapeMismatch(
        detail::text(instruction.op->name, ": vjp gives a value of another tape for operand ", operand_));
  }
  const bool fits = broadcasts ? broadcasts_to(given.shape, operand.shape) : given.shape == operand.shape;
  if (!fits || given.dtype != operand.dtype) {
    throw ShapeError(detail::text(instruction.op->name, ": vjp gives ", given.dtype, ' ', given.shape,
                                  " for operand ", operand_, " of type ", operand.dtype, ' ', operand.shape));
  }
}

void Backward::Cotangent::add(const Var& v, bool is_temporary) const {
  if (!needed()) return;
  if constexpr (detail::kMutation) {
    if (const detail::MutatorCall call; call) {
      if (const Var changed = call->added(v); changed.defined()) add(changed, false);
      return;
    }
  }
  require_fitting(v, false);
  backward_.pass_->add(backward_.instruction_->operands[operand_], v, is_temporary);
}

void Backward::Cotangent::add_broadcast(const Var& v) const {
  if (!needed()) return;
  require_fitting(v, true);
  if (backward_.create_graph()) {
    throw Error(detail::text(backward_.instruction_->op->name,
                             ": vjp broadcasts a cotangent that is itself recorded"));
  }
  if constexpr (detail::kMutation) {
    return add(backward_.pass_->expanded(v, backward_.x_shape(operand_)), true);
  }
  backward_.pass_->add_broadcast(backward_.instruction_->operands[operand_], v);
}

}  // namespace xgrad
