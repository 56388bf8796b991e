// Rows of the case table: products and einsum.
#include "xgrad/ops/linalg.hpp"

#include <algorithm>

#include "tests/cases/op_cases.hpp"

namespace xgrad::cases {
namespace {

using naive::Index;

OpCase matmul_case(const char* name, bool transpose_x, bool transpose_y, const std::vector<Shapes>& sets) {
  return {.name = name,
          .f = [=](Vars x) { return matmul(x[0], x[1], transpose_x, transpose_y); },
          .reference = [=](const Arrays& x) { return naive::matmul(x[0], x[1], transpose_x, transpose_y); },
          .sets = sets};
}

/// einsum by the first string, whose meaning with every letter written out is the second.
OpCase einsum_case(const char* what, std::string subscripts, std::string written_out,
                   const std::vector<Shapes>& sets) {
  return {.name = std::string("einsum ") + what,
          .f = [subscripts](Vars x) { return einsum(subscripts, x); },
          .reference = [written_out](const Arrays& x) { return naive::einsum(written_out, x); },
          .sets = sets};
}
OpCase einsum_case(const char* what, const std::string& subscripts, const std::vector<Shapes>& sets) {
  return einsum_case(what, subscripts, subscripts, sets);
}

ErrorCase no_einsum(const std::string& subscripts, const Shapes& shapes, const std::string& text) {
  return fails_when<ShapeError>(
      [=](Tape& t) {
        std::vector<Var> x;
        for (const Shape& shape : shapes) x.push_back(ones(t, shape));
        einsum(subscripts, x);
      },
      "einsum: " + text);
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

      {.name = "outer",
       .f = [](Vars x) { return outer(x[0], x[1]); },
       .reference = [](const Arrays& x) {
         return naive::einsum("i,j->ij", {naive::reshape(x[0], {x[0].size()}), naive::reshape(x[1], {x[1].size()})});
       },
       .sets = {{{3}, {4}}, {{23}, {7}}, {{}, {3}}, {{}, {}}, {{0}, {3}}, {{2, 3}, {2, 2}}},
       .errors = {fails_when<DTypeError>([](Tape& t) { outer(ones(t, {2}), ones(t, {2}, DType::float32)); },
                                         "outer: dtypes differ, float64 and float32")}},
      {.name = "tensordot",
       .f = [](Vars x) { return tensordot(x[0], x[1], 1); },
       .reference = [](const Arrays& x) { return naive::matmul(x[0], x[1]); },
       .sets = {{{3}, {3}}, {{2, 3}, {3, 4}}, {{2, 0}, {0, 3}}, {{0, 2}, {2, 3}}, {{40, 23}, {23, 9}}},
       .errors = {fails<ShapeError>({{2, 3}, {4, 5}},
                                    "tensordot: extents differ, 3 along axis 1 of x [2, 3] and 4 along axis 0 of y [4, 5]"),
                  fails<ShapeError>({{2, 3}, {}}, "tensordot: x [2, 3] and y [] have no 1 axes to sum over"),
                  fails_when<ShapeError>([](Tape& t) { tensordot(ones(t, {2}), ones(t, {2}), -1); },
                                         "tensordot: x [2] and y [2] have no -1 axes to sum over"),
                  fails_when<DTypeError>([](Tape& t) { tensordot(ones(t, {2}), ones(t, {2}, DType::float32), 1); },
                                         "tensordot: dtypes differ, float64 and float32")}},
      {.name = "tensordot over two axes",
       .f = [](Vars x) { return tensordot(x[0], x[1]); },
       .reference = [](const Arrays& x) { return naive::einsum("aij,ijb->ab", x); },
       .sets = {{{2, 3, 4}, {3, 4, 5}}, {{1, 1, 1}, {1, 1, 1}}, {{2, 0, 4}, {0, 4, 3}}}},
      {.name = "tensordot over no axis",
       .f = [](Vars x) { return tensordot(x[0], x[1], 0); },
       .reference = [](const Arrays& x) { return naive::einsum("ab,c->abc", x); },
       .sets = {{{2, 3}, {4}}, {{2, 0}, {3}}}},
      {.name = "tensordot over axes by name",
       .f = [](Vars x) { return tensordot(x[0], x[1], {0, -1}, {1, 0}); },
       .reference = [](const Arrays& x) { return naive::einsum("iaj,jib->ab", x); },
       .sets = {{{2, 3, 4}, {4, 2, 5}}, {{0, 3, 4}, {4, 0, 5}}},
       .errors = {fails_when<ShapeError>([](Tape& t) { tensordot(ones(t, {2, 2}), ones(t, {2, 2}), {0}, {0, 1}); },
                                         "tensordot: 1 axes of x and 2 of y"),
                  fails_when<ShapeError>([](Tape& t) { tensordot(ones(t, {2, 2}), ones(t, {2, 2}), {0, -2}, {0, 1}); },
                                         "tensordot: axis -2 of x is named twice"),
                  fails_when<ShapeError>([](Tape& t) { tensordot(ones(t, {2}), ones(t, {2}), {1}, {0}); },
                                         "tensordot: axis 1 is out of range for rank 1")}},
      {.name = "trace",
       .f = [](Vars x) { return trace(x[0]); },
       .reference = [](const Arrays& x) {
         const auto n = std::min(x[0].shape(x[0].dimension() - 1), x[0].shape(x[0].dimension() - 2));
         Index batch = naive::extents(x[0]);
         batch.resize(batch.size() - 2);
         return naive::generate(batch, [&](const Index& index) {
           double total = 0;
           for (std::size_t i = 0; i < n; ++i) {
             Index place = index;
             place.insert(place.end(), {i, i});
             total += naive::at(x[0], place);
           }
           return total;
         });
       },
       .sets = {{{3, 3}}, {{2, 5}}, {{5, 2}}, {{1, 1}}, {{0, 0}}, {{0, 3}}, {{2, 3, 3}}, {{2, 0, 3, 4}}, {{23, 30}}},
       .errors = {fails<ShapeError>({{3}}, "trace: axis -2 is out of range for rank 1"),
                  fails_when<ShapeError>([](Tape& t) { trace(ones(t, {2, 2}), 1, -1); },
                                         "trace: axes 1 and -1 are the same"),
                  fails_when<DTypeError>([](Tape& t) { trace(ones(t, {2, 2}, DType::int32)); },
                                         "trace: operand 0 is int32, not floating")}},
      {.name = "trace over axes by name",
       .f = [](Vars x) { return trace(x[0], 2, 0); },
       .reference = [](const Arrays& x) { return naive::einsum("iji->j", x); },
       .sets = {{{3, 2, 3}}, {{2, 0, 2}}}},

      with_errors(
          einsum_case("of two matrices", "ij,jk->ik",
                      {{{2, 3}, {3, 4}}, {{2, 0}, {0, 4}}, {{0, 3}, {3, 2}}, {{40, 23}, {23, 9}}}),
          {no_einsum("ij,jk", {{2, 3}}, "1 operands for 2 terms in 'ij,jk'"),
           no_einsum("ij", {{2, 3, 4}}, "operand 0 [2, 3, 4] has 3 axes for 2 letters"),
           no_einsum("i,...jk", {{2}, {3}}, "operand 1 [3] has 1 axes for 2 letters and an ellipsis"),
           no_einsum("ij,jk", {{2, 3}, {4, 5}}, "operand 1 [4, 5] has extent 4 for 'j', where another has 3"),
           no_einsum("ii", {{2, 3}}, "operand 0 [2, 3] has extent 3 for 'i', where another has 2"),
           no_einsum("...,...", {{2}, {3}}, "operand 1 [3] has extent 3 for '...', where another has 2"),
           no_einsum("i->j", {{2}}, "'j' of the result is in no operand"),
           no_einsum("i->ii", {{2}}, "'i' is in the result twice"),
           no_einsum("...i->i", {{2, 3}}, "the result has no '...' for the axes of the operands'"),
           no_einsum("i.j", {{2, 3}}, "'.' in 'i.j' is neither a letter nor one ellipsis"),
           no_einsum("i1", {{2, 3}}, "'1' in 'i1' is neither a letter nor one ellipsis"),
           no_einsum("i->i->i", {{2}}, "'-' in 'i->i' is neither a letter nor one ellipsis"),
           no_einsum("......", {{2}}, "'.' in '......' is neither a letter nor one ellipsis"),
           fails_when<DTypeError>([](Tape& t) { einsum("i,i", {ones(t, {2}), ones(t, {2}, DType::float32)}); },
                                  "einsum: dtypes differ, float64 and float32"),
           fails_when<DTypeError>([](Tape& t) { einsum("i->i", {ones(t, {2}, DType::int64)}); },
                                  "einsum: operand 0 is int64, not floating")}),
      einsum_case("with spaces and without a result", " ij , jk ", "ij,jk->ik", {{{2, 3}, {3, 4}}}),
      einsum_case("in the order of the alphabet", "ba", "ba->ab", {{{2, 3}}}),
      einsum_case("with capitals first", "aB,cB,D", "aB,cB,D->Dac", {{{2, 3}, {4, 3}, {2}}}),
      einsum_case("of nothing to sum", "i,j->ji", {{{2}, {3}}, {{0}, {3}}}),
      einsum_case("of scalars", ",->", {{{}, {}}}),
      einsum_case("of a scalar and a vector", ",i", ",i->i", {{{}, {3}}}),
      einsum_case("of elements", "ij,ij->ij", {{{2, 3}, {2, 3}}}),
      einsum_case("of transposed elements", "ij,ji->ij", {{{2, 3}, {3, 2}}}),
      einsum_case("of all elements", "ij,ij", "ij,ij->", {{{2, 3}, {2, 3}}, {{0, 3}, {0, 3}}}),
      einsum_case("of a sum", "ijk->j", {{{2, 3, 4}}, {{2, 3, 0}}, {{2, 0, 3}}}),
      einsum_case("of a permutation", "ijk->kij", {{{2, 3, 4}}}),
      einsum_case("of a diagonal", "ii->i", {{{3, 3}}, {{1, 1}}, {{0, 0}}}),
      einsum_case("of a trace", "ii", "ii->", {{{3, 3}}, {{0, 0}}}),
      einsum_case("of diagonals", "iji,kk->jk", {{{2, 3, 2}, {4, 4}}}),
      einsum_case("of a diagonal of three", "iiij->ji", {{{2, 2, 2, 3}}}),
      einsum_case("of batches", "bij,bjk->bik", {{{2, 3, 4}, {2, 4, 2}}, {{0, 3, 4}, {0, 4, 2}}}),
      einsum_case("of inner batches", "ibj,kjb->kib", {{{3, 2, 4}, {2, 4, 2}}}),
      einsum_case("of both transposed", "ki,jk->ij", {{{3, 2}, {4, 3}}}),
      einsum_case("of dot products", "bi,bi->b", {{{3, 4}, {3, 4}}}),
      einsum_case("with sums of one operand", "ijk,jl->l", {{{2, 3, 2}, {3, 4}}}),
      einsum_case("of three", "ij,jk,kl->il", {{{2, 3}, {3, 4}, {4, 2}}, {{2, 0}, {0, 4}, {4, 2}}}),
      einsum_case("of a letter in all", "ij,ik,il->jkl", {{{2, 3}, {2, 2}, {2, 4}}}),
      einsum_case("of attention", "bqhd,bkhd->bhqk", {{{2, 3, 2, 4}, {2, 5, 2, 4}}}),
      einsum_case("of a bilinear form", "i,ij,j", "i,ij,j->", {{{3}, {3, 4}, {4}}}),
      einsum_case("with an ellipsis", "...ij,...jk", "xij,xjk->xik",
                  {{{2, 2, 3}, {2, 3, 2}}, {{1, 2, 3}, {2, 3, 2}}, {{2, 2, 3}, {1, 3, 2}}, {{0, 2, 3}, {1, 3, 2}}}),
      einsum_case("with an ellipsis that broadcasts", "...i,i...->...", "xyi,iy->xy", {{{2, 3, 4}, {4, 3}}, {{2, 1, 4}, {4, 3}}}),
      einsum_case("with an ellipsis inside", "i...j->j...i", "ixyj->jxyi", {{{2, 3, 1, 4}}}),
      einsum_case("with an ellipsis for nothing", "...ij->...ji", "ij->ji", {{{2, 3}}}),
      einsum_case("with an ellipsis in one operand", "...i,i", "xi,i->x", {{{2, 3}, {3}}, {{1, 3}, {3}}}),
  };
}

}  // namespace xgrad::cases
