// Backward: what a vjp sees of the pass that calls it.
#include "lib/tape/core.hpp"
#include "lib/tape/mutation.hpp"

namespace xgrad {
namespace detail {

Backward Access::backward(Pass& pass, const Instruction& instruction, std::uint32_t needed, Var dy,
                          bool is_unexpanded) {
  Backward b;
  b.pass_ = &pass;
  b.instruction_ = &instruction;
  b.needed_ = needed;
  b.operand_count_ = instruction.operand_count;
  b.dy_ = std::move(dy);
  b.dy_is_unexpanded_ = is_unexpanded;
  return b;
}

}  // namespace detail

using detail::Access;
using detail::Instruction;
using detail::Slot;

void Backward::throw_no_operand(int i) const {
  throw Error(detail::text(instruction_->op->name, ": vjp names operand ", i, " of ", operand_count_));
}

const Var& Backward::dy() {
  if (std::exchange(dy_is_unexpanded_, false)) dy_ = pass_->expanded(dy_, y_shape());
  return dy_;
}

bool Backward::create_graph() const { return pass_->is_graph(); }

Var Backward::x(int i) const {
  if (i < 0 || i >= operand_count_) throw_no_operand(i);
  if (!(instruction_->op->all_reads & reads_x(i))) {
    throw Error(
        detail::text(instruction_->op->name, ": vjp reads x(", i, "), which its `reads` does not name"));
  }
  return Access::var(pass_->core(), instruction_->operands[i]);
}

Var Backward::y() const {
  if (!(instruction_->op->all_reads & kReadsOutput)) {
    throw Error(detail::text(instruction_->op->name, ": vjp reads y, which its `reads` does not name"));
  }
  return Access::var(pass_->core(), instruction_->y);
}

const Shape& Backward::x_shape(int i) const {
  if (i < 0 || i >= operand_count_) throw_no_operand(i);
  return pass_->core().values[instruction_->operands[i]].shape;
}
const Shape& Backward::y_shape() const { return pass_->core().values[instruction_->y].shape; }

bool Backward::Cotangent::is_far_needed() const {
  return backward_.pass_->needs(backward_.instruction_->operands[operand_]);
}

/// @throws unless v can be added to the operand's cotangent
void Backward::Cotangent::require_fitting(const Var& v, bool broadcasts) const {
  const Instruction& instruction = *backward_.instruction_;
  const detail::TapeCore& core = backward_.pass_->core();
  const Slot& operand = core.values[instruction.operands[operand_]];
  const Slot& given = Access::current_slot(v, instruction.op->name);
  if (Access::core(v) == &core && given.dtype == operand.dtype &&
      (given.shape == operand.shape || (broadcasts && broadcasts_to(given.shape, operand.shape)))) {
    return;
  }
  if (Access::core(v) != &core) {
    throw TapeMismatch(
        detail::text(instruction.op->name, ": vjp gives a value of another tape for operand ", operand_));
  }
  throw ShapeError(detail::text(instruction.op->name, ": vjp gives ", given.dtype, ' ', given.shape,
                                " for operand ", operand_, " of type ", operand.dtype, ' ', operand.shape));
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
