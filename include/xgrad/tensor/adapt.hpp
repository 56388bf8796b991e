// Borrowed tensors as xtensor adaptors, and xtensor expressions written into borrowed memory.
#pragma once

#include "xgrad/support/error.hpp"
#include "xgrad/support/text.hpp"
#include "xgrad/tensor/view.hpp"
#include "xgrad/tensor/xtensor.hpp"

namespace xgrad {

namespace detail {
inline xt::dynamic_shape<std::size_t> xt_shape(const Shape& shape) {
  return xt::dynamic_shape<std::size_t>(shape.begin(), shape.end());
}
}  // namespace detail

/// A read-only xtensor adaptor over borrowed memory of element type T.
template <class T>
auto adapt(const ConstView& v) {
  return xt::adapt(v.as<T>(), static_cast<std::size_t>(v.size()), xt::no_ownership(),
                   detail::xt_shape(v.shape()));
}

/// A writable xtensor adaptor over borrowed memory of element type T.
template <class T>
auto adapt(const View& v) {
  return xt::adapt(v.as<T>(), static_cast<std::size_t>(v.size()), xt::no_ownership(),
                   detail::xt_shape(v.shape()));
}

/// The shape of an xtensor expression.
template <class E>
Shape shape_of(const xt::xexpression<E>& expression) {
  Shape shape;
  for (auto extent : expression.derived_cast().shape()) shape.push_back(static_cast<std::int64_t>(extent));
  return shape;
}

/// Writes an xtensor expression to memory of the same shape and element type.
template <class E>
void store(const xt::xexpression<E>& expression, const View& out) {
  auto target = adapt<typename E::value_type>(out);
  xt::noalias(target) = expression.derived_cast();
}

}  // namespace xgrad
