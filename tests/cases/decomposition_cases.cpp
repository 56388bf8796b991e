// Rows of the case table: solve, inverse, determinants, decompositions.
#include "xgrad/ops/decompositions.hpp"

#include <cmath>

#include "lib/ops/decompositions.hpp"
#include "tests/cases/naive_matrix.hpp"
#include "tests/cases/op_cases.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/linalg.hpp"
#include "xgrad/ops/reduce.hpp"

namespace xgrad::cases {
namespace {

using naive::batched;
using naive::Matrices;
using naive::Matrix;

const Domain unit{-1, 1};

// The table's operands are made into matrices that are far from where derivatives end.

std::int64_t order(const Var& x) { return x.shape()[x.rank() - 1]; }

/// Regular.
Var regular(const Var& x) { return x + static_cast<double>(1 + order(x)) * detail::eye(x, order(x)); }
Matrix regular(const Matrix& x) { return naive::shifted(x, static_cast<double>(1 + x.columns)); }

/// Symmetric and positive definite.
Var definite(const Var& x) { return matmul(x, x, false, true) + detail::eye(x, order(x)); }
Matrix definite(const Matrix& x) { return naive::shifted(naive::product(x, naive::transposed(x)), 1); }

/// With singular values well apart: near a diagonal of 1, 2, ...
Matrix spread(Matrix x) {
  for (double& v : x.values) v *= 0.1;
  for (std::size_t i = 0; i < std::min(x.rows, x.columns); ++i) x(i, i) += static_cast<double>(i + 1);
  return x;
}
Var spread(const Var& x) {
  const std::int64_t m = x.shape()[x.rank() - 2], n = order(x);
  return 0.1 * x + x.tape().constant({x.dtype(), Shape{m, n}}, [&](View v) {
    detail::dispatch_floating(v.dtype, [&]<class T>() {
      for (std::int64_t i = 0; i < m * n; ++i)
        v.as<T>()[i] = i % n == i / n ? static_cast<T>(i / n + 1) : T(0);
    });
  });
}

/// Symmetric as well.
Var symmetric(const Var& x) { return 0.5 * (spread(x) + detail::swap_axes(spread(x))); }
Matrix symmetric(const Matrix& x) {
  Matrix a = spread(x);
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t j = 0; j < i; ++j) a(i, j) = a(j, i) = (a(i, j) + a(j, i)) / 2;
  }
  return a;
}

/// q and r with the signs that make r's diagonal positive, as their reference has it.
Qr normalized(const Qr& f) {
  const std::int64_t k = f.r.shape()[f.r.rank() - 2];
  const Var sign = xgrad::sign(sum(slice(f.r, -1, 0, k) * detail::eye(f.r, k), -1, true));
  return {f.q * detail::swap_axes(sign), f.r * sign};
}

Matrix squared(Matrix a) {
  for (double& v : a.values) v *= v;
  return a;
}
Matrix number(double value) {
  Matrix result(1, 1);
  result(0, 0) = value;
  return result;
}

const std::vector<Shapes> square_sets = {{{3, 3}},    {{1, 1}},    {{4, 4}},       {{0, 0}}, {{2, 3, 3}},
                                         {{2, 0, 0}}, {{0, 2, 2}}, {{2, 1, 2, 2}}, {{5, 5}}};
const std::vector<Shapes> matrix_sets = {{{3, 3}}, {{4, 2}},    {{2, 4}},    {{1, 3}},    {{3, 1}},
                                         {{0, 3}}, {{3, 0}},    {{2, 3, 2}}, {{2, 2, 3}}, {{0, 2, 3}},
                                         {{1, 1}}, {{2, 0, 2}}, {{7, 23}},   {{23, 7}}};
const std::vector<Shapes> solve_sets = {
    {{3, 3}, {3, 2}},    {{3, 3}, {3}},       {{1, 1}, {1, 4}},          {{2, 3, 3}, {3, 2}},
    {{3, 3}, {2, 3, 1}}, {{2, 3, 3}, {3}},    {{2, 2, 2}, {2, 2, 3}},    {{0, 0}, {0, 3}},
    {{3, 3}, {3, 0}},    {{0, 2, 2}, {2, 1}}, {{2, 1, 2, 2}, {3, 2, 1}}, {{23, 23}, {23, 4}}};

std::vector<Shapes> with_large(std::vector<Shapes> sets) {
  sets.push_back({{23, 23}});
  return sets;
}

