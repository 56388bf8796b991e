// The calls that a sequence is made of, as plain data: the generator makes them, the shadow and the library
// perform them, and they print as C++.
#pragma once

#include <array>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

namespace fuzz {

// How many names of each kind a sequence has. A name is a register: assignment drops what it held.
inline constexpr int kVars = 14, kTapes = 3, kParameters = 5, kGuards = 5, kMarks = 3, kProfiles = 2;

/// The shape of a small tensor.
struct Dims {
  std::int8_t rank = 0;
  std::array<std::int8_t, 4> n{};  // 0 past the rank

  int size() const {
    int product = 1;
    for (int i = 0; i < rank; ++i) product *= n[static_cast<std::size_t>(i)];
    return product;
  }
  void push_back(int extent) { n[static_cast<std::size_t>(rank++)] = static_cast<std::int8_t>(extent); }
  friend bool operator==(const Dims&, const Dims&) = default;
};

/// The shapes that values enter with and are reshaped to.
inline constexpr Dims kShapes[] = {{0, {}},           {1, {3, 0, 0, 0}}, {2, {2, 3, 0, 0}},
                                   {1, {6, 0, 0, 0}}, {2, {3, 2, 0, 0}}, {1, {2, 0, 0, 0}}};
inline constexpr int kShapeCount = 6;

struct Type {
  Dims dims;
  bool is_float32 = false;
};

/// The types of the parameters.
inline constexpr Type kParameterTypes[kParameters] = {
    {kShapes[0]}, {kShapes[1]}, {kShapes[2]}, {kShapes[1], true}, {kShapes[2]}};

/// Element i of the value that a seed stands for: a multiple of 1/64 in [-1.5, 1.5], never 0.
double element(std::uint32_t seed, int i);

enum class Op : std::uint8_t {
  // Of two operands.
  add,
  sub,
  mul,
  matmul,
  blend,
  // Of one.
  neg,
  scale,
  exp,
  tanh,
  sin,
  relu,
  sign,
  log,
  sum,
  reshape,
  broadcast,
  stop,
  identity,
  // Structs of custom_ops.hpp.
  cubic,
  nested_cubic,
  total,
  slope,
  thrower,
  probe
};
constexpr bool is_binary(Op op) { return op <= Op::blend; }
/// Whether the op takes Args, so that an operand can be donated.
constexpr bool takes_args(Op op) {
  return op != Op::matmul && op != Op::sum && op != Op::reshape && op != Op::broadcast && op != Op::stop;
}

enum class GuardKind : std::uint8_t { none, no_grad, profile, scope };

enum class Functional : std::uint8_t { value_and_grad, vjp, jvp, hvp, jacobian, hessian };

struct Fn;
using FnPtr = std::shared_ptr<const Fn>;

/// A step of a function: it makes one local value of others.
struct Step {
  enum Kind : std::uint8_t {
    op,             // Op of a and b
    under_no_grad,  // the same, recorded by nobody
    constant,       // a scalar that enters the tape of a
    input,          // an input like a
    leaf,           // parameter `attribute` on the tape of a
    read,           // reads a's elements; a
    grad,           // grad(sum(a), {b})
    functional,     // of function f at a, with vector b
    checkpoint,     // f({a})
    hook,           // with_hook(a, f)
    custom,         // custom_vjp(f, g)(a)
    fail,           // throws
    attempt,        // value_and_grad(f, {a}), whose error is caught; a
    rewind,         // an op of a that is rewound; a
    clear,          // clear() on the tape of a, which throws; a
    rewind_out,     // rewind to the mark `attribute` of the sequence, which throws; a
    backward,       // of sum(a)
    pack,           // parameter `attribute`; a
    write,          // halves parameter `attribute`; a
    end_tape,       // deletes tape `attribute`; a
    escape          // assigns a to the sequence's Var `attribute`; a
  };
  Kind kind = op;
  Op what = Op::add;
  Functional functional_kind = Functional::value_and_grad;
  std::int8_t a = -1, b = -1;
  bool move_a = false;
  bool create_graph = false;
  int attribute = 0;
  std::uint32_t seed = 0;
  FnPtr f, g;
};

/// A function of tensors: its locals are the arguments, then the captured values, then a value for each step.
struct Fn {
  int arity = 1;
  std::vector<std::int8_t> captures;  // Vars of the sequence, or locals of the function around
  std::vector<Step> steps;
  std::vector<std::int8_t> results;  // locals; -1 for an empty Var
};

/// One call of the public API.
struct Call {
  enum Kind : std::uint8_t {
    input,
    constant,
    leaf,
    op,
    copy,
    drop,
    hook,
    custom,
    checkpoint,
    functional,
    grad,
    backward,
    zero_grad,
    sgd,
    assign,
    pack,
    mark,
    rewind,
    clear,
    no_grad,
    profile,
    scope,
    end_guard,
    end_profile,
    detect_nan,
    new_tape,
    end_tape,
    read,
    print
  };
  Kind kind = read;
  Op what = Op::add;
  Functional functional_kind = Functional::value_and_grad;
  std::int8_t a = -1, b = -1;  // Vars
  bool move_a = false, move_b = false;
  bool flag = false;  // create_graph, keep_recording, whether detect_nan goes on, float32
  std::int8_t tape = 0;
  std::int8_t index = 0;   // of a parameter, a guard, a mark or a profile
  std::int8_t index2 = 0;  // of the profile that a guard measures for, or of a shape
  int attribute = 0;
  std::uint32_t seed = 0;
  std::vector<std::int8_t> xs, ys, vs;  // Vars; -1 in vs for an empty one
  std::vector<std::int8_t> out;         // Vars that are assigned
  FnPtr f, g;
  int fail_after = -1;  // the number of allocations that succeed before one fails; -1: none fails
  int id = 0;
};

using Sequence = std::vector<Call>;

std::ostream& operator<<(std::ostream& out, const Call& call);
/// The sequence, one call a line.
std::string text(const Sequence& sequence);

}  // namespace fuzz
