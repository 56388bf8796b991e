// What the shadow is made of: expressions, errors, and what it knows of tapes and parameters.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "tests/fuzz/calls.hpp"
#include "tests/fuzz/perform.hpp"

namespace fuzz {

/// The types of errors, as a set: where several are right, each will do.
enum ErrorKind : std::uint32_t {
  kNoError = 0,
  kPlainError = 1,
  kShapeError = 2,
  kDTypeError = 4,
  kStaleVar = 8,
  kTapeMismatch = 16,
  kNotDifferentiable = 32,
  kParameterModified = 64,
  kNonFinite = 128,
  kCallbackError = 256,
  kBadAlloc = 512
};

/// A call that must throw one of some errors.
struct Fail {
  std::uint32_t kinds;
};
/// A call whose outcome the documentation leaves open, or that makes no sense here: it is not performed.
struct Skip {};

struct Node;
using N = const Node*;
class Shadow;

/// A value: of an input, a parameter or a constant, or of an elementary function of other values.
struct Node {
  enum Kind : std::uint8_t {
    value,
    add,
    mul,
    scale,
    exp,
    tanh,
    sin,
    cos,
    relu,
    sum_to,
    broadcast,
    reshape,
    matmul,
    renamed,
    hook,
    custom,
    thrower,
    stack,
    row
  };
  Kind kind;
  std::uint8_t depends;
  bool is_source() const { return (depends & 3) != 0; }  // a derivative flows through it
  bool is_float32;
  std::uint8_t approximate;  // the library makes it of other elementary functions; 2: in a derivative
  Dims dims;
  int id, tape, recording;
  int checkpoint;                  // the innermost one that it was made in, or -1
  int parameter, version, memory;  // of a leaf; parameter is -1 otherwise
  int attribute;
  double factor, largest;  // largest: the largest magnitude of its elements and of what they are made from
  const double* elements;
  std::span<const N> in;
  const Closure<Shadow>* f;
};
inline constexpr int kProbe = 10;  // the attribute of a thrower that throws nothing, but reads its operand
/// What a value depends on. Flatly: by a derivative that is zero, so that nothing flows back, but grad of it
/// is zeros instead of an error. Open: a recorded gradient is another name of the constant, or is made of it.
inline constexpr std::uint8_t kOnParameter = 1, kOnInput = 2, kOnSource = 3, kFlatly = 4, kOpen = 8;

/// What the shadow knows besides expressions; copied before each call, to be put back when that is skipped.
struct State {
  static constexpr int kMostTapes = 12, kMostMemories = 24, kMostIntervals = 8, kMostCalls = 128;
  struct Tape {
    bool alive = false, nan_check = false;
    int recording = 1, paused = 0;
    std::array<N, kParameters> leaves{};
    struct Interval {
      int from, to;
      bool is_open;  // a backward in a callback took what it reached and nothing else uses
    };
    std::array<Interval, kMostIntervals> dropped{};  // nodes of the recording that were rewound
    int dropped_count = 0;
  };
  struct Parameter {
    int version = 0, memory = 0;
    enum Grad : std::uint8_t { none, known, unknown } grad = none;
    std::array<double, 6> grad_elements{};
    double grad_largest = 0;
    enum InBackward : std::uint8_t {
      idle,
      entered,
      written
    } in_backward = idle;  // by a pass that is under way
  };
  struct Guard {
    GuardKind kind = GuardKind::none;
    int tape = 0;
  };
  struct Mark {
    int tape = -1, recording = 0, id = 0;
  };
  std::array<Tape, kMostTapes> tapes{};
  int tape_count = 0;
  std::array<int, kTapes> tape_names{};  // -1: ended
  std::array<Parameter, kParameters> parameters{};
  std::array<std::array<double, 6>, kMostMemories> memories{};
  int memory_count = 0;
  std::array<N, kVars> vars{};
  std::array<Guard, kGuards> guards{};
  std::array<bool, kProfiles> profiles{};
  std::array<Mark, kMarks> marks{};
  std::array<std::int16_t, kMostCalls> invocations{};  // of the hooks and derivatives that a call made
  std::array<bool, kMostCalls> uncounted{};            // they may be called more often: checkpoints run again
};

}  // namespace fuzz
