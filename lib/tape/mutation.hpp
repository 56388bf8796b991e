// Test hook: lets the mutation run (tests/mutation) alter what a vjp computes. Compiled out without
// XGRAD_MUTATION.
#pragma once

#include <span>
#include <utility>

#include "xgrad/tape/op.hpp"

namespace xgrad::detail {

#ifdef XGRAD_MUTATION
inline constexpr bool kMutation = true;
#else
inline constexpr bool kMutation = false;
#endif

/// Is told what vjps do, and may change it.
class Mutator {
 public:
  virtual ~Mutator() = default;
  /// The vjp of `op` is about to be called.
  virtual void begin(const OpInfo& op, const void* attributes, bool create_graph) = 0;
  /// It has recorded an op on x; gives what it gets as the result.
  virtual Var recorded(const OpInfo& op, std::span<const Arg> x, const Var& result) = 0;
  /// The vjp adds v to a cotangent; returns what to add instead; an empty Var adds nothing.
  virtual Var added(const Var& v) = 0;
};
inline Mutator* mutator = nullptr;

/// Disables the mutator while it lives, so that the mutator's own ops are not mutated.
class MutatorCall {
 public:
  MutatorCall() : mutator_(std::exchange(mutator, nullptr)) {}
  ~MutatorCall() { mutator = mutator_; }
  MutatorCall(const MutatorCall&) = delete;
  MutatorCall& operator=(const MutatorCall&) = delete;
  explicit operator bool() const { return mutator_ != nullptr; }
  Mutator* operator->() const { return mutator_; }

 private:
  Mutator* mutator_;
};

}  // namespace xgrad::detail
