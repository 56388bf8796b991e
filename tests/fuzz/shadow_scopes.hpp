// What the shadow sets aside while a callback runs, or for a while.
#pragma once

#include <utility>

#include "tests/fuzz/shadow.hpp"

namespace fuzz {

/// While it lives, a callback runs: a pass that is under way is set aside.
struct Shadow::CallbackScope {
  Shadow& s;
  int tape, paused, silent;
  std::uint8_t approximate;
  CallbackScope(Shadow& shadow, int on)
      : s(shadow),
        tape(on),
        paused(std::exchange(s.tape_of(on).paused, 0)),
        silent(std::exchange(s.silent_, 0)),
        approximate(std::exchange(s.approximate_, std::uint8_t{0})) {
    s.callbacks_.push_back({tape, s.node_count_});
  }
  ~CallbackScope() {
    s.callbacks_.pop_back();
    s.tape_of(tape).paused = paused;
    s.silent_ = silent;
    s.approximate_ = approximate;
  }
  CallbackScope(const CallbackScope&) = delete;
  CallbackScope& operator=(const CallbackScope&) = delete;
};

/// A value that is put back.
template <class T>
struct Restore {
  T& place;
  T old;
  Restore(T& p, T value) : place(p), old(std::exchange(p, value)) {}
  ~Restore() { place = old; }
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;
};

}  // namespace fuzz