ErrorCase integers(const std::string& name, std::function<void(const Var&)> f) {
  return fails_when<DTypeError>(
      [f = std::move(f)](Tape& t) {
        f(ones(t, {2, 2}, DType::int64));
      },
      name + ": operand 0 is int64, not floating");
}

/// A function of the matrices `made` of the operand.
OpCase of_matrix(std::string name, std::function<Var(const Var&)> f, Var (*made)(const Var&),
                 std::function<Matrix(const Matrix&)> reference, std::vector<Shapes> sets,
                 std::size_t axes = 2) {
  return {.name = std::move(name),
          .f = [f, made](Vars x) { return f(made(x[0])); },
          .reference =
              [reference, axes](const Arrays& x) {
                return batched(
                    x, [&](const Matrices& m) { return reference(m[0]); }, axes);
              },
          .sets = std::move(sets),
          .domains = {unit}};
}

/// The errors of a function of one square matrix.
OpCase with_square_errors(OpCase row, Var (*f)(const Var&), std::vector<ErrorCase> more = {}) {
  const std::string name = row.name.substr(0, row.name.find(' '));
  for (const Shape& shape : {Shape{2, 3}, Shape{3}}) {
    row.errors.push_back(
        fails_when<ShapeError>([f, shape](Tape& t) { f(ones(t, shape)); },
                               name + ": " + shape.text() + " is not a square matrix or a batch of them"));
  }
  row.errors.push_back(integers(name, f));
  return with_errors(std::move(row), std::move(more));
}

OpCase triangular_case(const std::string& what, TriangularOptions options, std::vector<Shapes> sets) {
  return {.name = "triangular_solve" + what,
          .f = [options](Vars x) { return triangular_solve(regular(x[0]), x[1], options); },
          .reference =
              [options](const Arrays& x) {
                const bool vector = x[1].dimension() == 1;
                const Array b = vector ? naive::reshape(x[1], {x[1].size(), 1}) : x[1];
                return batched(
                    {x[0], b},
                    [&](const Matrices& m) {
                      Matrix a = naive::triangle(regular(m[0]), options.upper, options.unit_diagonal);
                      if (options.transpose != options.right) a = naive::transposed(a);
                      return options.right ? naive::transposed(naive::solve(a, naive::transposed(m[1])))
                                           : naive::solve(a, m[1]);
                    },
                    vector ? 1 : 2);
              },
          .sets = std::move(sets),
          .domains = {unit}};
}

Matrix log_abs_det(const Matrix& x) { return number(std::log(std::abs(naive::det(regular(x))))); }
Var itself(const Var& x) { return x; }

}  // namespace

