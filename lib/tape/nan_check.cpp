// detect_nan: which instruction was the first to make a value or a cotangent that is not finite; and scopes,
// which say where it was recorded.
#include <algorithm>
#include <cmath>
#include <optional>

#include "lib/tape/state.hpp"

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
  if (v.dtype == DType::float32) return find_bad<float>(v, check);
  if (v.dtype == DType::float64) return find_bad<double>(v, check);
  return std::nullopt;
}

std::string element(const ConstView& v, std::int64_t i) {
  const double value = v.dtype == DType::float32 ? static_cast<double>(v.as<float>()[i]) : v.as<double>()[i];
  return text(std::isnan(value) ? "nan" : text(value), " at element ", i, " of ", v.shape());
}

}  // namespace

void TapeState::check_result(const Instruction& instruction, const ConstView& result) const {
  const auto bad = first_bad(result, nan_check);
  if (!bad) return;
  std::string from = "its operands are finite";
  for (std::size_t k = 0; k < instruction.input_count; ++k) {
    const ConstView operand = view(slots[instruction.inputs[k]]);
    if (const auto i = first_bad(operand, NanCheck::non_finite)) {
      from = text("its operand ", k, " has ", element(operand, *i));
      break;
    }
  }
  if (!differentiated) {
    throw NonFinite(text("detect_nan: ", describe(instruction), " has ", element(result, *bad), "; ", from));
  }
  throw NonFinite(text("detect_nan: the derivative of ", describe(*differentiated), " has ",
                       element(result, *bad), ", made by ", instruction.op->name, "; ", from));
}

void TapeState::check_sum(const ConstView& sum) const {
  const auto bad = first_bad(sum, nan_check);
  if (!bad) return;
  throw NonFinite(
      text("detect_nan: a sum of cotangents has ", element(sum, *bad),
           differentiated ? text(", made by the derivative of ", describe(*differentiated)) : ""));
}

void ScopeLog::enter(std::string_view name, std::uint32_t next_id) {
  std::uint32_t scope = 1;
  while (scope < names_.size() && !(names_[scope].outer == current_ && names_[scope].name == name)) ++scope;
  if (scope == names_.size()) names_.push_back({current_, std::string(name)});
  change(scope, next_id);
}

void ScopeLog::leave(std::uint32_t next_id) { change(names_[current_].outer, next_id); }

void ScopeLog::restart() {
  changes_.clear();
  change(current_, 0);
}

void ScopeLog::change(std::uint32_t scope, std::uint32_t next_id) {
  current_ = scope;
  if (!changes_.empty() && changes_.back().id == next_id) {
    changes_.back().scope = scope;
  } else {
    changes_.push_back({next_id, scope});
  }
}

std::string ScopeLog::path_at(std::uint32_t id) const {
  auto change = std::upper_bound(changes_.begin(), changes_.end(), id,
                                 [](std::uint32_t value, const Change& c) { return value < c.id; });
  std::string path;
  for (std::uint32_t at = change == changes_.begin() ? 0 : (--change)->scope; at; at = names_[at].outer) {
    if (!path.empty()) path.insert(0, 1, '/');
    path.insert(0, names_[at].name);
  }
  return path;
}

}  // namespace xgrad::detail
