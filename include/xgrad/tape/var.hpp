// Var: the handle of a value on a tape.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <type_traits>
#include <utility>

#include "xgrad/support/error.hpp"
#include "xgrad/support/text.hpp"
#include "xgrad/tensor/adapt.hpp"
#include "xgrad/tensor/dtype.hpp"
#include "xgrad/tensor/shape.hpp"
#include "xgrad/tensor/view.hpp"

namespace xgrad {

class Tape;

namespace detail {
struct TapeCore;
struct Access;
void retain(TapeCore* core, std::uint32_t slot) noexcept;
void release(TapeCore* core, std::uint32_t slot) noexcept;
}  // namespace detail

/// Names a value of a tape: tape, slot and generation, 16 bytes. Copies name the same value and are counted,
/// so the value stays readable for as long as one of them lives, even after backward has consumed the
/// recording it belongs to. A Var that outlives its tape is harmless, and says so when used.
class Var {
 public:
  /// Names nothing; only assignment makes use of it.
  Var() noexcept = default;
  Var(const Var& other) noexcept : core_(other.core_), slot_(other.slot_), generation_(other.generation_) {
    if (core_) detail::retain(core_, slot_);
  }
  Var(Var&& other) noexcept
      : core_(std::exchange(other.core_, nullptr)), slot_(other.slot_), generation_(other.generation_) {}
  Var& operator=(Var other) noexcept {
    std::swap(core_, other.core_);
    std::swap(slot_, other.slot_);
    std::swap(generation_, other.generation_);
    return *this;
  }
  ~Var() {
    if (core_) detail::release(core_, slot_);
  }

  /// Whether it names a value at all.
  bool defined() const noexcept { return core_ != nullptr; }
  /// A tensor has no truth: `if (x > y)` would ask whether the Var names a value. Ask `defined()`, or read
  /// the element with `item<bool>()`.
  explicit operator bool() const = delete;
  /// @throws StaleVar when the tape has ended or this names nothing; so do all functions below.
  const Shape& shape() const&;
  Shape shape() const&& { return static_cast<const Var&>(*this).shape(); }
  DType dtype() const;
  int rank() const { return shape().rank(); }
  std::int64_t size() const { return shape().size(); }
  Tape& tape() const;
  /// Whether a derivative can flow through it: it depends on an input or a parameter.
  bool requires_grad() const;

  /// The value as a read-only xtensor adaptor that borrows it: valid while this Var or a copy lives.
  /// @throws DTypeError when T is not the element type.
  template <class T>
  auto value() const& {
    return adapt<T>(typed_view<T>());
  }
  template <class T>
  auto value() const&& = delete;  // the view would dangle: keep the Var, or use array<T>()

  /// The value copied into a container of its own.
  template <class T>
  xt::xarray<T> array() const {
    return adapt<T>(typed_view<T>());
  }
  /// The one element of a tensor of size 1. @throws ShapeError otherwise, DTypeError for another T.
  template <class T>
  T item() const {
    const ConstView v = typed_view<T>();
    if (v.size() != 1)
      throw ShapeError(detail::text("item: shape ", v.shape(), " does not have one element"));
    return *v.as<T>();
  }
  /// The value as kernels see it, valid while this Var or a copy lives.
  ConstView view() const&;
  ConstView view() const&& = delete;  // it would dangle, as value() would

 private:
  friend struct detail::Access;
  template <class T>
  ConstView typed_view() const {
    const ConstView v = view();
    if (v.dtype != dtype_of<T>) {
      throw DTypeError(detail::text("value: a ", v.dtype, " tensor read as ", dtype_of<T>));
    }
    return v;
  }

  detail::TapeCore* core_ = nullptr;
  std::uint32_t slot_ = 0;
  std::uint32_t generation_ = 0;
};

static_assert(sizeof(Var) == 16);

/// An argument of an op: a Var, or a donated one (a temporary, or std::move). A donated Var names nothing
/// once the op is computed, and an elementwise op computes into its memory when nothing else needs it.
class Arg {
 public:
  Arg(const Var& v) : var_(&v) {}
  Arg(Var&& v) : var_(&v), donated_(&v) {}
  const Var& operator*() const { return *var_; }
  operator const Var&() const { return *var_; }
  bool is_donated() const { return donated_ != nullptr; }
  /// The value, moved when it is donated.
  Var take() const {
    if (donated_) return std::move(*donated_);
    return *var_;
  }
  /// Empties a donated argument.
  void release() const {
    if (donated_) *donated_ = Var();
  }

 private:
  const Var* var_;
  Var* donated_ = nullptr;
};

/// Writes the value as NumPy does, `[[1, 2], [3, 4]]`; the middle of long axes is left out.
std::ostream& operator<<(std::ostream& out, const Var& v);

}  // namespace xgrad
