// Shape, its text, and broadcasting.
#include "xgrad/tensor/shape.hpp"

#include <ostream>

#include "xgrad/support/error.hpp"
#include "xgrad/support/text.hpp"
#include "xgrad/tensor/view.hpp"

namespace xgrad {

Shape::Shape(std::span<const std::int64_t> extents) {
  for (std::int64_t extent : extents) {
    if (extent < 0) throw ShapeError(detail::text("shape: extent ", extent, " is negative"));
    push_back(extent);
  }
}

void Shape::push_back(std::int64_t extent) {
  if (rank_ == kMaxRank) throw ShapeError(detail::text("shape: more than ", kMaxRank, " axes"));
  extents_[static_cast<std::size_t>(rank_++)] = extent;
}

std::string Shape::text() const { return detail::text(*this); }

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '[';
  for (int i = 0; i < shape.rank(); ++i) out << (i ? ", " : "") << shape[i];
  return out << ']';
}

std::ostream& operator<<(std::ostream& out, const TensorType& type) {
  return out << type.dtype << ' ' << type.shape;
}

Broadcast broadcast(const Shape& a, const Shape& b) {
  const Shape& longer = a.rank() >= b.rank() ? a : b;
  const Shape& shorter = a.rank() >= b.rank() ? b : a;
  Broadcast result{longer, true};
  const int offset = longer.rank() - shorter.rank();
  for (int i = 0; i < shorter.rank(); ++i) {
    const std::int64_t m = longer[offset + i], n = shorter[i];
    if (m == 1) {
      result.shape.set(offset + i, n);
    } else if (n != 1 && n != m) {
      result.ok = false;
    }
  }
  return result;
}

bool broadcasts_to(const Shape& from, const Shape& to) {
  const Broadcast b = broadcast(from, to);
  return b.ok && b.shape == to;
}

int normalize_axis(const char* op, int axis, int rank) {
  if (axis < -rank || axis >= rank) {
    throw ShapeError(detail::text(op, ": axis ", axis, " is out of range for rank ", rank));
  }
  return axis < 0 ? axis + rank : axis;
}

}  // namespace xgrad
