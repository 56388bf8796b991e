// Determinants, solving and decompositions, where the case table's rows cannot go.
#include "xgrad/ops/decompositions.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <sstream>
#include <thread>

#include "tests/cases/naive_matrix.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/linalg.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/ops/shape.hpp"
#include "xgrad/support/random.hpp"
#include "xgrad/tape/grad.hpp"
#include "xgrad/tape/gradcheck.hpp"

using namespace xgrad;

namespace {

using Array = xt::xarray<double>;
using Vars = std::span<const Var>;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Array random_array(std::vector<std::size_t> shape, std::uint64_t seed) {
  Generator random(seed);
  Array x(Array::shape_type(shape.begin(), shape.end()));
  for (double& v : x) v = random.uniform(-1, 1);
  return x;
}

double distance(const Array& a, const Array& b) {
  REQUIRE(a.shape() == b.shape());
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a.data()[i] - b.data()[i]));
  return worst;
}

bool all_finite(const Array& a) {
  return std::all_of(a.begin(), a.end(), [](double v) { return std::isfinite(v); });
}

void check_both(const TensorFunction& f, const std::vector<Array>& x) {
  const GradcheckReport first = gradcheck(f, x), second = gradgradcheck(f, x);
  CHECK_MESSAGE(first, first.text());
  CHECK_MESSAGE(second, second.text());
}

/// [n, n] of the given rank.
Array of_rank(std::size_t n, std::size_t rank) {
  const Array left = random_array({n, rank}, n), right = random_array({rank, n}, n + 1);
  return naive::matmul(left, right);
}

Var column_sum(const Var& x) { return sum(x * x); }

}  // namespace

TEST_SUITE_BEGIN("ops");

TEST_CASE("det: derivatives where the matrix is singular") {
  const TensorFunction f = [](Vars x) { return det(x[0]); };
  for (std::size_t n : {1, 2, 3, 4}) {
    for (std::size_t corank = 1; corank <= n; ++corank) {
      CAPTURE(n);
      CAPTURE(corank);
      check_both(f, {of_rank(n, n - corank)});
    }
  }
  Array batch = random_array({3, 3, 3}, 5);  // one regular, one of rank 1, one of zeros
  const Array singular = of_rank(3, 1);
  std::copy(singular.begin(), singular.end(), batch.data() + 9);
  std::fill_n(batch.data() + 18, 9, 0.0);
  check_both(f, {batch});

  Tape tape;
  const Var x = tape.input(Array{{1, 2}, {2, 4}});
  CHECK(distance(grad(det(x), {x})[0].array<double>(), Array{{4, -2}, {-2, 1}}) < 1e-14);
}

TEST_CASE("det: the third derivative and the fourth, of regular matrices") {
  const TensorFunction gradient = [](Vars x) { return grad(det(x[0]), {x[0]}, {.create_graph = true})[0]; };
  check_both(gradient, {random_array({3, 3}, 1)});
  const TensorFunction second = [](Vars x) {
    const Var g = grad(det(x[0]), {x[0]}, {.create_graph = true})[0];
    return grad(sum(g * g * g), {x[0]}, {.create_graph = true})[0];
  };
  check_both(second, {random_array({3, 3}, 2)});
}

TEST_CASE("det and its kin: special values") {
  Tape tape;
  CHECK(det(tape.input(Array::from_shape({0, 0}))).item<double>() == 1);
  CHECK(logdet(tape.input(Array::from_shape({0, 0}))).item<double>() == 0);
  const Var negative = tape.input(Array{{0, 1}, {1, 0}}), singular = tape.input(Array{{1, 1}, {1, 1}});
  CHECK(det(negative).item<double>() == -1);
  CHECK(std::isnan(logdet(negative).item<double>()));
  CHECK(slogdet(negative).sign.item<double>() == -1);
  CHECK(slogdet(negative).log_abs.item<double>() == 0);
  CHECK(det(singular).item<double>() == 0);
  CHECK(logdet(singular).item<double>() == -kInfinity);
  CHECK(slogdet(singular).sign.item<double>() == 0);
  const Var nan = tape.input(Array{{1, 1}, {kNaN, 1}});
  CHECK(std::isnan(det(nan).item<double>()));
  CHECK(std::isnan(logdet(nan).item<double>()));
  CHECK(std::isnan(grad(det(nan), {nan})[0].array<double>()(0, 0)));
  // Far beyond the range of a determinant.
  const Var large = tape.input(
      Array(1e300 * naive::generate({3, 3}, [](const naive::Index& i) { return i[0] == i[1] ? 1.0 : 0.0; })));
  CHECK(logdet(large).item<double>() == doctest::Approx(3 * std::log(1e300)));
}

