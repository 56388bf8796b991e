// Executor: the only code that calls the kernels of ops, and those who watch it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lib/tape/values.hpp"

namespace xgrad::detail {

/// One application of an op.
struct Call {
  const OpInfo* op;
  const void* attributes;
  std::span<const SlotId> x;
  SlotId y;                             // the result, or the slot whose cotangent is added to
  std::uint32_t scope = 0;              // the scope that it is computed in
  const Call* derivative_of = nullptr;  // in a vjp: the call that is differentiated
};

/// Sees every call that is executed.
class Observer {
 public:
  virtual ~Observer() = default;
  /// Whether after() reads the operands, which then are not overwritten.
  virtual bool keeps_operands() const { return false; }
  virtual void before(const Call&) {}
  /// May throw; the result is then dropped.
  virtual void after(const Call&, Operands x, const View& y, Write write) = 0;
  /// In place of after(), when the kernel has thrown.
  virtual void failed(const Call&) noexcept {}
};

class Executor {
 public:
  explicit Executor(Values& values) : values_(values) { observers_.reserve(2); }

  /// Computes a call's result into memory of its choice: operand 0's for an alias op, else that of a donated
  /// operand (bits of `donated`) of the same type that nothing shares, else new memory.
  void run(const Call& call, Operands x, std::uint32_t donated) {
    Slot& y = values_[call.y];
    if (const Slot& first = values_[call.x[0]]; call.op->aliases && first.buffer) {
      values_.alias(y, first);
      return;
    }
    for (; donated; donated &= donated - 1) {
      Slot& x_i = values_[call.x[static_cast<std::size_t>(std::countr_zero(donated))]];
      if (!x_i.buffer || x_i.buffer->owners > 1 || x_i.dtype != y.dtype || x_i.shape != y.shape) continue;
      Values::adopt(y, x_i);
      break;
    }
    if (!y.buffer) values_.allocate(y);
    run_into(call, x, values_.mutable_view(y), Write::assign);
  }

  /// Computes a call's result into memory that is there.
  void run_into(const Call& call, Operands x, const View& y, Write write) {
    if (observers_.empty() && !call.op->workspace) [[likely]] {
      call.op->eval(call.attributes, x, y, write, nullptr);
    } else {
      run_observed(call, x, y, write);
    }
  }

  /// Which operands of a call nothing but the call itself needs, as bits of those in `candidates`: each has
  /// one holder, and the derivative, which reads `reads`, is not another.
  std::uint32_t donations(const OpInfo& op, std::span<const SlotId> x, std::uint32_t candidates,
                          Reads reads) const {
    return candidates && op.elementwise ? donations(x, candidates, reads) : 0;
  }

  /// Room is kept, so that removing observers never allocates.
  void observe(std::span<Observer* const> observers) {
    observers_.assign(observers.begin(), observers.end());
  }

  /// The call whose vjp is running, for observers.
  const Call* derivative_of = nullptr;

 private:
  std::uint32_t donations(std::span<const SlotId> x, std::uint32_t candidates, Reads reads) const;
  void run_observed(Call call, Operands x, const View& y, Write write);
  Values& values_;
  std::vector<Observer*> observers_;
};

}  // namespace xgrad::detail
