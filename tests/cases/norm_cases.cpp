// Rows of the case table: normalisations.
#include "xgrad/ops/norm.hpp"

#include <cmath>

#include "tests/cases/op_cases.hpp"
#include "xgrad/ops/elementwise.hpp"

namespace xgrad::cases {
namespace {

using naive::Index;
using naive::Values;

double mean(const Values& v) { return naive::sum(v) / static_cast<double>(v.size()); }
double mean_square(const Values& v) {
  double sum = 0;
  for (double x : v) sum += x * x;
  return sum / static_cast<double>(v.size());
}
double variance(const Values& v) {
  double sum = 0;
  for (double x : v) sum += (x - mean(v)) * (x - mean(v));
  return sum / static_cast<double>(v.size());
}

/// (x - centre) / sqrt(square + eps) with statistics over some axes.
Array normalized(const Array& x, const Index& axes, double eps, bool centred = true) {
  const Array m = naive::fold(x, axes, true, mean);
  const Array s = naive::fold(x, axes, true, centred ? variance : mean_square);
  return naive::generate(naive::extents(x), [&](const Index& i) {
    return (naive::at(x, i) - (centred ? naive::at(m, i) : 0)) / std::sqrt(naive::at(s, i) + eps);
  });
}

/// x scale + shift for [C] operands of x [N, C, ...].
Array channels(const Array& x, const Arrays& operands) {
  return naive::generate(naive::extents(x), [&](const Index& i) {
    const double scale = operands.size() > 1 ? operands[1](i[1]) : 1;
    return naive::at(x, i) * scale + (operands.size() > 2 ? operands[2](i[1]) : 0);
  });
}

/// x scale + shift for operands that broadcast.
Array broadcasting(const Array& x, const Arrays& operands) {
  return naive::generate(naive::extents(x), [&](const Index& i) {
    const double scale = operands.size() > 1 ? naive::at(operands[1], i) : 1;
    return naive::at(x, i) * scale + (operands.size() > 2 ? naive::at(operands[2], i) : 0);
  });
}

Index all_but_channels(const Array& x) {
  Index axes{0};
  for (std::size_t d = 2; d < x.dimension(); ++d) axes.push_back(d);
  return axes;
}

Index last_axes(const Array& x, std::size_t count) {
  Index axes;
  for (std::size_t d = x.dimension() - count; d < x.dimension(); ++d) axes.push_back(d);
  return axes;
}

Array in_groups(const Array& x, std::size_t groups) {
  const Array grouped =
      naive::reshape(x, {x.shape(0), groups, x.size() / std::max<std::size_t>(1, x.shape(0) * groups)});
  return naive::reshape(normalized(grouped, {2}, 1e-5), naive::extents(x));
}

Var operand(Vars x, std::size_t k) { return k < x.size() ? x[k] : Var(); }

ErrorCase needs_floating(const char* name, const std::function<void(const Var&)>& call) {
  return fails_when<DTypeError>(
      [=](Tape& t) {
        call(ones(t, {2, 2}, DType::int64));
      },
      std::string(name) + ": operand 0 is int64, not floating");
}

}  // namespace

// By hand: clang-format spreads lambdas that hold braces over many lines.
// clang-format off
std::vector<OpCase> norm_cases() {
  return {
      {.name = "batch_norm",
       .f = [](Vars x) { return batch_norm(x[0], operand(x, 1), operand(x, 2)); },
       .reference = [](const Arrays& x) { return channels(normalized(x[0], all_but_channels(x[0]), 1e-5), x); },
       .sets = {{{4, 3}}, {{3, 2, 2}, {2}, {2}}, {{5, 3, 3, 4}, {3}, {3}}, {{2, 2, 30, 23}, {2}}, {{0, 2, 3}, {2}, {2}},
                {{3, 0, 2}, {0}, {0}}, {{23, 5}, {5}, {5}}},
       .errors = {fails<ShapeError>({{3}}, "batch_norm: x is [N, C, ...], not [3]"),
                  fails<ShapeError>({{2, 3}, {2}}, "batch_norm: scale [2] must be [3] for x [2, 3]"),
                  fails<ShapeError>({{2, 3}, {3}, {1}}, "batch_norm: shift [1] must be [3] for x [2, 3]"),
                  fails_when<DTypeError>([](Tape& t) { batch_norm(ones(t, {2, 2}, DType::int64)); },
                                         "normalize: operand 0 is int64, not floating")}},
      {.name = "batch_norm with given moments",
       .f = [](Vars x) { return batch_norm(x[0], operand(x, 3), operand(x, 4), Moments{x[1], x[2]}, 0.1); },
       .reference = [](const Arrays& x) {
         const Array y = naive::generate(naive::extents(x[0]), [&](const Index& i) {
           return (naive::at(x[0], i) - x[1](i[1])) / std::sqrt(x[2](i[1]) + 0.1);
         });
         return channels(y, x.size() > 3 ? Arrays{y, x[3], x[4]} : Arrays{y});
       },
       .sets = {{{4, 3}, {3}, {3}}, {{3, 2, 2, 3}, {2}, {2}, {2}, {2}}},
       .domains = {anything, anything, positive, anything},
       .errors = {fails<ShapeError>({{2, 3}, {3}, {2}}, "batch_norm: moments [2] must be [3] for x [2, 3]")}},
      {.name = "batch_moments",
       .f = [](Vars x) {
         const Moments m = batch_moments(x[0]);
         return m.mean + 3 * m.variance;
       },
       .reference = [](const Arrays& x) {
         const Index axes = all_but_channels(x[0]);
         return Array(naive::fold(x[0], axes, false, mean) + 3 * naive::fold(x[0], axes, false, variance));
       },
       .sets = {{{4, 3}}, {{5, 3, 3, 4}}, {{2, 2, 60, 123}}, {{3, 0, 2}}},
       .order = 0,
       .errors = {fails<ShapeError>({{3}}, "batch_moments: x is [N, C, ...], not [3]"),
                  needs_floating("batch_moments", batch_moments)}},
      {.name = "layer_norm",
       .f = [](Vars x) { return layer_norm(x[0], 1, operand(x, 1), operand(x, 2)); },
       .reference = [](const Arrays& x) { return broadcasting(normalized(x[0], last_axes(x[0], 1), 1e-5), x); },
       .sets = {{{5}}, {{3, 4}, {4}, {4}}, {{2, 3, 23}, {23}, {23}}, {{0, 3}, {3}, {3}}, {{2, 0}, {0}, {0}}, {{3, 1}}, {{2, 5000}}},
       .errors = {fails<ShapeError>({{}}, "layer_norm: 1 axes of x [] must be at least 1 and at most all"),
                  fails<ShapeError>({{2, 3}, {2}}, "layer_norm: scale [2] must be [3] for x [2, 3]"),
                  fails<ShapeError>({{2, 3}, {3}, {2, 3}}, "layer_norm: shift [2, 3] must be [3] for x [2, 3]"),
                  fails_when<ShapeError>([](Tape& t) { layer_norm(ones(t, {2}), 0); },
                                         "layer_norm: 0 axes of x [2] must be at least 1 and at most all")}},
      {.name = "layer_norm over several axes",
       .f = [](Vars x) { return layer_norm(x[0], 2, operand(x, 1), operand(x, 2), 0.2); },
       .reference = [](const Arrays& x) { return broadcasting(normalized(x[0], last_axes(x[0], 2), 0.2), x); },
       .sets = {{{2, 3}}, {{3, 2, 4}, {2, 4}, {2, 4}}}},
      {.name = "rms_norm",
       .f = [](Vars x) { return rms_norm(x[0], 1, operand(x, 1)); },
       .reference = [](const Arrays& x) { return broadcasting(normalized(x[0], last_axes(x[0], 1), 1e-5, false), x); },
       .sets = {{{5}}, {{3, 4}, {4}}, {{2, 3, 23}, {23}}, {{0, 3}, {3}}, {{2, 3, 2}, {2}}},
       .errors = {fails<ShapeError>({{}}, "rms_norm: 1 axes of x [] must be at least 1 and at most all"),
                  fails<ShapeError>({{2, 3}, {2}}, "rms_norm: scale [2] must be [3] for x [2, 3]")}},
      {.name = "rms_norm over several axes",
       .f = [](Vars x) { return rms_norm(x[0], 2, operand(x, 1), 0.2); },
       .reference = [](const Arrays& x) { return broadcasting(normalized(x[0], last_axes(x[0], 2), 0.2, false), x); },
       .sets = {{{2, 3}}, {{3, 2, 4}, {2, 4}}}},
      {.name = "group_norm",
       .f = [](Vars x) { return group_norm(x[0], 2, operand(x, 1), operand(x, 2)); },
       .reference = [](const Arrays& x) { return channels(in_groups(x[0], 2), x); },
       .sets = {{{2, 4}}, {{3, 4, 2}, {4}, {4}}, {{2, 6, 3, 5}, {6}, {6}}, {{0, 4, 2}, {4}, {4}}},
       .errors = {fails<ShapeError>({{2, 3}}, "group_norm: 3 channels of x [2, 3] do not make 2 groups"),
                  fails<ShapeError>({{2}}, "group_norm: x is [N, C, ...], not [2]"),
                  fails<ShapeError>({{2, 4}, {2}}, "group_norm: scale [2] must be [4] for x [2, 4]"),
                  fails_when<ShapeError>([](Tape& t) { group_norm(ones(t, {2, 2}), 0); },
                                         "group_norm: 2 channels of x [2, 2] do not make 0 groups")}},
  };
}

}  // namespace xgrad::cases
