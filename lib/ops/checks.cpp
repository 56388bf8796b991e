// The errors that the checks of operands throw.
#include "xgrad/ops/checks.hpp"

#include "xgrad/support/error.hpp"
#include "xgrad/support/text.hpp"

namespace xgrad {

void detail::throw_dtypes_differ(const char* op, Operands x) {
  std::size_t i = 0;
  while (x[i].dtype == x[0].dtype) ++i;
  throw DTypeError(text(op, ": dtypes differ, ", x[0].dtype, " and ", x[i].dtype));
}

void detail::throw_not_floating(const char* op, Operands x) {
  for (std::size_t i = 0;; ++i) {
    if (!is_floating(x[i].dtype))
      throw DTypeError(text(op, ": operand ", i, " is ", x[i].dtype, ", not floating"));
    if (x[i].dtype != x[0].dtype) throw_dtypes_differ(op, x);
  }
}

void detail::throw_no_broadcast(const char* op, const Shape& x, const Shape& y) {
  throw ShapeError(text(op, ": shapes ", x, " and ", y, " do not broadcast"));
}

}  // namespace xgrad