// By hand: clang-format spreads lambdas that hold braces over many lines.
// clang-format off
std::vector<OpCase> decomposition_cases() {
  return {
      {.name = "solve",
       .f = [](Vars x) { return solve(regular(x[0]), x[1]); },
       .reference = [](const Arrays& x) {
         const bool vector = x[1].dimension() == 1;
         return batched({x[0], vector ? naive::reshape(x[1], {x[1].size(), 1}) : x[1]},
                        [](const Matrices& m) { return naive::solve(regular(m[0]), m[1]); }, vector ? 1 : 2);
       },
       .sets = solve_sets,
       .domains = {unit},
       .errors = {fails_when<ShapeError>([](Tape& t) { solve(ones(t, {2, 3}), ones(t, {2})); },
                                         "solve: [2, 3] is not a square matrix or a batch of them"),
                  fails_when<ShapeError>([](Tape& t) { solve(ones(t, {2, 2}), ones(t, {3, 2})); },
                                         "solve: a [2, 2] and b [3, 2] do not fit"),
                  fails_when<ShapeError>([](Tape& t) { solve(ones(t, {2, 2, 2}), ones(t, {3, 2, 1})); },
                                         "solve: a [2, 2, 2] and b [3, 2, 1] do not fit"),
                  fails_when<ShapeError>([](Tape& t) { solve(ones(t, {2, 2}), ones(t, {})); },
                                         "solve: [] is not a matrix or a batch of them"),
                  fails_when<SingularMatrix>([](Tape& t) { solve(ones(t, {3, 2, 2}), ones(t, {2})); },
                                             "solve: matrix 0 of [3, 2, 2] is singular"),
                  fails_when<DTypeError>([](Tape& t) { solve(ones(t, {2, 2}), ones(t, {2}, DType::float32)); },
                                         "solve: dtypes differ, float64 and float32")}},
      with_square_errors(
          of_matrix("inv", inv, regular, [](const Matrix& x) {
                      return naive::solve(regular(x), naive::shifted(Matrix(x.rows, x.rows), 1));
                    }, with_large(square_sets)),
          inv, {fails_when<SingularMatrix>([](Tape& t) { inv(ones(t, {2, 2})); }, "inv: matrix 0 of [2, 2] is singular")}),
      with_errors(triangular_case("", {}, solve_sets),
                  {fails<ShapeError>({{2, 2}, {3, 1}}, "triangular_solve: a [2, 2] and b [3, 1] do not fit"),
                   fails_when<ShapeError>([](Tape& t) { triangular_solve(ones(t, {2}), ones(t, {2, 1})); },
                                          "triangular_solve: [2] is not a square matrix or a batch of them"),
                   fails_when<DTypeError>([](Tape& t) { triangular_solve(ones(t, {2, 2}), ones(t, {2}, DType::float32)); },
                                          "triangular_solve: dtypes differ, float64 and float32")}),
      triangular_case(" of the upper triangle", {.upper = true}, solve_sets),
      triangular_case(" of a transposed", {.transpose = true}, solve_sets),
      triangular_case(" of an upper triangle transposed", {.upper = true, .transpose = true}, {{{3, 3}, {3, 2}}}),
      triangular_case(" with a unit diagonal", {.unit_diagonal = true}, {{{3, 3}, {3, 2}}, {{4, 4}, {4}}}),
      with_errors(triangular_case(" from the right", {.right = true},
                                  {{{3, 3}, {2, 3}}, {{2, 3, 3}, {1, 3}}, {{0, 0}, {2, 0}}}),
                  {fails<ShapeError>({{2, 2}, {2, 3}}, "triangular_solve: a [2, 2] and b [2, 3] do not fit"),
                   fails<ShapeError>({{2, 2}, {2}}, "triangular_solve: [2] is not a matrix or a batch of them")}),
      triangular_case(" from the right, upper", {.upper = true, .right = true}, {{{3, 3}, {2, 3}}}),
      triangular_case(" from the right, upper and transposed", {.upper = true, .transpose = true, .right = true},
                      {{{3, 3}, {2, 3}}}),
      triangular_case(" from the right, transposed with a unit diagonal",
                      {.transpose = true, .unit_diagonal = true, .right = true}, {{{3, 3}, {2, 3}}}),
      constant(of_matrix("lu_factor", detail::lu_factor, regular, [](const Matrix& x) {
                 // Of the transpose, by rows; without exchanges, for the diagonal is dominant.
                 Matrix a = naive::transposed(regular(x)), result(1, x.rows * x.rows + x.rows);
                 for (std::size_t k = 0; k < x.rows; ++k) {
                   for (std::size_t i = k + 1; i < x.rows; ++i) {
                     a(i, k) /= a(k, k);
                     for (std::size_t j = k + 1; j < x.rows; ++j) a(i, j) -= a(i, k) * a(k, j);
                   }
                 }
                 const Matrix by_rows = naive::transposed(a);
                 std::copy(by_rows.values.begin(), by_rows.values.end(), result.values.begin());
                 for (std::size_t i = 0; i < x.rows; ++i) result(0, x.rows * x.rows + i) = static_cast<double>(i);
                 return result;
               }, {{{1, 1}}, {{3, 3}}, {{2, 4, 4}}, {{0, 0}}}, 1)),

      with_square_errors(of_matrix("det", det, itself, [](const Matrix& x) { return number(naive::det(x)); },
                                   square_sets, 0), det),
      of_matrix("det of a regular matrix", det, regular, [](const Matrix& x) { return number(naive::det(regular(x))); },
                {{{3, 3}}, {{2, 4, 4}}}, 0),
      with_square_errors(of_matrix("logdet", logdet, regular, log_abs_det, square_sets, 0), logdet),
      with_square_errors(
          of_matrix("slogdet of the logarithm", [](const Var& a) { return slogdet(-a).log_abs; }, regular, log_abs_det,
                    square_sets, 0),
          [](const Var& a) { return slogdet(a).log_abs; }),
      constant(of_matrix("slogdet_sign", [](const Var& a) { return slogdet(a).sign; }, itself, [](const Matrix& x) {
                 const double d = naive::det(x);
                 return number(d > 0 ? 1 : d < 0 ? -1 : 0);
               }, square_sets, 0)),

      with_square_errors(
          of_matrix("cholesky", cholesky, definite, [](const Matrix& x) { return naive::cholesky(definite(x)); },
                    with_large(square_sets)),
          cholesky,
          {fails_when<NotPositiveDefinite>([](Tape& t) { cholesky(ones(t, {3, 2, 2})); },
                                           "cholesky: matrix 0 of [3, 2, 2] is not positive definite")}),
      with_errors(
          of_matrix("qr of q", [](const Var& a) { return normalized(qr(a)).q; }, spread,
                    [](const Matrix& x) { return naive::qr(spread(x)).q; }, matrix_sets),
          {fails_when<ShapeError>([](Tape& t) { qr(ones(t, {3})); }, "qr: [3] is not a matrix or a batch of them"),
           integers("qr", [](const Var& x) { qr(x); })}),
      of_matrix("qr of r", [](const Var& a) { return normalized(qr(a)).r; }, spread,
                [](const Matrix& x) { return naive::qr(spread(x)).r; }, matrix_sets),
      of_matrix("qr of both", [](const Var& a) {
                  const Qr f = qr(a);
                  return matmul(tanh(matmul(f.q, f.q, false, true)), matmul(f.q, f.r));
                }, spread, [](const Matrix& x) {
                  const auto f = naive::qr(spread(x));
                  Matrix projection = naive::product(f.q, naive::transposed(f.q));
                  for (double& v : projection.values) v = std::tanh(v);
                  return naive::product(projection, spread(x));
                }, {{{3, 2}}, {{2, 3}}, {{2, 3, 3}}}),
      with_errors(
          of_matrix("eigh of the values", [](const Var& a) { return eigh(a).values; }, symmetric,
                    [](const Matrix& x) { return naive::eigh(symmetric(x)).values; }, with_large(square_sets), 1),
          {fails_when<ShapeError>([](Tape& t) { eigh(ones(t, {2, 3})); },
                                  "eigh: [2, 3] is not a square matrix or a batch of them"),
           integers("eigh", [](const Var& x) { eigh(x); }),
           fails_when<NonFinite>([](Tape& t) { eigh(ones(t, {2, 2}) / 0.0); },
                                 "eigh: matrix 0 of [2, 2] is not finite, or the iteration did not converge")}),
      of_matrix("eigh of the vectors", [](const Var& a) { return square(eigh(a).vectors); }, symmetric,
                [](const Matrix& x) { return squared(naive::eigh(symmetric(x)).vectors); }, square_sets),
      of_matrix("eigh of both", [](const Var& a) {
                  const Eigh f = eigh(a);
                  const Var row = reshape(f.values, detail::with_matrix(detail::batch_of(a.shape()), {1, order(a)}));
                  return matmul(f.vectors * (row * row), f.vectors, false, true);
                }, symmetric, [](const Matrix& x) { return naive::product(symmetric(x), symmetric(x)); },
                {{{3, 3}}, {{2, 2, 2}}, {{23, 23}}}),
      with_errors(
          of_matrix("svd of the values", [](const Var& a) { return svd(a).s; }, spread,
                    [](const Matrix& x) { return naive::svd(spread(x)).s; }, matrix_sets, 1),
          {fails_when<ShapeError>([](Tape& t) { svd(ones(t, {3})); }, "svd: [3] is not a matrix or a batch of them"),
           integers("svd", [](const Var& x) { svd(x); }),
           fails_when<NonFinite>([](Tape& t) { svd(ones(t, {2, 3}) / 0.0); },
                                 "svd: matrix 0 of [2, 3] is not finite, or the iteration did not converge")}),
      of_matrix("svd of u", [](const Var& a) { return square(svd(a).u); }, spread,
                [](const Matrix& x) { return squared(naive::svd(spread(x)).u); }, matrix_sets),
      of_matrix("svd of vh", [](const Var& a) { return square(svd(a).vh); }, spread,
                [](const Matrix& x) { return squared(naive::svd(spread(x)).vh); }, matrix_sets),
      of_matrix("svd of all", [](const Var& a) {
                  const Svd f = svd(a);
                  const Shape& s = f.s.shape();
                  const Var row = reshape(f.s, detail::with_matrix(detail::batch_of(a.shape()), {1, s[s.rank() - 1]}));
                  return matmul(f.u * (row * row * row), f.vh);
                }, spread, [](const Matrix& x) {
                  const Matrix a = spread(x);
                  return naive::product(naive::product(a, naive::transposed(a)), a);
                }, {{{3, 3}}, {{3, 2}}, {{2, 3}}, {{2, 2, 2}}}),
  };
}

}  // namespace xgrad::cases
