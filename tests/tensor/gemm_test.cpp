#include "lib/tensor/gemm.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <thread>
#include <vector>

#include "xgrad/support/error.hpp"
#include "xgrad/support/random.hpp"
#include "xgrad/support/threads.hpp"

using namespace xgrad;

namespace {

template <class T>
std::vector<T> random_matrix(Generator& random, std::int64_t size) {
  std::vector<T> m(static_cast<std::size_t>(size));
  for (T& v : m) v = static_cast<T>(random.uniform(-1, 1));
  return m;
}

/// The definition, in double precision.
template <class T>
std::vector<double> naive(const GemmShape& s, double alpha, const std::vector<T>& a, const std::vector<T>& b,
                          double beta, const std::vector<T>& c) {
  std::vector<double> result(c.size());
  for (std::int64_t i = 0; i < s.m; ++i) {
    for (std::int64_t j = 0; j < s.n; ++j) {
      double sum = 0;
      for (std::int64_t k = 0; k < s.k; ++k) {
        const auto p = static_cast<std::size_t>(s.transpose_a ? k * s.m + i : i * s.k + k);
        const auto q = static_cast<std::size_t>(s.transpose_b ? j * s.k + k : k * s.n + j);
        sum += static_cast<double>(a[p]) * static_cast<double>(b[q]);
      }
      const auto at = static_cast<std::size_t>(i * s.n + j);
      result[at] = alpha * sum + (beta == 0 ? 0 : beta * static_cast<double>(c[at]));
    }
  }
  return result;
}

}  // namespace

TEST_CASE_TEMPLATE("gemm: against the definition", T, float, double) {
  Generator random(1);
  for (int round = 0; round < 400; ++round) {
    const auto extent = [&] { return static_cast<std::int64_t>(random.below(round < 300 ? 20 : 90)); };
    GemmShape s{extent(), extent(), extent(), random.below(2) == 1, random.below(2) == 1};
    if (round % 10 == 0) (round % 3 == 0 ? s.m : round % 3 == 1 ? s.n : s.k) = 0;
    if (round % 10 == 1) (round % 3 == 0 ? s.m : round % 3 == 1 ? s.n : s.k) = 1;
    const double alpha = round % 4 == 0 ? random.uniform(-2, 2) : 1;
    const double beta = round % 3 == 0 ? 0 : round % 3 == 1 ? 1 : random.uniform(-2, 2);
    const auto a = random_matrix<T>(random, s.m * s.k), b = random_matrix<T>(random, s.k * s.n);
    auto c = random_matrix<T>(random, s.m * s.n);
    const auto expected = naive(s, alpha, a, b, beta, c);
    if (beta == 0) std::fill(c.begin(), c.end(), static_cast<T>(NAN));  // what is overwritten does not matter
    CAPTURE(s.m);
    CAPTURE(s.n);
    CAPTURE(s.k);
    CAPTURE(s.transpose_a);
    CAPTURE(s.transpose_b);
    CAPTURE(beta);
    c.push_back(T(42));
    gemm(s, static_cast<T>(alpha), a.data(), b.data(), static_cast<T>(beta), c.data());
    const double tolerance = (sizeof(T) == 4 ? 1e-6 : 1e-15) * static_cast<double>(s.k + 4) * 2;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      REQUIRE(std::abs(static_cast<double>(c[i]) - expected[i]) <= tolerance);
    }
    REQUIRE(c.back() == 42);
  }
}

TEST_CASE("gemm: empty products") {
  float c[4] = {1, 2, 3, NAN};
  gemm({2, 2, 0}, 1.0f, nullptr, nullptr, 1.0f, c);
  CHECK(c[0] == 1);
  CHECK(c[2] == 3);
  gemm({2, 2, 0}, 1.0f, nullptr, nullptr, 2.0f, c);
  CHECK(c[2] == 6);
  gemm({2, 2, 0}, 1.0f, nullptr, nullptr, 0.0f, c);
  for (float v : c) CHECK(v == 0);
  gemm({0, 5, 3}, 1.0f, nullptr, c, 0.0f, static_cast<float*>(nullptr));
  gemm({5, 0, 3}, 1.0f, c, nullptr, 0.0f, static_cast<float*>(nullptr));
}

