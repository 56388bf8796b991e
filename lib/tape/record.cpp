// Recording an op: its operands are checked, its kernel is run, its instruction is listed.
#include <optional>

#include "lib/support/scratch.hpp"
#include "lib/tape/core.hpp"
#include "lib/tape/mutation.hpp"

namespace xgrad {
namespace detail {
namespace {

/// Empties donated arguments on exit, also after a throw.
struct EmptiedOnExit {
  std::span<const Arg> x;
  bool any = false;
  ~EmptiedOnExit() {
    if (!any) return;
    for (const Arg& v : x) v.release();
  }
};

/// An instruction that is given back unless it is listed.
struct Unlisted {
  Recording& recording;
  Instruction* instruction;
  ~Unlisted() {
    if (instruction) recording.discard(*instruction);
  }
  void list(Reads reads) {
    if (instruction) recording.list(*std::exchange(instruction, nullptr), reads);
  }
};

}  // namespace

Var record(const OpInfo& op, const void* attributes, std::span<const Arg> x) {
  if (x.empty()) throw ShapeError(text(op.name, ": no operands"));
  if (x.size() > UINT16_MAX) throw ShapeError(text(op.name, ": more than 65535 operands"));
  TapeCore& core = Access::live_core(*x[0]);
  Pass* const pass = core.pass;
  if (pass) pass->flush();
  std::optional<Frame> frame;  // the library's own kernels call nobody back
  if (!op.built_in) frame.emplace(core, "the kernel of ", op.name, true);

  const Scratch<ConstView> view_room(x.size());
  const Scratch<SlotId> slot_room(x.size());
  const auto views = view_room.items();
  const auto slots = slot_room.items();
  const bool is_paused = core.is_paused();
  const std::uint64_t constant_below = pass ? pass->constant_below() : 0;
  std::uint8_t depends = kOnNothing;
  std::uint32_t donated = 0;
  Reads reads = kReadsNothing;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (Access::core(*x[i]) != &core) {
      Access::slot(*x[i]);  // throws when it is empty or its tape has ended
      throw TapeMismatch(text(op.name, ": operands 0 and ", i, " belong to different tapes"));
    }
    const Slot& slot = Access::slot(core, *x[i]);
    slots[i] = Access::index(*x[i]);
    views[i] = core.values.view(slot);
    if (slot.depends && !is_paused) {
      const bool is_source = (slot.depends & kOnSource) != 0 && !op.constant;
      if (is_source && slot.recording != core.recording.number()) Access::throw_stale(slot, op.name);
      if (slot.id >= constant_below) {
        depends |= op.constant ? std::uint8_t{kFlatly} : slot.depends;
        if (is_source) reads |= op.reads_of(i);
      }
    }
    if (!slot.data && !pass) Access::throw_no_value(op.name, slot);
    if (x[i].is_donated()) donated |= 1u << std::min<std::size_t>(i, 31);
  }
  const TensorType type = op.infer(attributes, views);
  EmptiedOnExit emptied{x, donated != 0};
  if (pass) {
    Var result = pass->pend(op, attributes, slots, type, depends, reads);
    if constexpr (kMutation) {
      if (const MutatorCall call; call) result = call->recorded(op, x, result);
    }
    return result;
  }
  Var result = core.new_value(type, Origin::op, depends);  // frees the slot if anything below throws
  const SlotId y = Access::index(result);
  const bool is_listed = (depends & kOnSource) != 0;
  Unlisted made{core.recording, is_listed ? &core.recording.make(op, attributes, slots, y) : nullptr};
  core.executor.run({&op, attributes, slots, y, core.recording.scopes().current(), nullptr}, views,
                    core.executor.donations(op, slots, donated, reads));
  core.require_alive(op.name);
  made.list(reads);
  core.check_now_and_then();
  return result;
}

void run_aside(const Var& anchor, const char* what, const char* name, void (*body)(void*), void* context) {
  TapeCore& core = Access::live_core(anchor);
  const Callback callback(core, what, name);
  body(context);
  core.require_alive(name);
}

}  // namespace detail
}  // namespace xgrad
