// Parameter: a trainable tensor.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "xgrad/tape/var.hpp"
#include "xgrad/tensor/adapt.hpp"

namespace xgrad {

namespace detail {
struct ParameterState;
}

/// A trainable tensor: owns value, gradient, version and name, and outlives every tape. It enters a tape
/// with `tape.leaf(p)`; `backward` adds to its gradient; optimisers write its value.
///
/// A Parameter is moved, not copied, so that no two layers share weights by accident: `share()` makes a
/// second handle of the same parameter, `clone()` a new one of equal value.
class Parameter {
 public:
  /// Holds nothing; only assignment makes use of it.
  Parameter() = default;
  /// All zeros.
  Parameter(TensorType type, std::string name = {});
  /// A copy of an xtensor container or expression of float or double.
  template <class E>
  explicit Parameter(const xt::xexpression<E>& value, std::string name = {})
      : Parameter(TensorType{dtype_of<typename E::value_type>, shape_of(value)}, std::move(name)) {
    store(value, value_view());
  }
  Parameter(Parameter&&) noexcept = default;
  Parameter& operator=(Parameter&&) noexcept = default;
  Parameter(const Parameter&) = delete;
  Parameter& operator=(const Parameter&) = delete;

  Parameter share() const;
  Parameter clone() const;

  /// Whether both are handles of one parameter.
  bool is(const Parameter& other) const { return state_ == other.state_; }
  const std::string& name() const;
  void set_name(std::string name);
  const Shape& shape() const;
  DType dtype() const;
  std::int64_t size() const { return shape().size(); }
  /// Grows by one with every write to the value.
  std::uint64_t version() const;

  template <class T>
  auto value() const {
    return adapt<T>(checked<T>(view()));
  }
  /// The value to be written in place; counts as a write.
  template <class T>
  auto mutable_value() {
    (void)checked<T>(view());
    return adapt<T>(value_view());
  }
  /// Overwrites the value. @throws ShapeError, DTypeError when it does not fit.
  template <class E>
  void assign(const xt::xexpression<E>& value) {
    const Shape given = shape_of(value);
    if (given != shape())
      throw ShapeError(detail::text("assign: value ", given, " to parameter ", name(), ' ', shape()));
    // A copy, for the expression may read this value.
    // NOLINTNEXTLINE(performance-unnecessary-copy-initialization)
    const xt::xarray<typename E::value_type> held = value.derived_cast();
    (void)checked<typename E::value_type>(view());  // what fails is not a write
    store(held, value_view());
  }

  /// Whether a backward has reached it since the last zero_grad.
  bool has_grad() const;
  /// The sum of the gradients since the last zero_grad. @throws Error when there is none.
  template <class T>
  auto grad() const {
    return adapt<T>(checked<T>(grad_view()));
  }
  /// Clears the gradient and keeps its memory for the next one.
  void zero_grad();

  /// The same as views, for optimisers and kernels. `value_view` counts as a write.
  ConstView view() const;
  View value_view();
  View grad_view() const;
  /// Whether the value and the gradient of `next` lie behind this one's in the same memory, with nothing but
  /// padding between; see `pack`.
  bool precedes(const Parameter& next) const;

 private:
  friend struct detail::Access;
  explicit Parameter(std::shared_ptr<detail::ParameterState> state) : state_(std::move(state)) {}
  detail::ParameterState& state() const;
  template <class T, class V>
  const V& checked(const V& v) const {
    if (v.dtype != dtype_of<T>) {
      throw DTypeError(detail::text("parameter ", name(), ": ", v.dtype, " accessed as ", dtype_of<T>));
    }
    return v;
  }

  std::shared_ptr<detail::ParameterState> state_;
};

/// Moves the values of parameters into one block of memory and their gradients into another, in their order
/// and each on a boundary of 64 bytes; float32 and float64 apart. They stay parameters like all others: the
/// blocks live as long as one of them does, a clone has memory of its own, to be packed again is to be moved
/// again. Views of them taken before end here. @throws Error inside a backward pass.
void pack(std::span<Parameter> parameters);

}  // namespace xgrad
