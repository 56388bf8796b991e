// What an op is, and how it is put on a tape. An op is a copyable struct: its attributes, and
//
//     static constexpr const char* name = "mul";
//     static constexpr Reads reads[] = {reads_x(1), reads_x(0)};   // dx(0) reads x(1), dx(1) reads x(0)
//     TensorType infer(Operands x) const;                          // or throws ShapeError, DTypeError
//     void eval(Operands x, View y, Write write) const;            // the kernel; or as a template,
//     template <class T> void eval(Operands x, View y, Write write) const;  // for T = float and double
//     void vjp(Backward& b) const {                                // the derivative, in public ops
//       b.dx(0) += mul(b.dy(), b.x(1));
//       b.dx(1) += mul(b.dy(), b.x(0));
//     }
//
// `reads` says for each operand which values its cotangent needs; the last entry stands for all further
// operands. Only what is named there is kept until backward, and only that may vjp ask for. An op may also
// have
//
//     static constexpr bool constant = true;    // the derivative is zero everywhere: no vjp, no reads
//     static constexpr bool aliases = true;     // the result is operand 0's memory under another shape
//     static constexpr bool elementwise = true; // an element of the result is written once, after the same
//                                               // element of all operands of its shape was read: it may be
//                                               // written over one of them
//     void describe(std::ostream& out) const;   // the attributes, for `print`
//     std::size_t workspace(Operands x) const;  // bytes of memory that eval works in, lent by the tape:
//                                               // eval(x, y, write, void* workspace), aligned for any type
//     double flops(Operands x, const Shape& y) const;  // floating-point operations of eval, for a Profile:
//                                                      // a multiplication and an addition are two
//
// An op without vjp that is not constant throws NotDifferentiable when a derivative has to pass through it.
// Attributes are plain numbers, which costs nothing; one that owns something (a function, a Var) is copied to
// the tape and destroyed with its instruction.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <new>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "xgrad/tape/var.hpp"
#include "xgrad/tensor/view.hpp"

namespace xgrad {

/// A set of values that a derivative reads.
using Reads = std::uint32_t;
inline constexpr Reads kReadsNothing = 0;
inline constexpr Reads kReadsOutput = 1u << 31;
/// Operand number 30 and all further ones are one.
constexpr Reads reads_x(int operand) { return 1u << (operand < 30 ? operand : 30); }

/// The operands of an op. `infer` sees shapes and dtypes only, `eval` the values too.
using Operands = std::span<const ConstView>;

namespace detail {
class Pass;
struct Instruction;
}  // namespace detail

/// What a vjp works with: the operands, the result and its cotangent, and the operands' cotangents to write.
class Backward {
 public:
  /// Operand i. @throws Error when the op's `reads` does not name it.
  Var x(int i) const;
  /// The result. @throws Error when the op's `reads` does not name it.
  Var y() const;
  /// The cotangent of the result: same shape and dtype as the result.
  const Var& dy();
  /// The same for its last use: donated, so that an elementwise op may write its result there. Afterwards
  /// `dy` names nothing.
  Var donate_dy() {
    dy();
    return std::move(dy_);
  }
  /// The same for a vjp whose ops broadcast: of a shape that broadcasts to the result's, where the cotangent
  /// came from a reduction (`dx(i).add_broadcast`) and is not expanded yet.
  Var donate_unexpanded_dy() { return std::move(dy_); }
  /// Shape and dtype of operand i, and of the result, which are known without keeping values.
  const Shape& x_shape(int i) const;
  const Shape& y_shape() const;
  int operand_count() const { return operand_count_; }
  /// Whether the gradient is itself recorded, to be differentiated again.
  bool create_graph() const;