TEST_CASE("solve: rows have to be exchanged") {
  const Array exchange{{0, 2, 0}, {0, 0, 3}, {4, 0, 0}};
  Tape tape;
  const Array x = solve(tape.input(exchange), tape.input(Array{2, 3, 4})).array<double>();
  CHECK(x == Array{1, 1, 1});
  const TensorFunction f = [](Vars v) { return solve(v[0], v[1]); };
  check_both(f, {exchange, random_array({3, 2}, 1)});
  for (std::uint64_t seed = 1; seed < 20; ++seed) {
    const Array a = random_array({6, 6}, seed), b = random_array({6, 3}, seed + 50);
    const Array wanted =
        naive::batched({a, b}, [](const naive::Matrices& m) { return naive::solve(m[0], m[1]); });
    CHECK(distance(solve(tape.input(a), tape.input(b)).array<double>(), wanted) < 1e-9);
  }
  check_both([](Vars v) { return logdet(v[0]); }, {Array{{0, 2, 0}, {0, 0, 3}, {4, 0, 1}}});
}

TEST_CASE("solve and inv: name the matrix that is singular") {
  Tape tape;
  Array a = random_array({3, 2, 2}, 3);
  std::fill_n(a.data() + 4, 4, 1.0);
  CHECK_THROWS_WITH_AS(inv(tape.input(a)), "inv: matrix 1 of [3, 2, 2] is singular", SingularMatrix);
  CHECK_THROWS_WITH_AS(solve(tape.input(a), tape.input(Array{1, 2})),
                       "solve: matrix 1 of [3, 2, 2] is singular", SingularMatrix);
  CHECK(tape.statistics().instructions == 0);
  // Not a number is not zero: it goes through, as everywhere.
  CHECK(std::isnan(inv(tape.input(Array{{kNaN, 1}, {0, 1}})).array<double>()(0, 0)));
}

TEST_CASE("solve: the factors are computed once, whatever the order of the derivative") {
  Tape tape;
  const Var a = tape.input(Array{{4, 1}, {1, 3}}), b = tape.input(Array{1, 2});
  const Var g = grad(column_sum(solve(a, b)), {a}, {.create_graph = true})[0];
  grad(column_sum(g), {a, b}, {.create_graph = true});
  std::ostringstream recording;
  tape.print(recording);
  CHECK(recording.str().find("lu_solve") != std::string::npos);
  CHECK(recording.str().find("lu_factor(") == std::string::npos);
}

TEST_CASE("triangular_solve: the other triangle is not read and has no gradient") {
  Tape tape;
  const Var a = tape.input(Array{{2, kNaN}, {1, 4}}), b = tape.input(Array{2, 9});
  const Var x = triangular_solve(a, b);
  CHECK(x.array<double>() == Array{1, 2});
  const Array g = grad(sum(x), {a})[0].array<double>();
  CHECK(g(0, 1) == 0);
  CHECK(g(1, 1) == -0.5);
  const Var unit = tape.input(Array{{kNaN, 3}, {kNaN, kNaN}});
  const Var y = triangular_solve(unit, b, {.upper = true, .unit_diagonal = true});
  CHECK(y.array<double>() == Array{-25, 9});
  CHECK(grad(sum(y), {unit})[0].array<double>() == Array{{0, -9}, {0, 0}});
  const Var zero = tape.input(Array(xt::zeros<double>({1, 1})));
  CHECK(triangular_solve(zero, tape.input(Array{1.0})).array<double>()(0) == kInfinity);
}

TEST_CASE("cholesky: what is read, and what is not positive definite") {
  Tape tape;
  const Var a = tape.input(Array{{4, kNaN}, {2, 5}});
  const Var l = cholesky(a);
  CHECK(l.array<double>() == Array{{2, 0}, {1, 2}});
  const Array g = grad(sum(l), {a})[0].array<double>();
  CHECK(g(0, 1) == g(1, 0));
  Array batch(std::vector<std::size_t>{3, 2, 2}, 0.0);
  for (std::size_t i = 0; i < 3; ++i) batch(i, 0, 0) = batch(i, 1, 1) = 1;
  for (double bad : {0.0, -1.0, kNaN, kInfinity}) {
    batch(2, 1, 1) = bad;
    CHECK_THROWS_WITH_AS(cholesky(tape.input(batch)),
                         "cholesky: matrix 2 of [3, 2, 2] is not positive definite", NotPositiveDefinite);
  }
}

TEST_CASE("eigh: the lower triangle is read and the gradient is symmetric") {
  Tape tape;
  const Var a = tape.input(Array{{2, kNaN}, {1, 2}});
  const Eigh f = eigh(a);
  CHECK(distance(f.values.array<double>(), Array{1, 3}) < 1e-14);
  const Array g = grad(sum(f.values * tape.constant(Array{1, 3})), {a})[0].array<double>();
  CHECK(distance(g, Array{{2, 1}, {1, 2}}) < 1e-14);
}

