// Rows at kinks and ties, where there are no finite differences: their gradient is the documented convention.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "tests/cases/op_cases.hpp"
#include "xgrad/ops/activation.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/loss.hpp"
#include "xgrad/ops/reduce.hpp"

namespace xgrad::cases {
namespace {

using naive::Index;
using naive::Values;

const Domain zero{0, 0};
const std::vector<Shapes> broadcasting{{{}, {}}, {{40}, {40}}, {{5}, {8, 5}}, {{8, 5}, {5}}};

/// A function of one number, of which x are whole ones, with its slope.
OpCase kink(const char* name, Var (*f)(Arg), double (*reference)(double), double (*slope)(double)) {
  OpCase row = without_errors(unary(name, f, reference, whole));
  row.order = 1;
  row.elementwise = false;
  row.gradient = [slope](const Arrays& x, const Array& u) { return Arrays{u * naive::map(x[0], slope)}; };
  return row;
}

/// The sum over the outer axes that the operand does not have.
Array sum_to(const Array& x, const Array& operand) {
  if (x.dimension() == operand.dimension()) return x;
  Index outer(x.dimension() - operand.dimension());
  std::iota(outer.begin(), outer.end(), std::size_t{0});
  return naive::fold(x, outer, false, naive::sum);
}

/// One of two numbers, with the slope in each.
OpCase kink(const char* name, Var (*f)(Arg, Arg), double (*reference)(double, double),
            double (*slope)(double, double), const Domain& domain,
            std::vector<Shapes> sets = {{{}, {}}, {{40}, {40}}}) {
  OpCase row = without_errors(binary(name, f, reference, {domain}));
  row.order = 1;
  row.elementwise = false;
  row.sets = std::move(sets);
  row.gradient = [slope](const Arrays& x, const Array& u) {
    const Array first = u * naive::map(x[0], x[1], slope), second = u * naive::map(x[1], x[0], slope);
    return Arrays{sum_to(first, x[0]), sum_to(second, x[1])};
  };
  return row;
}

/// A reduction of values that tie: slope(v, result, count) is that in a value v of which there are `count`.
OpCase ties(const std::string& name, Var (*f)(const Var&, const Axes&, bool),
            double (*reference)(const Values&), double (*slope)(double, double, double), const Axes& axes,
            const Index& naive_axes, bool keepdims, const std::vector<Shapes>& sets,
            const Domain& domain = whole) {
  return {.name = name,
          .f = [=](Vars x) { return f(x[0], axes, keepdims); },
          .reference = [=](const Arrays& x) { return naive::fold(x[0], naive_axes, keepdims, reference); },
          .sets = sets,
          .domains = {domain},
          .order = 1,
          .gradient =
              [=](const Arrays& x, const Array& u) {
                const Array y = naive::fold(x[0], naive_axes, true, reference);
                const Array matches = naive::generate(naive::extents(x[0]), [&](const Index& i) {
                  return std::abs(naive::at(x[0], i)) == std::abs(naive::at(y, i)) ? 1 : 0;
                });
                const Array count = naive::fold(matches, naive_axes, true, naive::sum);
                const Array cotangent = naive::reshape(u, naive::extents(y));
                return Arrays{naive::generate(naive::extents(x[0]), [&](const Index& i) {
                  return naive::at(cotangent, i) *
                         slope(naive::at(x[0], i), naive::at(y, i), naive::at(count, i));
                })};
              }};
}

void add_ties(std::vector<OpCase>& rows, const std::string& name, Var (*f)(const Var&, const Axes&, bool),
              double (*reference)(const Values&)) {
  const auto share = [](double v, double y, double count) { return v == y ? 1 / count : 0; };
  const auto row = [&](const Axes& axes, const Index& naive_axes, bool keepdims,
                       const std::vector<Shapes>& sets) {
    // Whole numbers above zero: what ties in size ties.
    rows.push_back(
        ties(name + " of ties", f, reference, share, axes, naive_axes, keepdims, sets, {1, 3, {}, 1}));
  };
  row({}, {}, false, {{{20}}, {{5, 4}}, {{3, 1, 7}}});
  row(-1, {1}, false, {{{4, 5}}, {{40, 23}}});
  row(0, {0}, true, {{{4, 5}}, {{40, 23}}});
  row(1, {1}, false, {{{2, 3, 4}}});
  row({0, -1}, {0, 2}, true, {{{2, 3, 4}}});
}

double none(double, double, double) { return 0; }
double sign_of(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }
double exp_below(double x) { return x > 0 ? 1 : std::exp(x); }
double elu_of(double x) { return x > 0 ? x : std::exp(x) - 1; }
constexpr double kSeluScale = 1.0507009873554805, kSeluSlope = kSeluScale * 1.6732632423543772;

}  // namespace

// By hand: clang-format spreads lambdas that hold braces over many lines.
// clang-format off
std::vector<OpCase> kink_cases() {
  std::vector<OpCase> rows = {
      kink("abs at 0", abs, std::abs, sign_of),
      kink("relu at 0", relu, [](double x) { return std::max(x, 0.0); }, [](double x) { return x > 0 ? 1.0 : 0.0; }),
      kink("leaky_relu at 0", [](Arg x) { return leaky_relu(x, 0.25); },
           [](double x) { return std::max(x, 0.25 * x); }, [](double x) { return x > 0 ? 1 : 0.25; }),
      kink("elu at 0", [](Arg x) { return elu(x, 0.5); }, [](double x) { return x > 0 ? x : 0.5 * elu_of(x); },
           [](double x) { return x > 0 ? 1 : 0.5 * exp_below(x); }),
      kink("selu at 0", selu, [](double x) { return x > 0 ? kSeluScale * x : kSeluSlope * elu_of(x); },
           [](double x) { return x >= 0 ? kSeluScale : kSeluSlope * exp_below(x); }),
      kink("clamp at the limits", [](Arg x) { return clamp(x, -1, 1); },
           [](double x) { return std::clamp(x, -1.0, 1.0); }, [](double x) { return std::abs(x) <= 1 ? 1.0 : 0.0; }),
      kink("maximum of ties", maximum, [](double x, double y) { return std::max(x, y); },
           [](double x, double y) { return x > y ? 1 : x < y ? 0 : 0.5; }, whole, broadcasting),
      kink("minimum of ties", minimum, [](double x, double y) { return std::min(x, y); },
           [](double x, double y) { return x < y ? 1 : x > y ? 0 : 0.5; }, whole, broadcasting),
      kink("hypot of zeros", hypot, [](double x, double y) { return std::hypot(x, y); }, [](double, double) { return 0.0; }, zero),
      kink("atan2 of zeros", atan2, [](double y, double x) { return std::atan2(y, x); }, [](double, double) { return 0.0; }, zero),
      kink("mae of equal values", [](Arg x, Arg y) { return mae(x, y, Reduction::none); },
           [](double x, double y) { return std::abs(x - y); }, [](double x, double y) { return sign_of(x - y); }, whole),
      ties("std of equal values", [](const Var& x, const Axes& a, bool k) { return xgrad::std(x, a, k); },
           [](const Values&) { return 0.0; }, none, 1, {1}, false, {{{3, 4}}, {{2, 1}}}, {2, 2}),
      ties("norm of zeros", [](const Var& x, const Axes& a, bool k) { return norm(x, 2, a, k); },
           [](const Values&) { return 0.0; }, none, 1, {1}, false, {{{3, 4}}}, zero),
      ties("norm of zeros of order 1", [](const Var& x, const Axes& a, bool k) { return norm(x, 1, a, k); },
           [](const Values&) { return 0.0; }, none, 1, {1}, false, {{{3, 4}}}, zero),
      ties("norm of zeros of order 1.5", [](const Var& x, const Axes& a, bool k) { return norm(x, 1.5, a, k); },
           [](const Values&) { return 0.0; }, none, 1, {1}, false, {{{3, 4}}}, zero),
      ties("norm of infinite order of ties",
           [](const Var& x, const Axes& a, bool k) { return norm(x, INFINITY, a, k); },
           [](const Values& v) { return naive::norm(v, INFINITY); },
           [](double v, double y, double count) { return std::abs(v) == y ? sign_of(v) / count : 0; }, 1, {1}, false,
           {{{4, 6}}, {{3, 30}}}),
  };
  add_ties(rows, "max", max, naive::max);
  add_ties(rows, "min", min, naive::min);
  return rows;
}

}  // namespace xgrad::cases
