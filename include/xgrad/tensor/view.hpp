// View and ConstView: borrowed tensors, contiguous and row-major, without ownership.
#pragma once

#include <cassert>

#include "xgrad/tensor/dtype.hpp"
#include "xgrad/tensor/shape.hpp"

namespace xgrad {

/// The dtype and the shape of a tensor: what is known before its values are computed.
struct TensorType {
  DType dtype = DType::float32;
  Shape shape;
  friend bool operator==(const TensorType&, const TensorType&) = default;
};

/// `float32 [50, 784]`
std::ostream& operator<<(std::ostream& out, const TensorType& type);

/// A tensor to read, owned elsewhere.
struct ConstView {
  const void* data = nullptr;
  DType dtype = DType::float32;
  const Shape* extents = nullptr;

  const Shape& shape() const { return *extents; }
  std::int64_t size() const { return extents->size(); }
  template <class T>
  const T* as() const {
    assert(dtype == dtype_of<T>);
    return static_cast<const T*>(data);
  }
};

/// A tensor to write, owned elsewhere.
struct View {
  void* data = nullptr;
  DType dtype = DType::float32;
  const Shape* extents = nullptr;

  const Shape& shape() const { return *extents; }
  std::int64_t size() const { return extents->size(); }
  template <class T>
  T* as() const {
    assert(dtype == dtype_of<T>);
    return static_cast<T*>(data);
  }
  operator ConstView() const { return {data, dtype, extents}; }
};

/// What a kernel does with its result: overwrite the destination, or add to it (BLAS beta).
enum class Write : std::uint8_t { assign, accumulate };

/// Writes one element of a result in that way.
template <class T>
void store(T& to, T value, Write write) {
  to = write == Write::assign ? value : static_cast<T>(to + value);
}

}  // namespace xgrad
