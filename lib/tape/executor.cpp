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

std::uint32_t Executor::donations(std::span<const SlotId> x, std::uint32_t candidates, Reads reads) const {
  std::uint32_t result = 0;
  for (std::size_t i = 0; i < std::min<std::size_t>(x.size(), 31); ++i) {
    const Slot& slot = values_[x[i]];
    if (slot.handles + slot.readers == 1) result |= 1u << i;
  }
  result &= candidates;
  if (!result) return 0;
  for (std::size_t i = 0; reads && i < x.size(); ++i) {
    if (!(reads & reads_x(static_cast<int>(i)))) continue;
    for (std::size_t k = 0; k < std::min<std::size_t>(x.size(), 31); ++k) {
      if (x[k] == x[i]) result &= ~(1u << k);
    }
  }
  const auto keeps = [](const Observer* o) { return o->keeps_operands(); };
  return std::any_of(observers_.begin(), observers_.end(), keeps) ? 0 : result;
}

}  // namespace xgrad::detail
