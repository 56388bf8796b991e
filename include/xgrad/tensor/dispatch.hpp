// From a dtype to the C++ type of its elements.
#pragma once

#include <cstdint>

#include "xgrad/tensor/dtype.hpp"

namespace xgrad::detail {

/// Calls f.operator()<T>() with the element type of a floating dtype, and returns what it returns.
template <class F>
decltype(auto) dispatch_floating(DType dtype, F&& f) {
  if (dtype == DType::float32) return f.template operator()<float>();
  return f.template operator()<double>();
}

/// The same for any dtype.
template <class F>
decltype(auto) dispatch_all(DType dtype, F&& f) {
  switch (dtype) {
    case DType::float32:
      return f.template operator()<float>();
    case DType::float64:
      return f.template operator()<double>();
    case DType::int32:
      return f.template operator()<std::int32_t>();
    case DType::int64:
      return f.template operator()<std::int64_t>();
    case DType::uint8:
      return f.template operator()<std::uint8_t>();
    case DType::boolean:
      break;
  }
  return f.template operator()<bool>();
}

}  // namespace xgrad::detail
