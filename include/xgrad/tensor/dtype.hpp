// The element types of tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>

namespace xgrad {

/// The type of a tensor's elements. Derivatives exist for the floating types; the others hold labels,
/// indices and masks.
enum class DType : std::uint8_t { float32, float64, int32, int64, uint8, boolean };

/// `float32`, `int64`, ...
const char* name(DType dtype);

/// Bytes per element.
constexpr std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::float32:
    case DType::int32:
      return 4;
    case DType::float64:
    case DType::int64:
      return 8;
    default:
      return 1;
  }
}

constexpr bool is_floating(DType dtype) { return dtype == DType::float32 || dtype == DType::float64; }
constexpr bool is_integer(DType dtype) {
  return dtype == DType::int32 || dtype == DType::int64 || dtype == DType::uint8;
}

std::ostream& operator<<(std::ostream& out, DType dtype);

namespace detail {
template <class T>
struct DTypeOf;  // no dtype for this element type: use float, double, int32_t, int64_t, uint8_t or bool
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::float32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::float64;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::int32;
};
template <>
struct DTypeOf<std::int64_t> {
  static constexpr DType value = DType::int64;
};
template <>
struct DTypeOf<std::uint8_t> {
  static constexpr DType value = DType::uint8;
};
template <>
struct DTypeOf<bool> {
  static constexpr DType value = DType::boolean;
};
}  // namespace detail

/// The dtype of C++ elements of type T.
template <class T>
inline constexpr DType dtype_of = detail::DTypeOf<T>::value;

}  // namespace xgrad
