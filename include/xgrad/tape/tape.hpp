// Tape: records tensor operations as they are computed, for the backward pass. Start reading here.
//
//     Tape tape;
//     Var x = tape.input(xt::xarray<double>{1, 2, 3});
//     Var y = sum(x * x);                       // computed and recorded at once
//     std::vector<Var> g = grad(y, {x});        // g[0] is 2 x
//
// The tape is a list of instructions in the order of their making, which is a topological order: backward is
// one loop from the end to the front. A value's memory is recycled as soon as no Var names it and no
// derivative will read it.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string_view>

#include "xgrad/tape/parameter.hpp"
#include "xgrad/tape/var.hpp"
#include "xgrad/tensor/adapt.hpp"

namespace xgrad {

class Profile;

/// Counts of a tape, for tests and for the curious.
struct TapeStatistics {
  std::size_t instructions = 0;  ///< recorded and not yet consumed
  std::size_t slots = 0;         ///< values known, with or without memory
  std::size_t bytes_in_use = 0;  ///< memory of values that are readable
  std::size_t bytes_held = 0;    ///< memory taken from the system for values, recycled or in use
  std::size_t peak_bytes = 0;    ///< the largest bytes_in_use so far
  std::uint32_t recording = 0;   ///< the number of the current recording, from 1
};

/// What `detect_nan` looks for: nothing, NaN, or infinities as well.
enum class NanCheck : std::uint8_t { off, nan, non_finite };

namespace detail {

/// What the guards of a tape share: it keeps the tape's inside in memory, so that a guard may outlive the
/// tape.
class Guard {
 public:
  explicit Guard(TapeCore* core) noexcept;
  Guard(Guard&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  Guard& operator=(Guard&&) = delete;
  ~Guard();
  TapeCore* core() const { return core_; }

 private:
  TapeCore* core_;
};

}  // namespace detail

/// Records tensor operations. Confined to one thread, neither copied nor moved; there may be many.
class Tape {
 public:
  Tape();
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// Enters the value of an xtensor container or expression, to be differentiated with respect to.
  template <class E>
  Var input(const xt::xexpression<E>& value) {
    return enter_value(value, true);
  }
  /// Enters a scalar to be differentiated with respect to.
  Var input(float value) { return enter_scalar(value, DType::float32, true); }
  Var input(double value) { return enter_scalar(value, DType::float64, true); }

  /// Enters a value without a derivative: data, labels, masks.
  template <class E>
  Var constant(const xt::xexpression<E>& value) {
    return enter_value(value, false);
  }
  /// Enters a scalar of a given dtype.
  Var constant(double value, DType dtype) { return enter_scalar(value, dtype, false); }
  /// Enters what `fill(View)` writes, straight into the tape's memory: for batches without a copy.
  template <class Fill>
    requires std::is_invocable_v<Fill, View>
  Var constant(TensorType type, Fill&& fill) {
    View view;
    Var v = enter(type, false, view);
    fill(view);
    return v;
  }

  /// Enters a parameter, by reference: the same value for as long as the recording lasts and the parameter is
  /// not written.
  Var leaf(const Parameter& parameter);

  /// A place in the recording, for `rewind`.
  class Mark {
    friend class Tape;
    std::uint64_t tape = 0, id = 0;
    std::uint32_t recording = 0;
  };
  Mark mark() const;
  /// Drops what was recorded since the mark; results recorded since become stale.
  /// @throws StaleVar when the mark belongs to a recording that is gone, TapeMismatch when to another tape;
  /// Error inside a callback (hook, vjp, kernel, checkpointed function) that began after the mark.
  void rewind(Mark mark);
  /// Drops the whole recording. Values that a Var names stay readable. @throws Error inside a callback.
  void clear();

  // Guards may end in any order, and after their tape.

  /// While it lives, nothing is recorded: results need no gradient, and their memory is freed as they go.
  /// A derivative that is asked for (value_and_grad, hvp, ...) is computed all the same.
  class Pause {
   public:
    Pause(Pause&&) noexcept = default;
    Pause& operator=(Pause&&) = delete;
    ~Pause();

   private:
    friend class Tape;
    explicit Pause(detail::TapeCore* core);
    detail::Guard guard_;
  };
  [[nodiscard]] Pause no_grad();

  /// While it lives, the ops that this tape computes are measured for a Profile. Of several the last begun
  /// measures.
  class Profiling {
   public:
    Profiling(Profiling&&) noexcept = default;
    Profiling& operator=(Profiling&&) = delete;
    ~Profiling();

   private:
    friend class Tape;
    Profiling(detail::TapeCore* core, Profile* profile);
    detail::Guard guard_;
    std::uint64_t token_;
  };
  /// Null: nothing is measured.
  [[nodiscard]] Profiling profile(Profile* profile);

  /// From now on every result and every cotangent is looked at, and the first that holds a NaN (or an
  /// infinity) throws NonFinite: which op made it, in which scope it was recorded, and whether its operands
  /// were finite. Costs a pass over every value; what comes in through input, constant or leaf is not looked
  /// at.
  void detect_nan(NanCheck check = NanCheck::non_finite);

  /// While it lives, ops are recorded in the scope `name`: `network/1`. Scopes nest, in errors
  /// of detect_nan and in print.
  class Scope {
   public:
    Scope(Scope&&) noexcept = default;
    Scope& operator=(Scope&&) = delete;
    ~Scope();

   private:
    friend class Tape;
    Scope(detail::TapeCore* core, std::string_view name);
    detail::Guard guard_;
    std::uint64_t token_;
  };
  [[nodiscard]] Scope scope(std::string_view name);

  /// Writes the recording as text, one instruction a line.
  void print(std::ostream& out) const;
  /// Writes the recording as a graph for Graphviz (DOT).
  void dot(std::ostream& out) const;
  TapeStatistics statistics() const;

 private:
  friend struct detail::Access;
  template <class E>
  Var enter_value(const xt::xexpression<E>& value, bool requires_grad) {
    View view;
    Var v = enter({dtype_of<typename E::value_type>, shape_of(value)}, requires_grad, view);
    store(value, view);
    return v;
  }
  Var enter(TensorType type, bool requires_grad, View& view);
  Var enter_scalar(double value, DType dtype, bool requires_grad);

  detail::TapeCore* core_;
};

}  // namespace xgrad
