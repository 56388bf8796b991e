// Rows of the case table: sorting, argmax, topk.
#include "xgrad/ops/order.hpp"

#include <algorithm>
#include <numeric>

#include "tests/cases/op_cases.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/index.hpp"

namespace xgrad::cases {
namespace {

using naive::Index;
using naive::Values;

/// The places of the first `count` values in order, of equal ones in the order they stand in.
Values ordered_places(const Values& v, bool descending, std::size_t count) {
  Values places(v.size());
  std::iota(places.begin(), places.end(), 0);
  std::stable_sort(places.begin(), places.end(), [&](double i, double j) {
    const double a = v[static_cast<std::size_t>(i)], b = v[static_cast<std::size_t>(j)];
    return descending ? a > b : a < b;
  });
  places.resize(count);
  return places;
}

Values ordered(const Values& v, bool descending, std::size_t count) {
  Values result = ordered_places(v, descending, count);
  for (double& place : result) place = v[static_cast<std::size_t>(place)];
  return result;
}

/// The first place of the best value.
double best_place(const Values& v, bool largest) { return ordered_places(v, largest, 1)[0]; }

/// An op that works line by line along an axis.
OpCase lines(const char* name, TensorFunction f, std::size_t axis,
             const std::function<Values(const Values&)>& of, const std::vector<Shapes>& sets,
             const Domain& domain = distinct) {
  return {.name = name,
          .f = std::move(f),
          .reference = [=](const Arrays& x) { return naive::along(x[0], axis, of); },
          .sets = sets,
          .domains = {domain}};
}

/// Takes slices along an axis by fixed labels of a shape of their own.
OpCase take_case(const char* name, Var (*f)(const Var&, const Var&), std::size_t axis, const Shape& index,
                 const std::vector<Shapes>& sets) {
  return {
      .name = name,
      .f = [=](Vars x) { return f(x[0], labels(x[0].tape(), index, x[0].shape()[static_cast<int>(axis)])); },
      .reference =
          [=](const Arrays& x) {
            const auto at = static_cast<std::ptrdiff_t>(axis);
            Index shape = naive::extents(x[0]);
            const auto extent = static_cast<std::int64_t>(shape[axis]);
            shape.erase(shape.begin() + at);
            shape.insert(shape.begin() + at, index.begin(), index.end());
            return naive::generate(shape, [&](Index i) {
              std::size_t k = 0;
              for (int d = 0; d < index.rank(); ++d) {
                k = k * static_cast<std::size_t>(index[d]) + i[axis + static_cast<std::size_t>(d)];
              }
              i.erase(i.begin() + at, i.begin() + at + index.rank());
              i.insert(i.begin() + at, static_cast<std::size_t>(naive::label(k, extent)));
              return naive::at(x[0], i);
            });
          },
      .sets = sets};
}

/// Where a value is above half its operand's range.
Var mask_of(const Var& x) { return greater(x, x.tape().constant(0.5, x.dtype())); }

}  // namespace

// By hand: clang-format spreads lambdas that hold braces over many lines.
// clang-format off
std::vector<OpCase> order_cases() {
  const std::vector<Shapes> vectors = {{{7}}, {{1}}, {{23}}}, matrices = {{{4, 5}}, {{3, 70}}, {{1, 1}}, {{0, 3}}},
                            cubes = {{{2, 3, 4}}, {{1, 3, 1}}, {{3, 9, 20}}, {{0, 3, 2}}};
  const auto whole_fold = [](bool largest, bool keepdims) {
    return [=](const Arrays& x) {
      return naive::fold(x[0], {}, keepdims, [=](const Values& v) { return best_place(v, largest); });
    };
  };
  return {
      {.name = "argmax",
       .f = [](Vars x) { return argmax(x[0]); },
       .reference = whole_fold(true, false),
       .sets = {{{}}, {{7}}, {{4, 5}}, {{2, 3, 40}}},
       .domains = {whole},
       .order = 0,
       .errors = {fails<ShapeError>({{2, 0}}, "argmax: [0] has no elements to reduce")}},
      {.name = "argmin",
       .f = [](Vars x) { return argmin(x[0], {}, true); },
       .reference = whole_fold(false, true),
       .sets = {{{}}, {{7}}, {{4, 5}}, {{2, 3, 40}}},
       .domains = {whole},
       .order = 0,
       .errors = {fails<ShapeError>({{0}}, "argmin: [0] has no elements to reduce")}},
      with_errors(constant(lines("argmax of a middle axis, kept", [](Vars x) { return argmax(x[0], 1, true); }, 1,
                                 [](const Values& v) { return Values{best_place(v, true)}; }, cubes, whole)),
                  {fails<ShapeError>({{2}}, "argmax: axis 1 is out of range for rank 1"),
                   fails<ShapeError>({{2, 0}}, "argmax: [2, 0] has no elements to reduce")}),
      constant(lines("argmin of the inner axis", [](Vars x) { return argmin(x[0], -1, true); }, 1,
                     [](const Values& v) { return Values{best_place(v, false)}; }, matrices, whole)),
      with_errors(constant(lines("argsort", [](Vars x) { return argsort(x[0]); }, 0,
                                 [](const Values& v) { return ordered_places(v, false, v.size()); },
                                 {{{7}}, {{0}}, {{200}}}, whole)),
                  {fails<ShapeError>({{}}, "argsort: axis -1 is out of range for rank 0")}),
      constant(lines("argsort of a middle axis, descending", [](Vars x) { return argsort(x[0], 1, true); }, 1,
                     [](const Values& v) { return ordered_places(v, true, v.size()); }, cubes, whole)),
      with_errors(lines("sort", [](Vars x) { return sort(x[0]); }, 1,
                        [](const Values& v) { return ordered(v, false, v.size()); }, matrices),
                  {fails<ShapeError>({{}}, "sort: axis -1 is out of range for rank 0")}),
      lines("sort a middle axis, descending", [](Vars x) { return sort(x[0], 1, true); }, 1,
            [](const Values& v) { return ordered(v, true, v.size()); }, cubes),
      with_errors(lines("topk", [](Vars x) { return topk(x[0], 1).values; }, 0,
                        [](const Values& v) { return ordered(v, true, 1); }, vectors),
                  {fails<ShapeError>({{2, 0}}, "topk: k = 1 is not in [0, 0]"),
                   fails_when<ShapeError>([](Tape& t) { topk(ones(t, {3}), -1); }, "topk: k = -1 is not in [0, 3]"),
                   fails<ShapeError>({{}}, "topk: axis -1 is out of range for rank 0")}),
      lines("topk smallest of a middle axis", [](Vars x) { return topk(x[0], 3, 1, false).values; }, 1,
            [](const Values& v) { return ordered(v, false, 3); }, cubes),
      constant(lines("topk indices", [](Vars x) { return topk(x[0], 2, 0).indices; }, 0,
                     [](const Values& v) { return ordered_places(v, true, 2); },
                     {{{7}}, {{2, 3}}, {{50, 3}}}, whole)),

      with_errors(
          take_case("take", [](const Var& x, const Var& index) { return take(x, index, 0); }, 0, {4},
                    {{{3}}, {{4}}, {{5, 2}}, {{2, 0}}, {{40, 23}}}),
          {fails_when<ShapeError>([](Tape& t) { take(ones(t, {1}), ones(t, {2}, DType::int32), 0); },
                                  "take: index 1 at position 0 is outside 0 to 0"),
           fails_when<ShapeError>([](Tape& t) { take(ones(t, {}), ones(t, {2}, DType::int32), 0); },
                                  "take: axis 0 is out of range for rank 0"),
           fails_when<DTypeError>([](Tape& t) { take(ones(t, {2}), ones(t, {2}), 0); },
                                  "take: indices are float64, not int64 or int32")}),
      take_case("take matrices of the inner axis", [](const Var& x, const Var& index) { return take(x, index, -1); }, 1,
                {2, 3}, {{{2, 4}}, {{0, 3}}, {{3, 1}}}),
      take_case("take one slice of a middle axis", [](const Var& x, const Var& index) { return take(x, index, 1); }, 1,
                {}, {{{2, 3, 4}}, {{1, 1, 1}}}),
      take_case("take nothing", [](const Var& x, const Var& index) { return take(x, index, 1); }, 1, {0, 2},
                {{{2, 3, 4}}, {{2, 1}}}),
      with_errors(
          take_case("embedding", embedding, 0, {3, 2}, {{{5, 4}}, {{7}}, {{2, 3, 4}}}),
          {fails_when<ShapeError>([](Tape& t) { embedding(ones(t, {1, 3}), ones(t, {2}, DType::int64)); },
                                  "embedding: index 1 at position 0 is outside 0 to 0"),
           fails_when<ShapeError>([](Tape& t) { embedding(ones(t, {}), ones(t, {2}, DType::int64)); },
                                  "embedding: axis 0 is out of range for rank 0")}),
      {.name = "masked_fill",
       .f = [](Vars x) { return masked_fill(x[0], mask_of(x[1]), 3); },
       .reference = [](const Arrays& x) {
         return naive::generate(naive::extents(x[0]), [&](const Index& i) {
           return naive::at(x[1], i) > 0.5 ? 3 : naive::at(x[0], i);
         });
       },
       .sets = {{{}, {}}, {{7}, {7}}, {{3, 4}, {4}}, {{3, 4}, {3, 1}}, {{0, 2}, {2}}},
       .domains = {anything, {-2, 2, {0.5}}},
       .errors = {fails<ShapeError>({{3}, {2, 3}}, "masked_fill: mask [2, 3] does not broadcast to [3]"),
                  fails_when<DTypeError>([](Tape& t) { masked_fill(ones(t, {2}), ones(t, {2}), 0); },
                                         "masked_fill: the mask is float64, not bool"),
                  fails_when<DTypeError>([](Tape& t) { masked_fill(ones(t, {2}, DType::int64), ones(t, {2}), 0); },
                                         "masked_fill: operand 0 is int64, not floating")}},
  };
}

}  // namespace xgrad::cases
