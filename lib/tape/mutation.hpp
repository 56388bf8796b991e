// The way in of the mutation run (tests/mutation), which puts faults into derivatives to see that the tests
// notice. In builds without XGRAD_MUTATION nothing of it is left.
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
  /// It adds v to a cotangent; gives what is added, an empty Var for nothing.
  virtual Var added(const Var& v) = 0;
};
inline Mutator* mutator = nullptr;

/// While it lives nobody is told, so that what a mutator records is not mutated in turn.
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
