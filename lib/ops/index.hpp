// Index tensors: reading and checking them, and ops whose indices are known to be in range.
#pragma once

#include <cstdint>
#include <optional>

#include "xgrad/tape/var.hpp"
#include "xgrad/tensor/view.hpp"

namespace xgrad::detail {

/// An int32 or int64 tensor, read as int64.
class Indices {
 public:
  explicit Indices(const ConstView& v)
      : wide_(v.dtype == DType::int64 ? v.as<std::int64_t>() : nullptr),
        narrow_(v.dtype == DType::int32 ? v.as<std::int32_t>() : nullptr) {}
  std::int64_t operator[](std::int64_t i) const { return wide_ ? wide_[i] : narrow_[i]; }

 private:
  const std::int64_t* wide_;
  const std::int32_t* narrow_;
};

/// @throws DTypeError unless the dtype is int32 or int64.
void require_index_dtype(const char* op, DType dtype);
/// @throws ShapeError when an element is outside [0, extent) and not `ignored`.
void require_in_range(const char* op, const Var& index, std::int64_t extent,
                      std::optional<std::int64_t> ignored = {});
/// `gather` with indices that are known to be in range, along an axis counted from the front.
Var gather_in_range(const Var& x, int axis, const Var& index);
/// `one_hot` for labels that are known to be in range or `ignored`; the rows of those are zero.
Var one_hot(const Var& labels, std::int64_t classes, DType dtype, std::optional<std::int64_t> ignored);

}  // namespace xgrad::detail