TEST_CASE("gemm: extents beyond the BLAS's integers") {
  double x = 0;
  CHECK_THROWS_WITH_AS(gemm({1, 1, 3'000'000'000}, 1.0, &x, &x, 0.0, &x),
                       "gemm: an extent of 1 x 3000000000 by 3000000000 x 1 is beyond BLAS's integers",
                       Error);
  CHECK_THROWS_AS(gemm({3'000'000'000, 1, 1}, 1.0, &x, &x, 0.0, &x), Error);
}

TEST_CASE_TEMPLATE("gemm: the same bits for any number of threads (threads)", T, float, double) {
  Generator random(2);
  for (const GemmShape& s :
       {GemmShape{1000, 70, 150}, GemmShape{257, 300, 201, true}, GemmShape{600, 128, 120, true, true},
        GemmShape{1024, 96, 130, false, true}, GemmShape{50, 128, 784}, GemmShape{784, 128, 50, true},
        GemmShape{1000, 10, 783}, GemmShape{33, 19, 4001}, GemmShape{5, 3, 70'001}, GemmShape{9, 2000, 71}}) {
    const auto a = random_matrix<T>(random, s.m * s.k), b = random_matrix<T>(random, s.k * s.n);
    const auto start = random_matrix<T>(random, s.m * s.n);
    const double tolerance =
        (sizeof(T) == 4 ? 1e-4 : 1e-12) * std::sqrt(std::max(1.0, static_cast<double>(s.k) / 200));
    std::vector<T> one;
    for (int threads : {1, 2, 4}) {
      set_num_threads(threads);
      std::vector<T> c = start;
      gemm(s, T(1), a.data(), b.data(), T(1), c.data());
      if (threads == 1) {
        one = c;
        const auto expected = naive(s, 1, a, b, 1, start);
        for (std::size_t i = 0; i < c.size(); ++i) {
          REQUIRE(std::abs(static_cast<double>(c[i]) - expected[i]) < tolerance);
        }
      }
      CHECK(std::memcmp(one.data(), c.data(), c.size() * sizeof(T)) == 0);
    }
    set_num_threads(1);
  }
}

TEST_CASE("gemm: from several threads at once (threads)") {
  Generator random(3);
  const GemmShape s{520, 64, 256};
  const auto a = random_matrix<float>(random, s.m * s.k), b = random_matrix<float>(random, s.k * s.n);
  const auto product = [&] {
    std::vector<float> c(static_cast<std::size_t>(s.m * s.n));
    gemm(s, 1.0f, a.data(), b.data(), 0.0f, c.data());
    return c;
  };
  const auto expected = product();
  set_num_threads(2);
  std::vector<std::vector<float>> results(4);
  {
    std::vector<std::jthread> users;
    for (auto& result : results) {
      users.emplace_back([&] {
        for (int i = 0; i < 10; ++i) result = product();
      });
    }
  }
  set_num_threads(1);
  for (const auto& result : results) CHECK(result == expected);
}

TEST_CASE_TEMPLATE("gemm: rows apart", T, float, double) {
  // Each matrix is a block inside a wider one; what lies beside the result stays.
  Generator random(3);
  for (int flags = 0; flags < 4; ++flags) {
    GemmShape s{5, 7, 3, (flags & 1) != 0, (flags & 2) != 0};
    constexpr std::int64_t kWide = 11;
    const std::int64_t rows_a = s.transpose_a ? s.k : s.m, columns_a = s.transpose_a ? s.m : s.k,
                       rows_b = s.transpose_b ? s.n : s.k, columns_b = s.transpose_b ? s.k : s.n;
    const auto block = [](const std::vector<T>& wide, std::int64_t rows, std::int64_t columns) {
      std::vector<T> m;
      for (std::int64_t r = 0; r < rows; ++r) {
        m.insert(m.end(), wide.begin() + r * kWide, wide.begin() + r * kWide + columns);
      }
      return m;
    };
    const auto a = random_matrix<T>(random, rows_a * kWide), b = random_matrix<T>(random, rows_b * kWide);
    auto c = random_matrix<T>(random, s.m * kWide);
    const auto before = c;
    const auto expected =
        naive(s, 1, block(a, rows_a, columns_a), block(b, rows_b, columns_b), 1, block(c, s.m, s.n));
    s.stride_a = s.stride_b = s.stride_c = kWide;
    gemm(s, T(1), a.data(), b.data(), T(1), c.data());
    for (std::int64_t i = 0; i < s.m * kWide; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const std::int64_t row = i / kWide, column = i % kWide;
      if (column >= s.n) {
        CHECK(c[at] == before[at]);
      } else {
        CHECK(static_cast<double>(c[at]) ==
              doctest::Approx(expected[static_cast<std::size_t>(row * s.n + column)]).epsilon(1e-5));
      }
    }
  }
}
