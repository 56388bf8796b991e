// The library's side: performs calls with xgrad, and keeps what the sequence's names stand for.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "tests/fuzz/calls.hpp"
#include "tests/fuzz/custom_ops.hpp"
#include "tests/fuzz/perform.hpp"

namespace fuzz {

/// Arms operator new of this thread: `after` allocations succeed, then one throws. -1 disarms. Returns how
/// many were left. Defined by the program (main.cpp).
int arm_allocator(int after) noexcept;

class Real {
 public:
  using Value = Var;
  /// With a parameter that other threads read too, that one is the last.
  explicit Real(const Parameter* shared);
  /// Parameter p as sequences begin with it.
  static Parameter own_parameter(int p);

  Var& named(int i) { return vars[static_cast<std::size_t>(i)]; }
  Var empty() const { return {}; }
  void assign(int i, Var v) { named(i) = std::move(v); }
  Var enter(int tape, const Type& type, std::uint32_t seed, bool requires_grad);
  Var leaf_on(int tape, int parameter);
  Var op(Op what, int attribute, Var& a, bool move_a, Var* b, bool move_b);
  Var constant_like(const Var& like, double value);
  Var input_like(const Var& like, std::uint32_t seed);
  Var leaf_like(const Var& like, int parameter);
  void read(const Var& v);
  Var hook(const Var& x, Closure<Real> f, int id);
  Var custom(Closure<Real> f, Closure<Real> g, std::span<const Var> xs, int id);
  Var checkpoint(Closure<Real> f, std::span<const Var> xs);
  std::vector<Var> grad(std::span<const Var> ys, std::span<const Var> cotangents, std::span<const Var> xs,
                        bool graph);
  Parts<Real> functional(Functional kind, const Closure<Real>& f, std::span<const Var> xs,
                         std::span<const Var> vs, bool graph);
  void backward(const Var& loss, bool keep) { xgrad::backward(loss, {.keep_recording = keep}); }
  [[noreturn]] void fail() { throw CallbackError(); }
  using Failure = CallbackError;
  static bool is_callback_error(const CallbackError&) { return true; }

  Tape::Pause no_grad(const Var& like) { return like.tape().no_grad(); }
  void escape(int i, const Var& v) { named(i) = v; }
  void rewind_inside(const Var& like, Op what);
  void clear_inside(const Var& like);
  void rewind_out(int mark);

  void zero_grad(int p) { parameter(p).zero_grad(); }
  void sgd(int parameter);
  void write(int parameter, std::uint32_t seed);
  void halve(int parameter);
  void pack(std::span<const std::int8_t> names);
  void set_mark(int mark, int tape);
  void rewind(int mark, int tape);
  void clear(int t) { tape(t).clear(); }
  void begin_guard(int guard, GuardKind kind, int tape, int profile);
  void end_guard(int guard) { guards[static_cast<std::size_t>(guard)].emplace<std::monostate>(); }
  void end_profile(int profile) { profiles[static_cast<std::size_t>(profile)].reset(); }
  void detect_nan(int t, bool on) { tape(t).detect_nan(on ? NanCheck::non_finite : NanCheck::off); }
  void new_tape(int t) { tapes[static_cast<std::size_t>(t)] = std::make_unique<Tape>(); }
  void end_tape(int t) { tapes[static_cast<std::size_t>(t)].reset(); }
  void print(int tape);

  Tape& tape(int i) { return *tapes[static_cast<std::size_t>(i)]; }
  Parameter& parameter(int i) { return parameters[static_cast<std::size_t>(i)]; }

  // Declared so that they end in this order, backwards: the tapes last but for the parameters.
  std::array<Parameter, kParameters> parameters;
  std::array<std::unique_ptr<Tape>, kTapes> tapes;
  std::array<std::unique_ptr<Profile>, kProfiles> profiles;
  std::array<std::variant<std::monostate, Tape::Pause, Tape::Profiling, Tape::Scope>, kGuards> guards;
  std::array<Var, kVars> vars;
  std::array<Tape::Mark, kMarks> marks;
  std::array<int, kMarks> mark_tapes{};  // the names of the tapes that they were made on
  std::array<std::int16_t, 128> invocations{};
  std::string complaint;  // of something that only a callback sees
};

/// The elements of a tensor as double.
std::vector<double> elements_of(const ConstView& v);

}  // namespace fuzz
