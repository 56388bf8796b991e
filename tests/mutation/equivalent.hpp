// Faults that no test can notice, because they change no derivative, each with the reason.
#pragma once

#include <algorithm>
#include <iterator>
#include <string_view>

namespace xgrad::mutation {

struct Equivalent {
  std::string_view op, what;  // the op whose vjp it is, and the op that this has recorded
  int number;
  std::string_view fault, reason;
};

inline constexpr std::string_view kMinusZero = "what goes in front is 0",
                                  kUnused = "the factor in front multiplies nothing, and is a constant",
                                  kShared = "the count of those that tie has the sign too",
                                  kZeroDividend = "the diagonal is 0 / 0, which is 0 by xdivy",
                                  kSmallEps =
                                      "eps = 1e-5 is too small to be seen; rows with a larger one see it";

inline constexpr Equivalent kEquivalent[] = {
    {"atan2", "hypot", 0, "negated", "the radius divides twice"},
    {"cumprod", "broadcast_to", 0, "negated", kMinusZero},
    {"cumprod", "concat", 2, "its first operand alone", kUnused},
    {"linear_recurrence", "broadcast_to", 0, "negated", kMinusZero},
    {"linear_recurrence", "broadcast_to", 4, "negated", kMinusZero},
    {"linear_recurrence", "concat", 2, "its first operand alone", kUnused},
    {"linear_recurrence", "concat", 2, "its second operand alone", kUnused},
    {"linear_recurrence", "concat", 6, "its first operand alone", kUnused},
    {"linear_recurrence", "concat", 6, "its second operand alone", kUnused},
    {"max", "where", 1, "negated", kShared},
    {"max", "where", 3, "negated", kShared},
    {"min", "where", 1, "negated", kShared},
    {"min", "where", 3, "negated", kShared},
    {"softmax_cross_entropy_grad", "multiply_no_nan", 7, "its first operand alone",
     "the probabilities that a label stands for add up to 1"},
    {"eigh", "add", 10, "its first operand alone", kZeroDividend},
    {"svd", "add", 18, "its first operand alone", kZeroDividend},
};

/// The fault's entry, or the list's end.
inline const Equivalent* find_equivalent(std::string_view op, std::string_view what, int number,
                                         std::string_view fault) {
  return std::find_if(std::begin(kEquivalent), std::end(kEquivalent), [&](const Equivalent& e) {
    return e.op == op && e.what == what && e.number == number && e.fault == fault;
  });
}

}  // namespace xgrad::mutation
