// What ops and functions ask of their operands when they are recorded: dtypes and shapes. `op` is the name
// that errors bear.
#pragma once

#include <concepts>

#include "xgrad/tape/op.hpp"
#include "xgrad/tape/var.hpp"
#include "xgrad/tensor/shape.hpp"
#include "xgrad/tensor/view.hpp"

namespace xgrad {

namespace detail {
[[noreturn]] void throw_dtypes_differ(const char* op, Operands x);
[[noreturn]] void throw_not_floating(const char* op, Operands x);
[[noreturn]] void throw_no_broadcast(const char* op, const Shape& x, const Shape& y);
}  // namespace detail

/// The dtype that all operands have. @throws DTypeError when they differ.
inline DType require_one_dtype(const char* op, Operands x) {
  for (const ConstView& v : x) {
    if (v.dtype != x[0].dtype) detail::throw_dtypes_differ(op, x);
  }
  return x[0].dtype;
}

/// The same, which must be a floating one. @throws DTypeError
inline DType require_floating(const char* op, Operands x) {
  const DType dtype = x[0].dtype;
  bool one = is_floating(dtype);
  for (const ConstView& v : x) one = one && v.dtype == dtype;
  if (!one) detail::throw_not_floating(op, x);
  return dtype;
}

/// The same for the operands of a function that is made of several ops.
template <std::same_as<Var>... X>
DType require_floating(const char* op, const X&... x) {
  const ConstView types[] = {{nullptr, x.dtype(), &x.shape()}...};
  return require_floating(op, Operands(types));
}

/// The shape that two operands broadcast to. @throws ShapeError
inline Shape broadcast_shape(const char* op, const Shape& x, const Shape& y) {
  if (x == y) return x;
  const Broadcast b = broadcast(x, y);
  if (!b.ok) detail::throw_no_broadcast(op, x, y);
  return b.shape;
}

}  // namespace xgrad
