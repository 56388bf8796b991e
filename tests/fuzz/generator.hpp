// Makes random calls that suit what a sequence has so far, as the shadow knows it.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/fuzz/calls.hpp"
#include "tests/fuzz/shadow.hpp"

namespace fuzz {

/// A small generator of random numbers (xorshift64*), the same everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_((seed + 1) * 0x9E3779B97F4A7C15u) {}
  std::uint32_t next() {
    state_ ^= state_ >> 12, state_ ^= state_ << 25, state_ ^= state_ >> 27;
    return static_cast<std::uint32_t>(state_ * 0x2545F4914F6CDD1Du >> 32);
  }
  int below(int n) { return static_cast<int>(next() % static_cast<std::uint32_t>(n)); }
  bool percent(int p) { return below(100) < p; }

 private:
  std::uint64_t state_;
};

struct GeneratorOptions {
  bool allocation_failures = true;
  bool shared_parameter = false;  // the last parameter is only read
};

class Generator {
 public:
  Generator(std::uint64_t seed, const Shadow& shadow, const GeneratorOptions& options)
      : random_(seed), shadow_(shadow), options_(options) {}
  Random& random() { return random_; }
  /// The next call; it may turn out to make no sense.
  Call next();

 private:
  friend class FunctionBuilder;
  template <class Suits>
  std::int8_t any_var(Suits suits);
  /// A Var of the tape that the call is about, or now and then any.
  std::int8_t operand();
  std::int8_t differentiable();
  std::int8_t place();
  std::int8_t like(const Type& type, int percent_any);
  int writable_parameter();
  N at(int i) const { return shadow_.state.vars[static_cast<std::size_t>(i)]; }
  Type type_of(int i) const { return {at(i)->dims, at(i)->is_float32}; }

  bool choose_kind(Call& c);
  bool make_op(Call& c);
  bool make_hook(Call& c);
  bool make_custom(Call& c);
  bool make_checkpoint(Call& c);
  bool make_functional(Call& c);
  bool make_grad(Call& c);
  bool make_backward(Call& c);

  Random random_;
  const Shadow& shadow_;
  GeneratorOptions options_;
  int tape_ = -1;            // the one that the call is about
  std::int8_t latest_ = -1;  // the Var that was assigned last
};

}  // namespace fuzz
