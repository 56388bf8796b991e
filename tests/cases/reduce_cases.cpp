// Rows of the case table: reductions.
#include "xgrad/ops/reduce.hpp"

#include <cmath>
#include <functional>
#include <limits>

#include "tests/cases/op_cases.hpp"
#include "xgrad/ops/cumulative.hpp"
#include "xgrad/ops/softmax.hpp"

namespace xgrad::cases {
namespace {

using naive::Values;
constexpr double kInf = std::numeric_limits<double>::infinity();

const std::vector<Shapes> matrices = {{{4, 5}}, {{1, 1}}, {{40, 23}}, {{3, 70}}},
                          cubes = {{{2, 3, 4}}, {{1, 3, 1}}, {{3, 5, 37}}, {{9, 130, 2}}};

/// A reduction in six rows: over everything, over inner, outer and separate axes, and keeping axes.
void add_reduction(std::vector<OpCase>& rows, const std::string& name,
                   Var (*f)(const Var&, const Axes&, bool), double (*reference)(const Values&),
                   const Domain& domain = anything) {
  const std::string op = name.substr(0, name.find(' '));
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
                             op + ": operand 0 is bool, not floating")};
  row(" over the inner axis", matrices, -1, {1}, false).errors = {
      fails<ShapeError>({{}}, op + ": axis -1 is out of range for rank 0")};
  row(" over the outer axis, kept", matrices, 0, {0}, true);
  row(" over a middle axis", cubes, 1, {1}, false);
  row(" over everything, kept", cubes, {}, {}, true);
  const auto twice = [f](Tape& t) { f(ones(t, {2, 3}), Axes{0, -2}, false); };
  row(" over two axes apart, kept", cubes, {0, -1}, {0, 2}, true).errors = {
      fails_when<ShapeError>(twice, op + ": axis -2 is named twice")};
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

void add_cumulative(std::vector<OpCase>& rows, const std::string& name, Var (*f)(const Var&, int),
                    const std::function<double(double, double)>& step, const Domain& domain) {
  const auto row = [&](const char* what, const std::vector<Shapes>& sets, int axis, std::size_t naive_axis) {
    const auto running = [=](const Values& v) {
      Values result;
      for (double x : v) result.push_back(result.empty() ? x : step(result.back(), x));
      return result;
    };
    rows.push_back({.name = name + what,
                    .f = [=](Vars x) { return f(x[0], axis); },
                    .reference = [=](const Arrays& x) { return naive::along(x[0], naive_axis, running); },
                    .sets = sets,
                    .domains = {domain},
                    .errors = {fails<ShapeError>({{}}, name + ": axis " + std::to_string(axis) +
                                                           " is out of range for rank 0"),
                               fails_when<DTypeError>(
                                   [=](Tape& t) {
                                     f(ones(t, {2, 2}, DType::int32), axis);
                                   },
                                   name + ": operand 0 is int32, not floating")}});
  };
  row("", {{{1}}, {{7}}, {{0}}, {{23}}}, 0, 0);
  row(" along the inner axis", {{{4, 6}}, {{2, 0}}, {{0, 2}}}, -1, 1);
  row(" along a middle axis", {{{2, 3, 4}}, {{2, 5, 37}}}, 1, 1);
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
  add_reduction(rows, "min", min, naive::min, distinct);
  add_reduction(rows, "prod", prod, naive::product, {0.95, 1.05});
  add_reduction(
      rows, "var", [](const Var& x, const Axes& a, bool k) { return var(x, a, k); }, naive::variance);
  add_reduction(
      rows, "std", [](const Var& x, const Axes& a, bool k) { return xgrad::std(x, a, k); },
      [](const Values& v) { return std::sqrt(naive::variance(v)); });
  add_reduction(
      rows, "norm", [](const Var& x, const Axes& a, bool k) { return norm(x, 2, a, k); },
      [](const Values& v) { return naive::norm(v, 2); }, nonzero);
  add_reduction(
      rows, "norm of order 1", [](const Var& x, const Axes& a, bool k) { return norm(x, 1, a, k); },
      [](const Values& v) { return naive::norm(v, 1); }, nonzero);
  add_reduction(
      rows, "norm of order 3.5", [](const Var& x, const Axes& a, bool k) { return norm(x, 3.5, a, k); },
      [](const Values& v) { return naive::norm(v, 3.5); }, nonzero);
  add_reduction(
      rows, "norm of infinite order", [](const Var& x, const Axes& a, bool k) { return norm(x, kInf, a, k); },
      [](const Values& v) { return naive::norm(v, kInf); }, {0.02, 0, {}, 0, true});
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
  rows.push_back({.name = "var with a correction",
                  .f = [](Vars x) { return var(x[0], 1, false, 1); },
                  .reference = [](const Arrays& x) {
                    return naive::fold(x[0], {1}, false, [](const Values& v) {
                      const auto n = static_cast<double>(v.size());
                      return naive::variance(v) * n / (n - 1);
                    });
                  },
                  .sets = {{{3, 5}}, {{2, 2}}}});
  rows.push_back({.name = "prod with zeros among the factors",
                  .f = [](Vars x) { return prod(x[0], 1); },
                  .reference = [](const Arrays& x) { return naive::fold(x[0], {1}, false, naive::product); },
                  .sets = {{{6, 3}}, {{9, 4}}, {{4, 3, 5}}, {{3, 0}}},
                  .domains = {whole},
                  .errors = {fails_when<DTypeError>([](Tape& t) { prod(ones(t, {2}, DType::int64)); },
                                                    "prod: operand 0 is int64, not floating")}});
  rows.push_back({.name = "norm of nothing",
                  .f = [](Vars x) { return norm(x[0]); },
                  .reference = [](const Arrays& x) { return naive::fold(x[0], {}, false, naive::sum); },
                  .sets = {{{0}}, {{2, 0}}},
                  .errors = {fails_when<Error>([](Tape& t) { norm(ones(t, {2}), 0); },
                                               "norm: ord = 0 is not positive"),
                             fails_when<ShapeError>([](Tape& t) { norm(ones(t, {0}), kInf); },
                                                    "norm: [0] has no elements to reduce")}});
  for (const Domain& domain : {anything, whole}) {
    add_cumulative(rows, "cumsum", cumsum, std::plus<>(), domain);
    add_cumulative(rows, "cumprod", cumprod, std::multiplies<>(), domain);
  }
  // clang-format on
  add_softmax(rows, "softmax", softmax, naive::softmax);
  add_softmax(rows, "log_softmax", log_softmax, log_softmax_of);
  return rows;
}

}  // namespace xgrad::cases
