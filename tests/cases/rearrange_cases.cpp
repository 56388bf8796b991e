// Rows of the case table: ops that move elements.
#include "xgrad/ops/rearrange.hpp"

#include <algorithm>

#include "tests/cases/op_cases.hpp"
#include "xgrad/ops/diagonal.hpp"
#include "xgrad/ops/shape.hpp"

namespace xgrad::cases {
namespace {

using naive::Index;

/// y[i] = x[from(i, x's extents)], where y's extents are shape(x's extents); or `rest` where from gives
/// nothing.
using ShapeRule = std::function<Index(Index)>;
using PlaceRule = std::function<Index(Index, const Index&)>;
OpCase moved(const char* name, TensorFunction f, const ShapeRule& shape, const PlaceRule& from,
             const std::vector<Shapes>& sets, std::vector<ErrorCase> errors = {}, double rest = 0) {
  const auto reference = [=](const Arrays& x) {
    const Index extents = naive::extents(x[0]);
    return naive::generate(shape(extents), [&](const Index& i) {
      const Index place = from(i, extents);
      return place.empty() && !extents.empty() ? rest : naive::at(x[0], place);
    });
  };
  return {.name = name, .f = std::move(f), .reference = reference, .sets = sets, .errors = std::move(errors)};
}

OpCase reshaped(const char* name, TensorFunction f, const ShapeRule& shape, const std::vector<Shapes>& sets,
                std::vector<ErrorCase> errors = {}) {
  return {.name = name,
          .f = std::move(f),
          .reference = [=](const Arrays& x) { return naive::reshape(x[0], shape(naive::extents(x[0]))); },
          .sets = sets,
          .errors = std::move(errors)};
}

Index same(Index shape) { return shape; }

/// The place along one axis of extent n that a padded place is taken from.
std::size_t mirrored(std::ptrdiff_t place, std::ptrdiff_t n) {
  while (place < 0 || place >= n) place = place < 0 ? -place : 2 * (n - 1) - place;
  return static_cast<std::size_t>(place);
}

/// Whether an element of a matrix stands where `keep` says for its row and column.
OpCase triangle(const char* name, Var (*f)(const Var&, int), int k,
                bool (*keep)(std::ptrdiff_t, std::ptrdiff_t)) {
  const auto from = [=](Index i, const Index&) {
    const auto row = static_cast<std::ptrdiff_t>(i[i.size() - 2]),
               column = static_cast<std::ptrdiff_t>(i.back());
    return keep(row, column) ? i : Index();
  };
  return moved(name, [=](Vars x) { return f(x[0], k); }, same, from,
               {{{4, 4}}, {{3, 5}}, {{5, 2}}, {{2, 3, 3}}, {{0, 2}}, {{2, 0}}},
               {fails<ShapeError>({{3}}, std::string(name, 4) + ": [3] has fewer than two axes"),
                fails_when<DTypeError>(
                    [=](Tape& t) {
                      f(ones(t, {2, 2}, DType::int32), k);
                    },
                    std::string(name, 4) + ": operand 0 is int32, not floating")});
}

// By hand: clang-format spreads lambdas that hold braces over many lines.
// clang-format off

std::vector<OpCase> axis_cases() {
  return {
      {.name = "permute",
       .f = [](Vars x) { return permute(x[0], {1, -1, 0}); },
       .reference = [](const Arrays& x) { return naive::transpose(x[0], {1, 2, 0}); },
       .sets = {{{2, 3, 4}}, {{1, 0, 3}}}},
      {.name = "swapaxes",
       .f = [](Vars x) { return swapaxes(x[0], 0, -1); },
       .reference = [](const Arrays& x) {
         Index axes = naive::reversed_axes(x[0]);
         if (axes.size() == 3) axes = {2, 1, 0};
         return naive::transpose(x[0], axes);
       },
       .sets = {{{5}}, {{2, 3}}, {{2, 3, 4}}, {{0, 3}}},
       .errors = {fails<ShapeError>({{}}, "swapaxes: axis 0 is out of range for rank 0")}},
      reshaped("flatten", [](Vars x) { return flatten(x[0]); },
               [](const Index& s) { Index n{1}; for (std::size_t e : s) n[0] *= e; return n; },
               {{{}}, {{5}}, {{2, 3, 4}}, {{0, 3}}}),
      reshaped("flatten some axes", [](Vars x) { return flatten(x[0], 1, -2); },
               [](const Index& s) { return Index{s[0], s[1] * s[2], s[3]}; },
               {{{2, 3, 4, 5}}, {{1, 0, 3, 2}}},
               {fails<ShapeError>({{2, 3}}, "flatten: axis 1 comes after axis -2"),
                fails<ShapeError>({{2}}, "flatten: axis 1 is out of range for rank 1")}),
      reshaped("squeeze", [](Vars x) { return squeeze(x[0]); },
               [](Index s) { std::erase(s, 1u); return s; }, {{{}}, {{1, 3, 1}}, {{2, 3}}, {{1}}, {{0, 1}}}),
      reshaped("squeeze some axes", [](Vars x) { return squeeze(x[0], {0, -1}); },
               [](const Index& s) { return Index(s.begin() + 1, s.end() - 1); }, {{{1, 1, 1}}, {{1, 4, 1}}},
               {fails<ShapeError>({{1, 2}}, "squeeze: axis 1 of [1, 2] does not have extent 1"),
                fails_when<ShapeError>([](Tape& t) { squeeze(ones(t, {1, 1}), {1, -1}); },
                                       "squeeze: axis -1 is named twice")}),
      reshaped("expand_dims", [](Vars x) { return expand_dims(x[0], 0); },
               [](Index s) { s.insert(s.begin(), 1); return s; }, {{{}}, {{3}}, {{2, 0}}},
               {fails_when<ShapeError>([](Tape& t) { expand_dims(ones(t, {2}), 2); },
                                       "expand_dims: axis 2 is out of range for rank 2"),
                fails<ShapeError>({{1, 1, 1, 1, 1, 1, 1, 1}}, "shape: more than 8 axes")}),
      reshaped("expand_dims behind", [](Vars x) { return expand_dims(x[0], -1); },
               [](Index s) { s.push_back(1); return s; }, {{{}}, {{2, 3}}}),
  };
}

std::vector<OpCase> joining_cases() {
  const auto stacked = [](const Arrays& x, std::size_t axis) {
    Index shape = naive::extents(x[0]);
    shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(axis), x.size());
    return naive::generate(shape, [&](Index i) {
      const Array& part = x[i[axis]];
      i.erase(i.begin() + static_cast<std::ptrdiff_t>(axis));
      return naive::at(part, i);
    });
  };
  return {
      {.name = "stack",
       .f = [](Vars x) { return stack(x); },
       .reference = [=](const Arrays& x) { return stacked(x, 0); },
       .sets = {{{}}, {{}, {}}, {{3}, {3}, {3}}, {{2, 0}, {2, 0}}, Shapes(10, {2, 3})},
       .errors = {fails<ShapeError>({}, "stack: no operands"),
                  fails<ShapeError>({{2}, {2}, {3}}, "stack: shapes of operands 0 and 2 differ, [2] and [3]"),
                  fails_when<ShapeError>([](Tape& t) { stack({ones(t, {2})}, 2); },
                                         "stack: axis 2 is out of range for rank 2")}},
      {.name = "stack along the inner axis",
       .f = [](Vars x) { return stack(x, -1); },
       .reference = [=](const Arrays& x) { return stacked(x, x[0].dimension()); },
       .sets = {{{}, {}}, {{2, 3}, {2, 3}}}},
      moved("split", [](Vars x) { const auto p = split(x[0], 2); return concat({p[1], p[0]}); }, same,
            [](Index i, const Index& s) { i[0] = (i[0] + s[0] / 2) % s[0]; return i; },
            {{{4}}, {{2, 3}}, {{0, 2}}},
            {fails_when<ShapeError>([](Tape& t) { split(ones(t, {2, 5}), 3, 1); },
                                    "split: extent 5 of axis 1 is not 3 equal parts"),
             fails_when<ShapeError>([](Tape& t) { split(ones(t, {2}), 0); },
                                    "split: extent 2 of axis 0 is not 0 equal parts"),
             fails<ShapeError>({{}}, "split: axis 0 is out of range for rank 0")}),
      moved("split in sizes",
            [](Vars x) { const auto p = split(x[0], {1, 0, 3}, -1); return concat({p[2], p[1], p[0]}, -1); }, same,
            [](Index i, const Index&) { i.back() = (i.back() + 1) % 4; return i; }, {{{4}}, {{2, 4}}},
            {fails_when<ShapeError>([](Tape& t) { split(ones(t, {5}), {1, 3}); },
                                    "split: the sizes add up to 4, not to extent 5 of axis 0"),
             fails_when<ShapeError>([](Tape& t) { split(ones(t, {2}), {3, -1}); },
                                    "split: size -1 is negative")}),
      moved("flip", [](Vars x) { return flip(x[0]); }, same,
            [](Index i, const Index& s) { for (std::size_t d = 0; d < i.size(); ++d) i[d] = s[d] - 1 - i[d]; return i; },
            {{{}}, {{5}}, {{2, 3}}, {{2, 3, 4}}, {{0, 2}}}),
      moved("flip one axis", [](Vars x) { return flip(x[0], -1); }, same,
            [](Index i, const Index& s) { i.back() = s.back() - 1 - i.back(); return i; }, {{{5}}, {{2, 3}}},
            {fails<ShapeError>({{}}, "flip: axis -1 is out of range for rank 0")}),
      moved("roll", [](Vars x) { return roll(x[0], 2, 0); }, same,
            [](Index i, const Index& s) { i[0] = (i[0] + 2 * s[0] - 2) % s[0]; return i; },
            {{{5}}, {{2}}, {{1, 2}}, {{3, 2}}, {{0, 2}}, {{2, 0}}},
            {fails<ShapeError>({{}}, "roll: axis 0 is out of range for rank 0")}),
      moved("roll backwards and around", [](Vars x) { return roll(x[0], -4, -1); }, same,
            [](Index i, const Index& s) { i.back() = (i.back() + 4) % s.back(); return i; }, {{{3}}, {{2, 7}}}),
  };
}

std::vector<OpCase> repeating_cases() {
  const auto framed = [](Index s) { s[0] += 1; s[1] += 5; return s; };
  return {
      moved("pad", [](Vars x) { return pad(x[0], {{1, 0}, {2, 3}}, 7); }, framed,
            [](const Index& i, const Index& s) {
              const bool inside = i[0] >= 1 && i[1] >= 2 && i[1] < s[1] + 2;
              return inside ? Index{i[0] - 1, i[1] - 2} : Index();
            },
            {{{3, 4}}, {{0, 2}}, {{1, 1}}, {{1, 0}}},
            {fails<ShapeError>({{3}}, "pad: 2 widths for the 1 axes of [3]"),
             fails_when<ShapeError>([](Tape& t) { pad(ones(t, {2}), {{1, -2}}); }, "pad: width -2 is negative")},
            7),
      moved("pad with nothing", [](Vars x) { return pad(x[0], {}); }, same,
            [](const Index& i, const Index&) { return i; }, {{{}}}),
      moved("pad with the edge", [](Vars x) { return pad(x[0], {{1, 0}, {2, 3}}, PadMode::edge); }, framed,
            [](const Index& i, const Index& s) {
              return Index{std::max<std::size_t>(i[0], 1) - 1, std::min(std::max<std::size_t>(i[1], 2) - 2, s[1] - 1)};
            },
            {{{3, 4}}, {{1, 1}}, {{5, 2}}},
            {fails<ShapeError>({{0, 2}}, "pad: extent 0 of axis 0 is less than 1")}),
      moved("pad with a reflection", [](Vars x) { return pad(x[0], {{1, 0}, {2, 3}}, PadMode::reflect); }, framed,
            [](const Index& i, const Index& s) {
              return Index{mirrored(static_cast<std::ptrdiff_t>(i[0]) - 1, static_cast<std::ptrdiff_t>(s[0])),
                           mirrored(static_cast<std::ptrdiff_t>(i[1]) - 2, static_cast<std::ptrdiff_t>(s[1]))};
            },
            {{{3, 4}}, {{2, 2}}, {{5, 3}}},
            {fails<ShapeError>({{4, 1}}, "pad: extent 1 of axis 1 is less than 2")}),
      moved("tile", [](Vars x) { return tile(x[0], {2, 3}); },
            [](Index s) { while (s.size() < 2) s.insert(s.begin(), 1); s[s.size() - 2] *= 2; s.back() *= 3; return s; },
            [](Index i, const Index& s) {
              i.erase(i.begin(), i.end() - static_cast<std::ptrdiff_t>(s.size()));
              for (std::size_t d = 0; d < s.size(); ++d) i[d] %= s[d];
              return i;
            },
            {{{}}, {{4}}, {{3, 2}}, {{2, 3, 4}}, {{0, 2}}, {{1, 1}}},
            {fails_when<ShapeError>([](Tape& t) { tile(ones(t, {2}), {-1}); }, "tile: count -1 is negative")}),
      moved("tile no times", [](Vars x) { return tile(x[0], {0, 1}); }, [](Index s) { s[0] = 0; return s; },
            [](const Index& i, const Index&) { return i; }, {{{2, 3}}}),
      moved("repeat", [](Vars x) { return repeat(x[0], 3, 0); }, [](Index s) { s[0] *= 3; return s; },
            [](Index i, const Index&) { i[0] /= 3; return i; }, {{{4}}, {{2, 3}}, {{0, 2}}, {{2, 0}}},
            {fails<ShapeError>({{}}, "repeat: axis 0 is out of range for rank 0"),
             fails_when<ShapeError>([](Tape& t) { repeat(ones(t, {2}), -1, 0); }, "repeat: count -1 is negative")}),
      moved("repeat along an inner axis", [](Vars x) { return repeat(x[0], 2, -1); },
            [](Index s) { s.back() *= 2; return s; }, [](Index i, const Index&) { i.back() /= 2; return i; },
            {{{4}}, {{2, 3}}}),
  };
}

std::vector<OpCase> diagonal_cases() {
  return {
      moved("diag of a matrix", [](Vars x) { return diag(x[0]); },
            [](const Index& s) { return Index{std::min(s[0], s[1])}; },
            [](const Index& i, const Index&) { return Index{i[0], i[0]}; },
            {{{4, 4}}, {{2, 5}}, {{5, 2}}, {{1, 1}}, {{0, 3}}}),
      moved("diag of a matrix, to the right", [](Vars x) { return diag(x[0], 2); },
            [](const Index& s) { return Index{std::min(s[0], s[1] < 2 ? 0 : s[1] - 2)}; },
            [](const Index& i, const Index&) { return Index{i[0], i[0] + 2}; },
            {{{4, 4}}, {{2, 5}}, {{5, 2}}, {{3, 1}}, {{1, 3}}}),
      moved("diag of a matrix, to the left", [](Vars x) { return diag(x[0], -1); },
            [](const Index& s) { return Index{std::min(s[0] < 1 ? 0 : s[0] - 1, s[1])}; },
            [](const Index& i, const Index&) { return Index{i[0] + 1, i[0]}; },
            {{{4, 4}}, {{2, 5}}, {{5, 2}}, {{1, 3}}, {{0, 3}}}),
      moved("diag", [](Vars x) { return diag(x[0]); }, [](const Index& s) { return Index{s[0], s[0]}; },
            [](const Index& i, const Index&) { return i[0] == i[1] ? Index{i[0]} : Index(); },
            {{{4}}, {{1}}, {{0}}},
            {fails<ShapeError>({{}}, "diag: [] is neither a vector nor a matrix"),
             fails<ShapeError>({{2, 2, 2}}, "diag: [2, 2, 2] is neither a vector nor a matrix")}),
      moved("diag to the right", [](Vars x) { return diag(x[0], 2); },
            [](const Index& s) { return Index{s[0] + 2, s[0] + 2}; },
            [](const Index& i, const Index&) { return i[0] + 2 == i[1] ? Index{i[0]} : Index(); }, {{{4}}, {{0}}}),
      moved("diag to the left", [](Vars x) { return diag(x[0], -1); },
            [](const Index& s) { return Index{s[0] + 1, s[0] + 1}; },
            [](const Index& i, const Index&) { return i[0] == i[1] + 1 ? Index{i[1]} : Index(); }, {{{4}}, {{0}}}),
      triangle("tril", tril, 0, [](std::ptrdiff_t row, std::ptrdiff_t column) { return column <= row; }),
      triangle("tril to the left", tril, -1, [](std::ptrdiff_t row, std::ptrdiff_t column) { return column < row; }),
      triangle("triu", triu, 0, [](std::ptrdiff_t row, std::ptrdiff_t column) { return column >= row; }),
      triangle("triu to the right", triu, 2, [](std::ptrdiff_t row, std::ptrdiff_t column) { return column >= row + 2; }),
  };
}

}  // namespace
// clang-format on

std::vector<OpCase> rearrange_cases() {
  std::vector<OpCase> all;
  for (auto* family : {axis_cases, joining_cases, repeating_cases, diagonal_cases}) {
    for (OpCase& row : family()) all.push_back(std::move(row));
  }
  return all;
}

}  // namespace xgrad::cases
