// detect_nan: names the first call whose result or cotangent is not finite.
#include "lib/tape/nan_check.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>

#include "xgrad/tensor/dispatch.hpp"

namespace xgrad::detail {
namespace {

/// The first element that is NaN or, where that counts, infinite.
template <class T>
std::optional<std::int64_t> find_bad(const ConstView& v, NanCheck check) {
  const T* p = v.as<T>();
  const auto bad = [check](T x) { return check == NanCheck::nan ? std::isnan(x) : !std::isfinite(x); };
  const T* found = std::find_if(p, p + v.size(), bad);
  return found == p + v.size() ? std::nullopt : std::optional(found - p);
}

std::optional<std::int64_t> first_bad(const ConstView& v, NanCheck check) {
  if (!is_floating(v.dtype)) return std::nullopt;
  return dispatch_floating(v.dtype, [&]<class T>() { return find_bad<T>(v, check); });
}

std::string element(const ConstView& v, std::int64_t i) {
  const double value =
      dispatch_floating(v.dtype, [&]<class T>() { return static_cast<double>(v.as<T>()[i]); });
  return text(std::isnan(value) ? "nan" : text(value), " at element ", i, " of ", v.shape());
}

}  // namespace

void NanObserver::after(const Call& call, Operands x, const View& y, Write) {
  const auto bad = first_bad(y, check_);
  if (!bad) return;
  const std::string what = element(y, *bad);
  if (call.op->name == std::string_view("accumulate") && x.size() == 1) {
    throw NonFinite(text(
        "detect_nan: a sum of cotangents has ", what,
        call.derivative_of ? text(", made by the derivative of ", core_.describe(*call.derivative_of)) : ""));
  }
  std::string from = "its operands are finite";
  for (std::size_t k = 0; k < x.size(); ++k) {
    if (const auto i = first_bad(x[k], NanCheck::non_finite)) {
      from = text("its operand ", k, " has ", element(x[k], *i));
      break;
    }
  }
  if (!call.derivative_of) {
    throw NonFinite(text("detect_nan: ", core_.describe(call), " has ", what, "; ", from));
  }
  throw NonFinite(text("detect_nan: the derivative of ", core_.describe(*call.derivative_of), " has ", what,
                       ", made by ", call.op->name, "; ", from));
}

}  // namespace xgrad::detail
