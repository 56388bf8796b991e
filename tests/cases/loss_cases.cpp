#include "xgrad/ops/loss.hpp"

#include <cmath>

#include "tests/cases/op_cases.hpp"

namespace xgrad::cases {
namespace {

/// The mean over rows of -sum(t log(p)).
double cross_entropy(const Array& p, const std::function<double(std::size_t row, std::size_t column)>& t) {
  double sum = 0;
  for (std::size_t r = 0; r < p.shape(0); ++r) {
    for (std::size_t c = 0; c < p.shape(1); ++c) sum -= t(r, c) * std::log(p(r, c));
  }
  return sum / static_cast<double>(p.shape(0));
}

Array with_targets(const Array& p, const Array& t) {
  return Array(cross_entropy(p, [&](std::size_t r, std::size_t c) { return t(r, c); }));
}

Array with_labels(const Array& p) {
  return Array(cross_entropy(p, [&](std::size_t r, std::size_t c) {
    return naive::label(r, static_cast<std::int64_t>(p.shape(1))) == static_cast<std::int64_t>(c) ? 1 : 0;
  }));
}

Array softmax(const Array& logits) { return naive::along(logits, 1, naive::softmax); }

Var row_labels(const Var& x) { return labels(x.tape(), {x.shape()[0]}, x.shape()[1]); }

const std::vector<Shapes> one_operand = {{{4, 5}}, {{1, 1}}, {{3, 23}}, {{50, 10}}};
const std::vector<Shapes> two_operands = {
    {{3, 4}, {3, 4}}, {{1, 1}, {1, 1}}, {{3, 23}, {3, 23}}, {{50, 10}, {50, 10}}};

std::vector<ErrorCase> target_errors(const std::string& name, Var (*f)(const Var&, const Var&)) {
  const auto with_dtype = [f](const Shape& x, const Shape& t, DType dtype) {
    return [=](Tape& tape) { f(ones(tape, x), ones(tape, t, dtype)); };
  };
  return {
      fails<ShapeError>({{3, 1}, {3}}, name + ": targets [3] and [3, 1] must have the same shape"),
      fails<ShapeError>({{3, 2}, {1, 2}}, name + ": targets [1, 2] and [3, 2] must have the same shape"),
      fails<ShapeError>({{3}, {3}}, name + ": rows of classes expected, not [3]"),
      fails<ShapeError>({{0, 3}, {0, 3}}, name + ": no rows or no classes in [0, 3]"),
      fails<ShapeError>({{3, 0}, {3, 0}}, name + ": no rows or no classes in [3, 0]"),
      fails_when<DTypeError>(with_dtype({3, 2}, {3, 2}, DType::float32),
                             name + ": targets are float32, not float64 or integer labels"),
      fails_when<ShapeError>(with_dtype({3, 2}, {4}, DType::int64),
                             name + ": 3 labels expected for [3, 2], not [4]"),
      fails_when<ShapeError>(with_dtype({3, 2}, {3, 1}, DType::int32),
                             name + ": 3 labels expected for [3, 2], not [3, 1]"),
      fails_when<ShapeError>(with_dtype({3, 1}, {3}, DType::int64),
                             name + ": index 1 at position 0 is outside 0 to 0"),
      fails_when<DTypeError>(with_dtype({3, 2}, {3}, DType::uint8),
                             name + ": indices are uint8, not int64 or int32"),
      fails_when<DTypeError>(
          [f, shape = Shape{3, 2}](Tape& t) { f(ones(t, shape, DType::int32), ones(t, shape)); },
          name + ": operand 0 is int32, not floating"),
  };
}

}  // namespace

std::vector<OpCase> loss_cases() {
  return {
      {.name = "categorical_cross_entropy",
       .f = [](Vars x) { return categorical_cross_entropy(x[0], x[1]); },
       .reference = [](const Arrays& x) { return with_targets(x[0], x[1]); },
       .sets = two_operands,
       .domains = {{0.1, 0.9}, anything},
       .errors = target_errors("categorical_cross_entropy", categorical_cross_entropy)},
      {.name = "categorical_cross_entropy of targets that are zero or one",
       .f = [](Vars x) { return categorical_cross_entropy(x[0], x[1]); },
       .reference = [](const Arrays& x) { return with_targets(x[0], x[1]); },
       .sets = two_operands,
       .domains = {{0.1, 0.9}, {0, 1, {}, 1}}},
      {.name = "categorical_cross_entropy of labels",
       .f = [](Vars x) { return categorical_cross_entropy(x[0], row_labels(x[0])); },
       .reference = [](const Arrays& x) { return with_labels(x[0]); },
       .sets = one_operand,
       .domains = {{0.1, 0.9}}},
      {.name = "softmax_cross_entropy",
       .f = [](Vars x) { return softmax_cross_entropy(x[0], x[1]); },
       .reference = [](const Arrays& x) { return with_targets(softmax(x[0]), x[1]); },
       .sets = two_operands,
       .domains = {anything, anything},
       .errors = target_errors("softmax_cross_entropy", softmax_cross_entropy)},
      {.name = "softmax_cross_entropy of targets that are zero or one",
       .f = [](Vars x) { return softmax_cross_entropy(x[0], x[1]); },
       .reference = [](const Arrays& x) { return with_targets(softmax(x[0]), x[1]); },
       .sets = two_operands,
       .domains = {anything, {0, 1, {}, 1}}},
      {.name = "softmax_cross_entropy of labels",
       .f = [](Vars x) { return softmax_cross_entropy(x[0], row_labels(x[0])); },
       .reference = [](const Arrays& x) { return with_labels(softmax(x[0])); },
       .sets = one_operand},
      {.name = "l2_penalty",
       .f = [](Vars x) { return l2_penalty(x[0], 0.3); },
       .reference =
           [](const Arrays& x) { return Array(0.3 * naive::fold(x[0] * x[0], {}, false, naive::sum)); },
       .sets = {{{4, 5}}, {{}}, {{0}}, {{50, 10}}}},
  };
}

}  // namespace xgrad::cases
