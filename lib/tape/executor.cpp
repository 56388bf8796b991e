// Executor: workspace, observers, and which operands may be overwritten.
#include "lib/tape/executor.hpp"

#include <algorithm>

namespace xgrad::detail {
namespace {

/// The memory that an op asks for besides its result, for as long as it runs.
class Workspace {
 public:
  Workspace(BufferPool& pool, const Call& call, Operands x)
      : pool_(pool),
        buffer_(call.op->workspace ? pool.acquire(call.op->workspace(call.attributes, x)) : nullptr) {}
  ~Workspace() {
    if (buffer_) pool_.release(buffer_);
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  void* memory() const { return buffer_ ? BufferPool::payload(buffer_) : nullptr; }

 private:
  BufferPool& pool_;
  Buffer* buffer_;
};

}  // namespace

void Executor::run_observed(Call call, Operands x, const View& y, Write write) {
  const Workspace workspace(values_.pool(), call, x);
  call.derivative_of = derivative_of;
  for (Observer* observer : observers_) observer->before(call);
  try {
    call.op->eval(call.attributes, x, y, write, workspace.memory());
  } catch (...) {
    for (Observer* observer : observers_) observer->failed(call);
    throw;
  }
  for (Observer* observer : observers_) observer->after(call, x, y, write);
}

std::uint32_t Executor::donations(const OpInfo& op, std::span<const SlotId> x, std::uint32_t candidates,
                                  Reads reads) const {
  if (!candidates || !op.elementwise) return 0;
  if (std::any_of(observers_.begin(), observers_.end(), [](const Observer* o) { return o->keeps_operands(); }))
    return 0;
  const auto is_read = [&](SlotId slot) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (x[i] == slot && (reads & reads_x(static_cast<int>(i)))) return true;
    }
    return false;
  };
  std::uint32_t result = 0;
  for (std::size_t i = 0; i < std::min<std::size_t>(x.size(), 31); ++i) {
    const Slot& slot = values_[x[i]];
    const bool one_holder = slot.handles + slot.readers == 1;
    if (one_holder && (candidates >> i & 1) && !is_read(x[i])) result |= 1u << i;
  }
  return result;
}

}  // namespace xgrad::detail
