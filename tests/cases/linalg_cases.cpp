#include "xgrad/ops/linalg.hpp"

#include "tests/cases/op_cases.hpp"

namespace xgrad::cases {
namespace {

OpCase matmul_case(const char* name, bool transpose_x, bool transpose_y, const std::vector<Shapes>& sets) {
  return {.name = name,
          .f = [=](Vars x) { return matmul(x[0], x[1], transpose_x, transpose_y); },
          .reference = [=](const Arrays& x) { return naive::matmul(x[0], x[1], transpose_x, transpose_y); },
          .sets = sets};
}

double plus(double x, double y) { return x + y; }

ErrorCase no_linear(const Shapes& shapes, const std::string& text) {
  return fails<ShapeError>(shapes, "linear: " + text + " do not fit; x is [..., in], w [in, out], b [out]");
}

}  // namespace

// By hand: clang-format spreads lambdas that hold braces over many lines.
// clang-format off
std::vector<OpCase> linalg_cases() {
  return {
      with_errors(
          matmul_case("matmul", false, false,
                      {{{20}, {20}},
                       {{5, 10}, {10}},
                       {{10}, {10, 5}},
                       {{5, 0}, {0, 10}},
                       {{5, 5, 10}, {10, 5}},
                       {{5, 10}, {5, 10, 5}},
                       {{5, 5, 5}, {1, 5, 5}},
                       {{2, 3}, {3, 4}},
                       {{1, 1}, {1, 1}},
                       {{0}, {0}},
                       {{0, 3}, {3, 2}},
                       {{2, 3}, {3, 0}},
                       {{3}, {2, 3, 2}},
                       {{2, 2, 3}, {3}},
                       {{2, 1, 2, 3}, {3, 3, 2}},
                       {{0, 2, 3}, {3, 2}},
                       {{70, 33}, {33, 23}}}),
          {fails<ShapeError>({{2, 3}, {4, 5}},
                             "matmul: inner extents differ, 3 and 4, for x [2, 3] and y [4, 5]"),
           fails<ShapeError>({{2, 2, 3}, {4, 5}},
                             "matmul: inner extents differ, 3 and 4, for x [2, 2, 3] and y [4, 5]"),
           fails<ShapeError>({{3}, {4}}, "matmul: inner extents differ, 3 and 4, for x [3] and y [4]"),
           fails<ShapeError>({{2, 2, 3}, {3, 3, 2}},
                             "matmul: batches [2] and [3] do not broadcast, for x [2, 2, 3] and y [3, 3, 2]"),
           fails<ShapeError>({{}, {3}}, "matmul: x [] and y [3] must not be scalars"),
           fails_when<DTypeError>([](Tape& t) { matmul(ones(t, {2, 2}), ones(t, {2, 2}, DType::float32)); },
                                  "matmul: dtypes differ, float64 and float32")}),
      with_errors(
          matmul_case("matmul of x transposed", true, false,
                      {{{3, 2}, {3, 4}},
                       {{0, 2}, {0, 3}},
                       {{2, 3, 2}, {3, 4}},
                       {{2, 3, 2}, {1, 3, 2}},
                       {{3, 2}, {3}},
                       {{33, 70}, {33, 23}}}),
          {fails<ShapeError>({{2, 3}, {3, 5}},
                             "matmul: inner extents differ, 2 and 3, for x [2, 3] transposed and y [3, 5]")}),
      with_errors(
          matmul_case("matmul of y transposed", false, true,
                      {{{2, 3}, {4, 3}},
                       {{2, 0}, {3, 0}},
                       {{2, 2, 3}, {4, 3}},
                       {{3, 2, 3}, {3, 4, 3}},
                       {{3}, {2, 3}},
                       {{70, 33}, {23, 33}}}),
          {fails<ShapeError>({{2, 3}, {3, 5}},
                             "matmul: inner extents differ, 3 and 5, for x [2, 3] and y [3, 5] transposed")}),
      matmul_case("matmul of both transposed", true, true,
                  {{{3, 2}, {4, 3}},
                   {{0, 2}, {3, 0}},
                   {{2, 3, 2}, {4, 3}},
                   {{3, 2}, {2, 4, 3}},
                   {{33, 70}, {23, 33}}}),
      {.name = "linear",
       .f = [](Vars x) { return linear(x[0], x[1], x[2]); },
       .reference = [](const Arrays& x) { return naive::map(naive::matmul(x[0], x[1]), x[2], plus); },
       .sets = {{{4, 3}, {3, 2}, {2}},
                {{3}, {3, 4}, {4}},
                {{2, 2, 3}, {3, 2}, {2}},
                {{0, 3}, {3, 2}, {2}},
                {{2, 0}, {0, 3}, {3}},
                {{0, 2, 3}, {3, 2}, {2}},
                {{50, 33}, {33, 23}, {23}}},
       .errors = {no_linear({{4, 3}, {4, 2}, {2}}, "x [4, 3], w [4, 2] and b [2]"),
                  no_linear({{4, 3}, {3, 2}, {3}}, "x [4, 3], w [3, 2] and b [3]"),
                  no_linear({{4, 3}, {3, 2}, {1, 2}}, "x [4, 3], w [3, 2] and b [1, 2]"),
                  no_linear({{2, 4, 3}, {4, 2}, {2}}, "x [2, 4, 3], w [4, 2] and b [2]"),
                  no_linear({{}, {3, 2}, {2}}, "x [], w [3, 2] and b [2]"),
                  fails_when<DTypeError>(
                      [](Tape& t) { linear(ones(t, {1}), ones(t, {1, 1}), ones(t, {1}, DType::float32)); },
                      "linear: dtypes differ, float64 and float32")}},
  };
}

}  // namespace xgrad::cases
