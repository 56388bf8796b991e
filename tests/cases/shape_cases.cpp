// Rows of the case table: shapes, slices, gathering.
#include "xgrad/ops/shape.hpp"

#include "tests/cases/op_cases.hpp"
#include "xgrad/ops/index.hpp"
#include "xgrad/ops/random.hpp"

namespace xgrad::cases {
namespace {

using naive::Index;

/// Slices as a list of the places that are taken.
OpCase slice_case(const char* name, int axis, TensorFunction f, std::vector<std::size_t> taken,
                  const std::vector<Shapes>& sets) {
  const auto reference = [axis, taken = std::move(taken)](const Arrays& x) {
    return naive::along(x[0], static_cast<std::size_t>(axis), [&](const naive::Values& line) {
      naive::Values result;
      for (std::size_t k : taken) result.push_back(line[k]);
      return result;
    });
  };
  return {.name = name, .f = std::move(f), .reference = reference, .sets = sets};
}

Array concat_reference(const Arrays& x, std::size_t axis) {
  Index shape = naive::extents(x[0]);
  shape[axis] = 0;
  for (const Array& part : x) shape[axis] += part.shape(axis);
  return naive::generate(shape, [&](Index index) {
    std::size_t part = 0;
    for (; index[axis] >= x[part].shape(axis); ++part) index[axis] -= x[part].shape(axis);
    return naive::at(x[part], index);
  });
}

/// The place of an index in row-major order.
std::size_t place_of(const Index& index, const Index& shape) {
  std::size_t place = 0;
  for (std::size_t d = 0; d < shape.size(); ++d) place = place * shape[d] + index[d];
  return place;
}

/// Gathers `count` labelled elements along an axis.
OpCase gather_case(const char* name, int axis, std::int64_t count, const std::vector<Shapes>& sets) {
  return {.name = name,
          .f =
              [=](Vars x) {
                Shape shape = x[0].shape();
                shape.set(axis, count);
                return gather(x[0], axis, labels(x[0].tape(), shape, x[0].shape()[axis]));
              },
          .reference =
              [=](const Arrays& x) {
                const auto a = static_cast<std::size_t>(axis);
                Index shape = naive::extents(x[0]);
                shape[a] = static_cast<std::size_t>(count);
                return naive::generate(shape, [&](Index index) {
                  const auto extent = static_cast<std::int64_t>(x[0].shape(a));
                  index[a] = static_cast<std::size_t>(naive::label(place_of(index, shape), extent));
                  return naive::at(x[0], index);
                });
              },
          .sets = sets};
}

OpCase scatter_add_case(const char* name, int axis, std::int64_t extent, const std::vector<Shapes>& sets) {
  return {
      .name = name,
      .f = [=](Vars x) { return scatter_add(x[0], axis, labels(x[0].tape(), x[0].shape(), extent), extent); },
      .reference =
          [=](const Arrays& x) {
            const auto a = static_cast<std::size_t>(axis);
            const Index from = naive::extents(x[0]);
            Index shape = from;
            shape[a] = static_cast<std::size_t>(extent);
            Array result = naive::generate(shape, [](const Index&) { return 0.0; });
            naive::generate(from, [&](Index index) {
              const std::size_t k = place_of(index, from);
              index[a] = static_cast<std::size_t>(naive::label(k, extent));
              return result.data()[place_of(index, shape)] += x[0].data()[k];
            });
            return result;
          },
      .sets = sets};
}

Array one_hot_reference(const Array& like, std::size_t classes) {
  const Index from = naive::extents(like);
  Index shape = from;
  shape.push_back(classes);
  return naive::generate(shape, [&](const Index& index) {
    const auto label = naive::label(place_of(index, from), static_cast<std::int64_t>(classes));
    return static_cast<std::size_t>(label) == index.back() ? 1 : 0;
  });
}

/// The documented mask: elements in groups of 64; number e of a group is word e / 16 of block e % 16 of
/// its 16.
Array dropout_reference(const Array& x, double p, Key key) {
  Array result = x;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t group = i / 64, e = i % 64;
    const std::uint32_t number = random_block(key, 16 * group + e % 16)[e / 16];
    result.data()[i] = number < (1 - p) * 0x1p32 ? x.data()[i] / (1 - p) : 0;
  }
  return result;
}

}  // namespace

