// gemm and its batches against the definition, and the same bits for any number of threads.
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

namespace {

/// Matrices of m x k, k x n and m x n at the strides of a batch, and the batch's products by the definition.
template <class T>
struct BatchCase {
  GemmShape shape;
  GemmBatch batch;
  std::vector<T> a, b, c;

  BatchCase(Generator& random, const GemmShape& s, const GemmBatch& given) : shape(s), batch(given) {
    std::int64_t ends[3] = {};  // behind the first elements of the last matrices
    batch.for_each_run([&](const auto& at, std::int64_t n, const auto& step) {
      for (std::size_t i = 0; i < 3; ++i) ends[i] = std::max(ends[i], at[i] + (n - 1) * step[i]);
    });
    a = random_matrix<T>(random, ends[0] + s.m * s.k);
    b = random_matrix<T>(random, ends[1] + s.k * s.n);
    c = random_matrix<T>(random, ends[2] + s.m * s.n);
  }

  /// Calls body(offsets of a, b and c) for each product.
  template <class Body>
  void for_products(Body&& body) const {
    batch.for_each_run([&](const auto& at, std::int64_t n, const auto& step) {
      for (std::int64_t i = 0; i < n; ++i) {
        body(at[0] + i * step[0], at[1] + i * step[1], at[2] + i * step[2]);
      }
    });
  }
  std::vector<double> expected(double beta) const {
    std::vector<double> result(c.begin(), c.end());
    for_products([&](std::int64_t p, std::int64_t q, std::int64_t r) {
      const auto part = [](const std::vector<T>& v, std::int64_t first, std::int64_t n) {
        return std::vector<T>(v.begin() + first, v.begin() + first + n);
      };
      const auto product = naive(shape, 1, part(a, p, shape.m * shape.k), part(b, q, shape.k * shape.n), beta,
                                 part(c, r, shape.m * shape.n));
      std::copy(product.begin(), product.end(), result.begin() + r);
    });
    return result;
  }
  /// The batch in one call, and product by product.
  std::vector<T> in_one_call(T beta) const {
    std::vector<T> result = c;
    gemm(shape, T(1), a.data(), b.data(), beta, result.data(), batch);
    return result;
  }
  std::vector<T> one_by_one(T beta) const {
    std::vector<T> result = c;
    for_products([&](std::int64_t p, std::int64_t q, std::int64_t r) {
      gemm(shape, T(1), a.data() + p, b.data() + q, beta, result.data() + r);
    });
    return result;
  }
};

template <class T>
void check_close(const std::vector<T>& found, const std::vector<double>& expected, double tolerance) {
  REQUIRE(found.size() == expected.size());
  std::size_t close = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    close += std::abs(static_cast<double>(found[i]) - expected[i]) <= tolerance;
  }
  CHECK(close == found.size());
}

}  // namespace

TEST_CASE_TEMPLATE("gemm: against the definition, batches", T, float, double) {
  Generator random(4);
  for (int round = 0; round < 60; ++round) {
    const auto extent = [&] { return static_cast<std::int64_t>(1 + random.below(12)); };
    GemmShape s{extent(), extent(), extent(), random.below(2) == 1, random.below(2) == 1};
    if (round % 15 == 0) s.k = 0;
    const std::int64_t outer = extent(), inner = extent(), gap = round % 3;
    const std::int64_t x = s.m * s.k + gap, y = s.k * s.n + gap, z = s.m * s.n + gap;
    CAPTURE(round);
    for (const GemmBatch& batch : {
             GemmBatch(Shape{inner}, {{{x}, {y}, {z}}}),
             GemmBatch(Shape{inner}, {{{0}, {y}, {z}}}),  // one A for all
             GemmBatch(Shape{inner}, {{{x}, {0}, {z}}}),
             GemmBatch(Shape{inner}, {{{0}, {0}, {z}}}),
             GemmBatch(Shape{outer, inner}, {{{inner * x, x}, {inner * y, y}, {inner * z, z}}}),
             GemmBatch(Shape{outer, inner}, {{{0, x}, {y, 0}, {inner * z, z}}}),  // every A by every B
             GemmBatch(Shape{outer, inner}, {{{x, outer * x}, {y, 0}, {z, outer * z}}}),
         }) {
      const BatchCase<T> products(random, s, batch);
      for (const T beta : {T(0), T(1), T(-0.5)}) {
        const auto found = products.in_one_call(beta);
        check_close(found, products.expected(static_cast<double>(beta)), sizeof(T) == 4 ? 2e-5 : 1e-13);
        CHECK(found == products.one_by_one(beta));
      }
    }
  }
}

TEST_CASE("gemm: empty batches") {
  float c = 42;
  for (const Shape& extents : {Shape{0}, Shape{3, 0}, Shape{0, 3}}) {
    gemm({1, 1, 1}, 1.0f, nullptr, nullptr, 0.0f, &c, GemmBatch(extents, {}));
    gemm({1, 1, 0}, 1.0f, nullptr, nullptr, 0.0f, &c, GemmBatch(extents, {}));
  }
  CHECK(c == 42);
}

TEST_CASE_TEMPLATE("gemm: batches have the same bits for any number of threads (threads)", T, float, double) {
  Generator random(5);
  const GemmShape small{40, 30, 60}, one_block{100, 31, 700}, blocks{300, 200, 260},
      transposed{257, 300, 201, true};
  for (const GemmShape& s : {small, one_block, blocks, transposed}) {
    const std::int64_t x = s.m * s.k, y = s.k * s.n, z = s.m * s.n;
    for (const GemmBatch& batch :
         {GemmBatch(Shape{7}, {{{x}, {y}, {z}}}), GemmBatch(Shape{7}, {{{x}, {0}, {z}}}),
          GemmBatch(Shape{3, 5}, {{{x, 0}, {0, y}, {5 * z, z}}})}) {
      const BatchCase<T> products(random, s, batch);
      set_num_threads(1);
      const auto one = products.one_by_one(T(1));
      check_close(one, products.expected(1), sizeof(T) == 4 ? 1e-3 : 1e-12);
      for (int threads : {1, 2, 4}) {
        set_num_threads(threads);
        CHECK(products.in_one_call(T(1)) == one);
      }
      set_num_threads(1);
    }
  }
}