  /// Where the cotangent of an operand is summed up.
  class Cotangent {
   public:
    /// Adds `v`, which must have the operand's shape. A single op call on the right is computed straight into
    /// the cotangent, and not at all when this operand needs no cotangent.
    void operator+=(const Var& v) const { add(v, false); }
    void operator+=(Var&& v) const { add(v, true); }
    /// Adds what f() gives, and calls it only when this operand needs a cotangent: for a right-hand
    /// side of several ops, `b.dx(1) += [&] { return w * (u - sum(u * y)); };`.
    template <class F>
      requires std::is_invocable_r_v<Var, F&>
    void operator+=(F&& f) const {
      if (needed()) add(f(), true);
    }
    /// Adds `v` broadcast to the operand's shape; it is expanded on the first use in full.
    /// @throws Error while the gradient is itself recorded: add a broadcast_to then.
    void add_broadcast(const Var& v) const;
    /// Whether this operand needs a cotangent, for the rare vjp that can save more than its last op.
    bool needed() const { return operand_ < 31 ? (backward_.needed_ >> operand_ & 1) != 0 : is_far_needed(); }

   private:
    friend class Backward;
    Cotangent(Backward& backward, int operand) : backward_(backward), operand_(operand) {
      if (operand < 0 || operand >= backward.operand_count()) backward.throw_no_operand(operand);
    }
    bool is_far_needed() const;
    void add(const Var& v, bool is_temporary) const;
    void require_fitting(const Var& v, bool broadcasts) const;
    Backward& backward_;
    int operand_;
  };
  Cotangent dx(int i) { return {*this, i}; }