// By hand: clang-format spreads lambdas that hold braces over many lines.
// clang-format off
std::vector<OpCase> shape_cases() {
  return {
      {.name = "reshape",
       .f = [](Vars x) { return reshape(x[0], {2, -1}); },
       .reference = [](const Arrays& x) { return naive::reshape(x[0], {2, x[0].size() / 2}); },
       .sets = {{{20}}, {{4, 3}}, {{812}}, {{0, 3}}, {{1, 2, 1}}},
       .errors = {fails<ShapeError>({{3}}, "reshape: no extent in place of -1 makes [3] fit"),
                  fails_when<ShapeError>([](Tape& t) { reshape(ones(t, {2, 3}), {4}); },
                                         "reshape: [2, 3] to [4]")}},
      {.name = "reshape of a scalar",
       .f = [](Vars x) { return reshape(x[0], Shape{1, 1}); },
       .reference = [](const Arrays& x) { return naive::reshape(x[0], {1, 1}); },
       .sets = {{{}}, {{1}}, {{1, 1}}}},
      {.name = "transpose",
       .f = [](Vars x) { return transpose(x[0]); },
       .reference = [](const Arrays& x) { return naive::transpose(x[0], naive::reversed_axes(x[0])); },
       .sets = {{{}}, {{5}}, {{4, 5}}, {{2, 3, 4}}, {{0, 3}}, {{1, 5, 1}}, {{40, 23}}}},
      {.name = "transpose with axes",
       .f = [](Vars x) { return transpose(x[0], {2, 0, -2}); },
       .reference = [](const Arrays& x) { return naive::transpose(x[0], {2, 0, 1}); },
       .sets = {{{2, 3, 4}}, {{1, 0, 3}}, {{7, 8, 9}}},
       .errors = {fails<ShapeError>(
                      {{2, 3, 4, 5}},
                      "transpose: the axes must be a permutation of the 4 axes of [2, 3, 4, 5]"),
                  fails<ShapeError>({{2, 3}}, "transpose: axis 2 is out of range for rank 2"),
                  fails_when<ShapeError>([](Tape& t) { transpose(ones(t, {2, 3}), {1, 1}); },
                                         "transpose: the axes must be a permutation of the 2 axes of [2, 3]")}},
      {.name = "broadcast_to",
       .f = [](Vars x) { return broadcast_to(x[0], {4, 3, 2}); },
       .reference = [](const Arrays& x) {
         return naive::generate({4, 3, 2}, [&](const Index& index) { return naive::at(x[0], index); });
       },
       .sets = {{{}}, {{2}}, {{3, 1}}, {{4, 1, 2}}, {{1, 1, 1}}, {{4, 3, 2}}},
       .errors = {fails<ShapeError>({{4, 3}}, "broadcast_to: [4, 3] does not broadcast to [4, 3, 2]"),
                  fails<ShapeError>({{1, 4, 3, 2}},
                                    "broadcast_to: [1, 4, 3, 2] does not broadcast to [4, 3, 2]")}},
      {.name = "concat",
       .f = [](Vars x) { return concat(x, 0); },
       .reference = [](const Arrays& x) { return concat_reference(x, 0); },
       .sets = {{{5}}, {{2}, {0}, {3}}, {{0}, {0}}, {{2, 3}, {1, 3}, {4, 3}}, {{400}, {23}}},
       .errors = {fails<ShapeError>({}, "concat: no operands"),
                  fails<ShapeError>({{}}, "concat: axis 0 is out of range for rank 0"),
                  fails<ShapeError>({{2, 3}, {2, 3}, {2, 4}},
                                    "concat: operand 2 [2, 4] does not fit operand 0 [2, 3] along axis 0"),
                  fails_when<DTypeError>([](Tape& t) { concat({ones(t, {2}), ones(t, {2}, DType::int32)}); },
                                         "concat: dtypes differ, float64 and int32")}},
      {.name = "concat of many along an inner axis",
       .f = [](Vars x) { return concat(x, -1); },
       .reference = [](const Arrays& x) { return concat_reference(x, x[0].dimension() - 1); },
       .sets = {{{2, 1}, {2, 0}, {2, 3}}, {{2, 3, 1}, {2, 3, 2}}, Shapes(10, {2, 1})}},
      slice_case("slice", 0, [](Vars x) { return slice(x[0], 0, 1, 4); }, {1, 2, 3},
                 {{{4}}, {{5, 3}}, {{20}}, {{6, 2, 4}}}),
      slice_case("slice in steps", 1, [](Vars x) { return slice(x[0], -1, -7, -1, 3); }, {1, 4},
                 {{{2, 8}}, {{1, 8}}, {{0, 8}}}),
      slice_case("slice backwards", 0, [](Vars x) { return slice(x[0], 0, 4, {}, -2); }, {4, 2, 0},
                 {{{5}}, {{6, 2}}, {{7, 5, 4}}}),
      with_errors(
          slice_case("slice of nothing", 1, [](Vars x) { return slice(x[0], 1, 3, 2); }, {}, {{{2, 5}}}),
          {fails<ShapeError>({{4}}, "slice: axis 1 is out of range for rank 1"),
           fails_when<ShapeError>([](Tape& t) { slice(ones(t, {4}), 0, {}, {}, 0); },
                                  "slice: step must not be 0")}),

      with_errors(
          gather_case("gather", 0, 6, {{{4}}, {{6}}, {{3, 2}}, {{5, 0}}, {{10, 3, 4}}}),
          {fails_when<ShapeError>([](Tape& t) { gather(ones(t, {2, 3}), 1, ones(t, {3, 3}, DType::int64)); },
                                  "gather: index [3, 3] does not fit [2, 3] along axis 1"),
           fails_when<ShapeError>([](Tape& t) { gather(ones(t, {1}), 0, ones(t, {3}, DType::int32)); },
                                  "gather: index 1 at position 0 is outside 0 to 0"),
           fails_when<DTypeError>([](Tape& t) { gather(ones(t, {2}), 0, ones(t, {2})); },
                                  "gather: indices are float64, not int64 or int32")}),
      gather_case("gather along an inner axis", 1, 3, {{{2, 5}}, {{0, 5}}, {{4, 30, 6}}}),
      with_errors(
          scatter_add_case("scatter_add", 0, 4, {{{9}}, {{4}}, {{4, 2}}, {{5, 3}}, {{0, 3}}, {{50, 3}}}),
          {fails_when<ShapeError>([](Tape& t) { scatter_add(ones(t, {2}), 0, ones(t, {3}, DType::int64), 2); },
                                  "scatter_add: index [3] and x [2] differ"),
           fails_when<ShapeError>([](Tape& t) { scatter_add(ones(t, {2}), 0, ones(t, {2}, DType::int64), 1); },
                                  "scatter_add: index 1 at position 0 is outside 0 to 0"),
           fails_when<ShapeError>([](Tape& t) { scatter_add(ones(t, {2}), 0, ones(t, {2}, DType::int64), -1); },
                                  "scatter_add: extent -1 is negative"),
           fails_when<DTypeError>([](Tape& t) { scatter_add(ones(t, {2}), 0, ones(t, {2}), 3); },
                                  "scatter_add: indices are float64, not int64 or int32")}),
      scatter_add_case("scatter_add along an inner axis", 1, 3, {{{2, 5}}, {{4, 30, 6}}}),
      {.name = "one_hot",
       .f = [](Vars x) { return one_hot(labels(x[0].tape(), x[0].shape(), 5), 5, x[0].dtype()); },
       .reference = [](const Arrays& x) { return one_hot_reference(x[0], 5); },
       .sets = {{{7}}, {{}}, {{3, 4}}, {{0}}},
       .order = 0,
       .errors = {fails_when<ShapeError>([](Tape& t) { one_hot(ones(t, {2}, DType::int64), 1); },
                                         "one_hot: index 1 at position 0 is outside 0 to 0"),
                  fails_when<DTypeError>([](Tape& t) { one_hot(ones(t, {2}), 3); },
                                         "one_hot: indices are float64, not int64 or int32"),
                  fails_when<DTypeError>([](Tape& t) { one_hot(ones(t, {2}, DType::int64), 3, DType::int32); },
                                         "one_hot: dtype must be floating, not int32")}},

      {.name = "dropout",
       .f = [](Vars x) { return dropout(x[0], 0.4, Key{7, 3}); },
       .reference = [](const Arrays& x) { return dropout_reference(x[0], 0.4, Key{7, 3}); },
       .sets = unary_sets,
       .errors = {fails_when<Error>([](Tape& t) { dropout(ones(t, {2}), 1.5, {}); },
                                    "dropout: p = 1.5 is not in [0, 1]"),
                  fails_when<Error>([](Tape& t) { dropout(ones(t, {2}), -0.1, {}); },
                                    "dropout: p = -0.1 is not in [0, 1]"),
                  fails_when<DTypeError>([](Tape& t) { dropout(ones(t, {2}, DType::uint8), 0.1, {}); },
                                         "dropout: operand 0 is uint8, not floating")}},
  };
}

}  // namespace xgrad::cases
