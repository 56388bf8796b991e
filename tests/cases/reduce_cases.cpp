#include "xgrad/ops/reduce.hpp"

#include <cmath>

#include "tests/cases/op_cases.hpp"
#include "xgrad/ops/softmax.hpp"

namespace xgrad::cases {
namespace {

using naive::Values;

const std::vector<Shapes> matrices = {{{4, 5}}, {{1, 1}}, {{40, 23}}, {{3, 70}}},
                          cubes = {{{2, 3, 4}}, {{1, 3, 1}}, {{3, 5, 37}}, {{9, 130, 2}}};

/// A reduction in five rows: over everything, over inner, outer and separate axes, and keeping axes.
void add_reduction(std::vector<OpCase>& rows, const std::string& name,
                   Var (*f)(const Var&, const Axes&, bool), double (*reference)(const Values&),
                   const Domain& domain = anything) {
  const auto row = [&](const char* what, const std::vector<Shapes>& sets, const Axes& axes,
                       naive::Index naive_axes, bool keepdims) -> OpCase& {
    rows.push_back(
        {.name = name + what,
         .f = [=](Vars x) { return f(x[0], axes, keepdims); },
         .reference = [=](const Arrays& x) { return naive::fold(x[0], naive_axes, keepdims, reference); },
         .sets = sets,
         .domains = {domain}});
    return rows.back();
  };
  row("", {{{20}}, {{}}, {{812}}, {{5, 4}}, {{3, 1, 70}}}, {}, {}, false).errors = {
      fails_when<DTypeError>([f](Tape& t) { f(ones(t, {2}, DType::boolean), {}, false); },
                             name + ": operand 0 is bool, not floating")};
  row(" over the inner axis", matrices, -1, {1}, false).errors = {
      fails<ShapeError>({{}}, name + ": axis -1 is out of range for rank 0")};
  row(" over the outer axis, kept", matrices, 0, {0}, true);
  row(" over a middle axis", cubes, 1, {1}, false);
  const auto twice = [f](Tape& t) { f(ones(t, {2, 3}), Axes{0, -2}, false); };
  row(" over two axes apart, kept", cubes, {0, -1}, {0, 2}, true).errors = {
      fails_when<ShapeError>(twice, name + ": axis -2 is named twice")};
}

void add_softmax(std::vector<OpCase>& rows, const std::string& name, Var (*f)(const Var&, int),
                 Values (*reference)(const Values&)) {
  const auto row = [&](const char* what, const std::vector<Shapes>& sets, int axis, std::size_t naive_axis) {
    rows.push_back({.name = name + what,
                    .f = [=](Vars x) { return f(x[0], axis); },
                    .reference = [=](const Arrays& x) { return naive::along(x[0], naive_axis, reference); },
                    .sets = sets,
                    .errors = {fails<ShapeError>(
                        {{}}, name + ": axis " + std::to_string(axis) + " is out of range for rank 0")}});
  };
  row("", {{{4, 5}}, {{1, 1}}, {{0, 3}}, {{3, 0}}, {{5, 23}}, {{2, 812}}}, -1, 1);
  row(" of the outer axis", matrices, 0, 0);
  row(" of a middle axis", cubes, 1, 1);
}

Values log_softmax_of(const Values& v) {
  Values result = naive::softmax(v);
  for (double& x : result) x = std::log(x);
  return result;
}

}  // namespace

std::vector<OpCase> reduce_cases() {
  std::vector<OpCase> rows;
  add_reduction(rows, "sum", sum, naive::sum);
  add_reduction(rows, "mean", mean,
                [](const Values& v) { return naive::sum(v) / static_cast<double>(v.size()); });
  add_reduction(rows, "max", max, naive::max, distinct);
  add_reduction(rows, "logsumexp", logsumexp, naive::logsumexp);
  // By hand: clang-format spreads lambdas that hold braces over many lines.
  // clang-format off
  rows.push_back({.name = "sum of nothing",
                  .f = [](Vars x) { return sum(x[0], 1); },
                  .reference = [](const Arrays& x) { return naive::fold(x[0], {1}, false, naive::sum); },
                  .sets = {{{3, 0}}, {{0, 3}}, {{2, 0, 3}}}});
  rows.push_back(
      {.name = "sum_to",
       .f = [](Vars x) { return sum_to(x[0], {3, 1, 2}); },
       .reference = [](const Arrays& x) { return naive::fold(x[0], {1}, true, naive::sum); },
       .sets = {{{3, 4, 2}}, {{3, 1, 2}}, {{3, 0, 2}}, {{3, 30, 2}}},
       .errors = {fails<ShapeError>({{3, 4, 3}}, "sum_to: [3, 1, 2] does not broadcast to [3, 4, 3]"),
                  fails<ShapeError>({{2}}, "sum_to: [3, 1, 2] does not broadcast to [2]")}});
  rows.push_back({.name = "sum_to fewer axes",
                  .f = [](Vars x) { return sum_to(x[0], {3}); },
                  .reference = [](const Arrays& x) { return naive::fold(x[0], {0, 1}, false, naive::sum); },
                  .sets = {{{2, 4, 3}}, {{0, 4, 3}}}});
  rows.push_back({.name = "sum_to fewer axes and shorter ones",
                  .f = [](Vars x) { return sum_to(x[0], {1, 2}); },
                  .reference = [](const Arrays& x) {
                    return naive::reshape(naive::fold(x[0], {0, 1}, false, naive::sum), {1, 2});
                  },
                  .sets = {{{2, 3, 2}}, {{5, 30, 2}}}});
  // clang-format on
  add_softmax(rows, "softmax", softmax, naive::softmax);
  add_softmax(rows, "log_softmax", log_softmax, log_softmax_of);
  return rows;
}

}  // namespace xgrad::cases
