// One run of the backward loop over what is recorded: what `backward`, `grad` and `checkpoint` are made of.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/tape/state.hpp"

namespace xgrad::detail {

/// Whether a pass needs the cotangent of a slot: that of one on a path from xs when it has a mark, otherwise
/// that of every one that depends on a parameter.
inline bool needed(const Slot& slot, std::uint32_t mark) {
  return mark ? slot.mark == mark : (slot.depends & kOnParameter) != 0;
}

/// Adds `v`, which a vjp of `op` made, to the cotangent of a slot. With `move`, nobody else will read `v`.
void add_cotangent(TapeState& state, Slot& slot, const Var& v, bool move, const char* op);

/// Fills a floating tensor with one value.
void fill(const View& v, double value);

/// A constant's value under a new name, to be differentiated with respect to.
Var enter_again(const Var& x);

/// Marks the results of the instructions from `first` on that depend on marked slots.
void spread_mark(TapeState& state, std::size_t first, std::uint32_t mark);

/// The loop. While a Pass lives, ops are deferred (see state.hpp).
class Pass {
 public:
  /// With `consume`, instructions are dropped as they are differentiated. For `mark`, see `needed`.
  Pass(TapeState& state, bool graph, bool consume, std::uint32_t mark);
  ~Pass();
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  /// Differentiates all instructions from the last down to number `first`.
  void run(std::size_t first = 0);

 private:
  void differentiate(const Instruction& instruction, Slot& out);
  /// After an error: no half-made gradient may be left behind.
  void abandon();

  TapeState& state_;
  bool consume_;
  std::uint32_t mark_;
  bool outer_deferring_, outer_graph_;
  std::size_t outer_from_;
  bool finished_ = false;
};

}  // namespace xgrad::detail