 private:
  friend struct detail::Access;
  Backward() = default;
  [[noreturn]] void throw_no_operand(int i) const;
  detail::Pass* pass_ = nullptr;
  const detail::Instruction* instruction_ = nullptr;
  std::uint32_t needed_ = 0;  // operands 0 to 30 whose cotangents are needed, as bits
  int operand_count_ = 0;
  Var dy_;
  bool dy_is_unexpanded_ = false;
};

/// An op as the tape sees it: what its struct says, behind function pointers.
struct OpInfo {
  const char* name;
  std::uint32_t attribute_bytes;
  bool constant;
  bool aliases;
  bool elementwise;
  bool built_in;  // the vjp takes no derivatives of its own, so that what it computes need not be recorded
  TensorType (*infer)(const void* op, Operands x);
  void (*eval)(const void* op, Operands x, View y, Write write, void* workspace);
  void (*vjp)(const void* op, Backward& b);  // null: none
  std::span<const Reads> reads;              // of each operand; the last stands for all further ones
  Reads all_reads;                           // of any operand
  Reads reads_of(std::size_t operand) const {
    return reads.empty() ? kReadsNothing : reads[std::min(operand, reads.size() - 1)];
  }
  void (*describe)(const void* op, std::ostream& out);          // null: no attributes worth printing
  std::size_t (*workspace)(const void* op, Operands x);         // null: none
  double (*flops)(const void* op, Operands x, const Shape& y);  // null: not counted
  void (*copy)(const void* op, void* place);                    // null: the bytes are all there is to copy
  void (*destroy)(void* op) noexcept;                           // null: nothing to do
};

namespace detail {

template <class Op>
constexpr bool is_constant = requires { requires Op::constant; };
template <class Op>
constexpr bool is_alias = requires { requires Op::aliases; };
template <class Op>
constexpr bool is_elementwise = requires { requires Op::elementwise; };
template <class Op>
constexpr bool has_vjp = requires(const Op& op, Backward& b) { op.vjp(b); };
template <class Op>
constexpr bool has_describe = requires(const Op& op, std::ostream& out) { op.describe(out); };
template <class Op>
constexpr bool has_workspace = requires(const Op& op, Operands x) { op.workspace(x); };
template <class Op>
constexpr bool has_flops = requires(const Op& op, Operands x, const Shape& y) { op.flops(x, y); };

/// Whether `eval` is a template over the element type.
template <class Op>
constexpr bool has_typed_eval = requires(const Op& op, Operands x, View y, Write write, void* workspace) {
  op.template eval<float>(x, y, write);
} || requires(const Op& op, Operands x, View y, Write write, void* workspace) {
  op.template eval<float>(x, y, write, workspace);
};

template <class T, class Op>
void call_eval(const Op& op, Operands x, View y, Write write, [[maybe_unused]] void* workspace) {
  if constexpr (has_workspace<Op>) {
    op.template eval<T>(x, y, write, workspace);
  } else {
    op.template eval<T>(x, y, write);
  }
}

template <class Op>
constexpr OpInfo make_op_info() {
  static_assert(std::is_copy_constructible_v<Op>, "an op is copied to the tape");
  static_assert(alignof(Op) <= 8, "instructions are aligned to 8 bytes");
  OpInfo info{};
  info.name = Op::name;
  info.attribute_bytes = std::is_empty_v<Op> ? 0 : sizeof(Op);
  info.constant = is_constant<Op>;
  info.aliases = is_alias<Op>;
  info.elementwise = is_elementwise<Op>;
#ifdef XGRAD_BUILDING_LIBRARY
  info.built_in = true;
#endif
  info.infer = [](const void* op, Operands x) { return static_cast<const Op*>(op)->infer(x); };
  info.eval = [](const void* op, Operands x, View y, Write write, [[maybe_unused]] void* workspace) {
    const auto& self = *static_cast<const Op*>(op);
    if constexpr (has_typed_eval<Op>) {
      // The result's element type, or operand 0's where that is not floating (labels, masks, indices).
      if ((is_floating(y.dtype) ? y.dtype : x[0].dtype) == DType::float32) {
        call_eval<float>(self, x, y, write, workspace);
      } else {
        call_eval<double>(self, x, y, write, workspace);
      }
    } else if constexpr (has_workspace<Op>) {
      self.eval(x, y, write, workspace);
    } else {
      self.eval(x, y, write);
    }
  };
  if constexpr (has_workspace<Op>) {
    info.workspace = [](const void* op, Operands x) { return static_cast<const Op*>(op)->workspace(x); };
  }
  if constexpr (has_vjp<Op>) {
    static_assert(!is_constant<Op>, "an op is constant or has a vjp, not both");
    info.vjp = [](const void* op, Backward& b) { static_cast<const Op*>(op)->vjp(b); };
    info.reads = Op::reads;
    for (const Reads reads : Op::reads) info.all_reads |= reads;
  }
  if constexpr (has_describe<Op>) {
    info.describe = [](const void* op, std::ostream& out) { static_cast<const Op*>(op)->describe(out); };
  }
  if constexpr (has_flops<Op>) {
    info.flops = [](const void* op, Operands x, const Shape& y) {
      return static_cast<const Op*>(op)->flops(x, y);
    };
  }
  if constexpr (!std::is_trivially_copyable_v<Op>) {
    info.copy = [](const void* op, void* place) { new (place) Op(*static_cast<const Op*>(op)); };
    info.destroy = [](void* op) noexcept { static_cast<Op*>(op)->~Op(); };
  }
  return info;
}

Var record(const OpInfo& info, const void* op, std::span<const Arg> x);

/// Calls user code with the pass set aside: its ops are executed and recorded as outside of a pass. Errors
/// call it `what` `name`, both of static storage.
void run_aside(const Var& anchor, const char* what, const char* name, void (*body)(void*), void* context);
template <class Body>
void run_aside(const Var& anchor, const char* what, const char* name, Body&& body) {
  run_aside(
      anchor, what, name, [](void* b) { (*static_cast<std::remove_reference_t<Body>*>(b))(); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace detail

/// The one OpInfo of an op.
template <class Op>
inline constexpr OpInfo op_info = detail::make_op_info<Op>();

/// Computes an op and records it: the way every op, the library's and the user's, enters a tape.
/// @throws StaleVar, TapeMismatch, and what the op's `infer` throws; nothing is recorded then, and no
/// argument is emptied.
template <class Op, class... X>
  requires(std::is_convertible_v<X, Arg> && ...)
Var apply(const Op& op, X&&... x) {
  const Arg args[] = {std::forward<X>(x)...};
  return detail::record(op_info<Op>, &op, args);
}

/// The same for any number of operands, at least one.
template <class Op>
Var apply_all(const Op& op, std::span<const Var> x) {
  const std::vector<Arg> args(x.begin(), x.end());
  return detail::record(op_info<Op>, &op, args);
}

}  // namespace xgrad
