// The observer behind Tape::detect_nan.
#pragma once

#include "lib/tape/core.hpp"

namespace xgrad::detail {

/// Throws NonFinite for the first result or cotangent that is not finite, in the sense of `check`.
class NanObserver final : public Observer {
 public:
  NanObserver(const TapeCore& core, NanCheck check) : core_(core), check_(check) {}
  bool keeps_operands() const override { return true; }
  void after(const Call& call, Operands x, const View& y, Write write) override;

 private:
  const TapeCore& core_;  // describes calls
  NanCheck check_;
};

}  // namespace xgrad::detail