TEST_CASE("eigh and svd: gradients of the values alone are finite where they coincide") {
  Tape tape;
  const Var one = tape.input(Array{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}});
  const Array g = grad(sum(square(eigh(one).values)), {one})[0].array<double>();
  CHECK(distance(g, Array{{2, 0, 0}, {0, 2, 0}, {0, 0, 2}}) < 1e-14);
  const Array h = grad(sum(square(svd(one).s)), {one})[0].array<double>();
  CHECK(distance(h, Array{{2, 0, 0}, {0, 2, 0}, {0, 0, 2}}) < 1e-14);
  for (const Array& x : {Array(xt::zeros<double>({3, 2})), of_rank(3, 1), Array(xt::ones<double>({2, 4}))}) {
    const Var v = tape.input(x);
    CHECK(all_finite(grad(sum(svd(v).s), {v})[0].array<double>()));
  }
  const Var zero = tape.input(Array(xt::zeros<double>({2, 2})));
  CHECK(all_finite(grad(sum(eigh(zero).values), {zero})[0].array<double>()));
}

TEST_CASE("decompositions: large enough for LAPACK's blocks") {
  Tape tape;
  const auto pause = tape.no_grad();
  const std::size_t n = 150, m = 190;
  const Array a = random_array({n, n}, 1), tall = random_array({m, n}, 2), wide = random_array({n, m}, 3);
  const Array one = naive::generate({n, n}, [](const naive::Index& i) { return i[0] == i[1] ? 1.0 : 0.0; });
  const Var x = tape.constant(a), identity = tape.constant(one);
  CHECK(distance(matmul(x, inv(x)).array<double>(), one) < 1e-9);
  const Array definite = matmul(x, x, false, true).array<double>() + one;
  const Var l = cholesky(tape.constant(definite));
  CHECK(distance(matmul(l, l, false, true).array<double>(), definite) < 1e-10);
  const Array symmetric = a + xt::transpose(a);
  const Eigh e = eigh(tape.constant(symmetric));
  CHECK(distance(matmul(e.vectors * e.values, e.vectors, false, true).array<double>(), symmetric) < 1e-11);
  CHECK(distance(matmul(e.vectors, e.vectors, true, false).array<double>(), one) < 1e-12);
  CHECK(std::is_sorted(e.values.view().as<double>(), e.values.view().as<double>() + n));
  for (const Array& b : {a, tall, wide}) {
    const Var v = tape.constant(b);
    const Qr f = qr(v);
    CHECK(distance(matmul(f.q, f.r).array<double>(), b) < 1e-12);
    CHECK(distance(matmul(f.q, f.q, true, false).array<double>(), one) < 1e-12);
    CHECK(f.r.array<double>()(n - 1, n - 2) == 0);
    const Svd s = svd(v);
    CHECK(distance(matmul(s.u * s.s, s.vh).array<double>(), b) < 1e-11);
    CHECK(distance(matmul(s.u, s.u, true, false).array<double>(), one) < 1e-12);
    CHECK(distance(matmul(s.vh, s.vh, false, true).array<double>(), one) < 1e-12);
    CHECK(std::is_sorted(s.s.view().as<double>(), s.s.view().as<double>() + n, std::greater<>()));
  }
}

TEST_CASE("decompositions: the same bits from several threads at once") {
  const Array a = random_array({40, 40}, 7);
  const auto compute = [&a] {
    Tape tape;
    const Var x = tape.input(a);
    const Svd f = svd(x);
    const Var loss = sum(square(f.s)) + det(x) + logdet(matmul(x, x, false, true)) + sum(qr(x).r) +
                     sum(eigh(matmul(x, x, true, false)).values) + sum(inv(x));
    return grad(loss, {x})[0].array<double>();
  };
  const Array wanted = compute();
  std::vector<Array> results(4);
  {
    std::vector<std::jthread> threads;
    for (Array& result : results) {
      threads.emplace_back([&] {
        for (int i = 0; i < 5; ++i) result = compute();
      });
    }
  }
  for (const Array& result : results) CHECK(result == wanted);
}

TEST_CASE("svd: a decomposition that is put together again has the gradient of its operand") {
  for (const auto& shape : {std::vector<std::size_t>{3, 3}, {4, 2}, {2, 4}}) {
    Tape tape;
    const Array weights = random_array(shape, 2);
    const Var x = tape.input(random_array(shape, 1));
    const Svd f = svd(x);
    const Var y = matmul(f.u * f.s, f.vh);
    const auto g = grad(y, {x}, {.cotangent = tape.constant(weights)});
    CHECK(distance(g[0].array<double>(), weights) < 1e-12);
    const Qr q = qr(x);
    const auto h = grad(matmul(q.q, q.r), {x}, {.cotangent = tape.constant(weights)});
    CHECK(distance(h[0].array<double>(), weights) < 1e-12);
  }
}

TEST_SUITE_END();
