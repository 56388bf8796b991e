// The vector kernels against loops in double precision: every tail length, rows and columns, assign and
// accumulate, and not a byte beyond the end. tests/CMakeLists.txt runs them for each instruction set.
#include "lib/tensor/kernels.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "xgrad/support/random.hpp"

using namespace xgrad;
using kernels::Extents;

namespace {

template <class T>
using Numbers = std::vector<T>;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class T>
Numbers<T> random_numbers(std::int64_t n, std::uint64_t seed) {
  Generator random(seed);
  Numbers<T> x(static_cast<std::size_t>(n));
  for (T& v : x) v = static_cast<T>(random.uniform(-2, 2));
  return x;
}

/// Runs kernel(y, write) both ways and compares with `expected`; what lies behind the end must stay.
template <class T, class Kernel>
void check(const Numbers<double>& expected, double tolerance, Kernel&& kernel) {
  for (const Write write : {Write::assign, Write::accumulate}) {
    Numbers<T> y(expected.size() + 9, T(0.5));
    kernel(y.data(), write);
    for (std::size_t i = 0; i < y.size(); ++i) {
      double wanted = 0.5;
      if (i < expected.size()) wanted = expected[i] + (write == Write::accumulate ? 0.5 : 0);
      CAPTURE(i);
      if (std::isfinite(wanted)) {
        REQUIRE(std::abs(static_cast<double>(y[i]) - wanted) <= tolerance * (1 + std::abs(wanted)));
      } else if (std::isnan(wanted)) {
        REQUIRE(std::isnan(y[i]));
      } else {
        REQUIRE(static_cast<double>(y[i]) == wanted);
      }
    }
  }
}

template <class T>
constexpr double kTolerance = sizeof(T) == 4 ? 2e-6 : 1e-14;

const std::vector<Extents> kExtents = [] {
  std::vector<Extents> all;
  for (std::int64_t n = 0; n < 40; ++n) all.push_back({2, n, 1});
  for (std::int64_t inner = 2; inner < 40; ++inner) all.push_back({2, 3, inner});
  for (const Extents& e : {Extents{1, 5000, 1}, Extents{1, 2049, 1}, Extents{1, 300, 17}, Extents{3, 1, 1},
                           Extents{0, 4, 5}, Extents{2, 0, 5}, Extents{1, 4097, 3}}) {
    all.push_back(e);
  }
  return all;
}();

/// For every line of n of [outer, n, inner]: body(line), and what it returns put back (size n) or put down
/// (size 1).
template <class T, class Body>
Numbers<double> by_line(const Numbers<T>& x, const Extents& e, bool reduced, Body&& body) {
  Numbers<double> result(static_cast<std::size_t>(e.outer * (reduced ? 1 : e.n) * e.inner));
  for (std::int64_t o = 0; o < e.outer; ++o) {
    for (std::int64_t i = 0; i < e.inner; ++i) {
      Numbers<double> line;
      for (std::int64_t k = 0; k < e.n; ++k) {
        line.push_back(static_cast<double>(x[static_cast<std::size_t>((o * e.n + k) * e.inner + i)]));
      }
      const Numbers<double> out = body(line, o, i);
      for (std::size_t k = 0; k < out.size(); ++k) {
        result[static_cast<std::size_t>((o * (reduced ? 1 : e.n) + static_cast<std::int64_t>(k)) * e.inner +
                                        i)] = out[k];
      }
    }
  }
  return result;
}

double log_sum_exp(const Numbers<double>& line) {
  double top = -kInfinity, sum = 0;
  for (double v : line) top = std::max(top, v);
  if (std::isinf(top)) return top;
  for (double v : line) sum += std::exp(v - top);
  return top + std::log(sum);
}

}  // namespace

TEST_CASE_TEMPLATE("kernels: reductions", T, float, double) {
  const auto& table = kernels::table<T>();
  for (const Extents& e : kExtents) {
    CAPTURE(e.outer);
    CAPTURE(e.n);
    CAPTURE(e.inner);
    const auto x = random_numbers<T>(e.outer * e.n * e.inner, 1);
    check<T>(by_line(x, e, true,
                     [](auto& line, auto, auto) {
                       double sum = 0;
                       for (double v : line) sum += v;
                       return Numbers<double>{sum};
                     }),
             kTolerance<T> * 10, [&](T* y, Write write) { table.sum(x.data(), e, y, write); });
    check<T>(by_line(x, e, true,
                     [](auto& line, auto, auto) {
                       return Numbers<double>{line.empty() ? -kInfinity
                                                           : *std::max_element(line.begin(), line.end())};
                     }),
             kTolerance<T>, [&](T* y, Write write) { table.max(x.data(), e, y, write); });
    check<T>(by_line(x, e, true,
                     [](auto& line, auto, auto) {
                       return Numbers<double>{line.empty() ? kInfinity
                                                           : *std::min_element(line.begin(), line.end())};
                     }),
             kTolerance<T>, [&](T* y, Write write) { table.min(x.data(), e, y, write); });
    check<T>(by_line(x, e, true, [](auto& line, auto, auto) { return Numbers<double>{log_sum_exp(line)}; }),
             kTolerance<T> * 4, [&](T* y, Write write) { table.logsumexp(x.data(), e, y, write); });
  }
}

TEST_CASE_TEMPLATE("kernels: softmax and its relatives", T, float, double) {
  const auto& table = kernels::table<T>();
  for (const Extents& e : kExtents) {
    CAPTURE(e.outer);
    CAPTURE(e.n);
    CAPTURE(e.inner);
    const std::int64_t size = e.outer * e.n * e.inner;
    const auto x = random_numbers<T>(size, 1), u = random_numbers<T>(size, 2);
    const auto along_u = [&](std::int64_t o, std::int64_t i, std::size_t k) {
      return static_cast<double>(
          u[static_cast<std::size_t>((o * e.n + static_cast<std::int64_t>(k)) * e.inner + i)]);
    };
    const double tolerance = kTolerance<T> * 8;
    check<T>(by_line(x, e, false,
                     [](auto line, auto, auto) {
                       const double all = log_sum_exp(line);
                       for (double& v : line) v = std::exp(v - all);
                       return line;
                     }),
             tolerance, [&](T* y, Write write) { table.softmax(x.data(), e, y, write); });
    check<T>(by_line(x, e, false,
                     [](auto line, auto, auto) {
                       const double all = log_sum_exp(line);
                       for (double& v : line) v -= all;
                       return line;
                     }),
             tolerance, [&](T* y, Write write) { table.log_softmax(x.data(), e, y, write); });
    check<T>(by_line(x, e, false,
                     [&](auto line, auto o, auto i) {
                       double dot = 0;
                       for (std::size_t k = 0; k < line.size(); ++k) dot += line[k] * along_u(o, i, k);
                       for (std::size_t k = 0; k < line.size(); ++k) line[k] *= along_u(o, i, k) - dot;
                       return line;
                     }),
             tolerance * 10 * static_cast<double>(e.n + 1),
             [&](T* y, Write write) { table.softmax_grad(u.data(), x.data(), e, y, write); });
    check<T>(by_line(x, e, false,
                     [&](auto line, auto o, auto i) {
                       double sum = 0;
                       for (std::size_t k = 0; k < line.size(); ++k) sum += along_u(o, i, k);
                       for (std::size_t k = 0; k < line.size(); ++k)
                         line[k] = along_u(o, i, k) - std::exp(line[k]) * sum;
                       return line;
                     }),
             tolerance * 10 * static_cast<double>(e.n + 1),
             [&](T* y, Write write) { table.log_softmax_grad(u.data(), x.data(), e, y, write); });
  }
}

TEST_CASE_TEMPLATE("kernels: numbers at the edge", T, float, double) {
  const auto& table = kernels::table<T>();
  const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  for (std::int64_t n : {1, 3, 8, 16, 17, 33}) {
    for (std::int64_t at = 0; at < n; at += 5) {
      for (std::int64_t inner : {1, 4}) {
        CAPTURE(n);
        CAPTURE(at);
        CAPTURE(inner);
        const Extents e{1, n, inner};
        const auto place = static_cast<std::size_t>(at * inner);
        Numbers<T> x(static_cast<std::size_t>(n * inner), T(-1e4)), y(x.size());
        x[place] = T(1e4);
        T result[4];
        table.logsumexp(x.data(), e, result, Write::assign);
        CHECK(result[0] == T(1e4));
        table.softmax(x.data(), e, y.data(), Write::assign);
        CHECK(y[place] == 1);
        x[place] = nan;
        table.max(x.data(), e, result, Write::assign);
        CHECK(std::isnan(result[0]));
        table.min(x.data(), e, result, Write::assign);
        CHECK(std::isnan(result[0]));
        table.logsumexp(x.data(), e, result, Write::assign);
        CHECK(std::isnan(result[0]));
        if (inner > 1) CHECK_FALSE(std::isnan(result[1]));
        std::fill(x.begin(), x.end(), -inf);
        table.max(x.data(), e, result, Write::assign);
        CHECK(result[0] == -inf);
        table.logsumexp(x.data(), e, result, Write::assign);
        CHECK(result[0] == -inf);
        x[place] = 0;
        table.softmax(x.data(), e, y.data(), Write::assign);
        CHECK(y[place] == 1);
        CHECK(std::count(y.begin(), y.end(), T(0)) == n - 1);
      }
    }
  }
}

TEST_CASE_TEMPLATE("kernels: maps of every length", T, float, double) {
  const auto& table = kernels::table<T>();
  using namespace functions;
  for (std::int64_t n = 0; n < 70; ++n) {
    CAPTURE(n);
    const auto x = random_numbers<T>(n, 1), y = random_numbers<T>(n, 2);
    const auto map = [&](auto&& f) {
      Numbers<double> result;
      for (std::size_t i = 0; i < x.size(); ++i)
        result.push_back(f(static_cast<double>(x[i]), static_cast<double>(y[i])));
      return result;
    };
    const auto& mul = table.binary[BinaryList::index_of<Mul>()];
    check<T>(map([](double a, double b) { return a * b; }), kTolerance<T>,
             [&](T* z, Write write) { mul[kernels::kVectorVector](x.data(), y.data(), z, n, write); });
    const T scalar = T(-1.25);
    check<T>(map([](double a, double) { return a * -1.25; }), kTolerance<T>,
             [&](T* z, Write write) { mul[kernels::kVectorScalar](x.data(), &scalar, z, n, write); });
    check<T>(map([](double, double b) { return -1.25 * b; }), kTolerance<T>,
             [&](T* z, Write write) { mul[kernels::kScalarVector](&scalar, y.data(), z, n, write); });
    const HyperbolicTangent f;
    check<T>(map([](double a, double) { return std::tanh(a); }), kTolerance<T> * 4, [&](T* z, Write write) {
      table.unary[UnaryList::index_of<HyperbolicTangent>()](&f, x.data(), z, n, write);
    });
    check<T>(map([](double a, double b) { return a - a * b * b; }), kTolerance<T> * 4,
             [&](T* z, Write write) {
               table.unary_grad[UnaryList::index_of<HyperbolicTangent>()](&f, x.data(), nullptr, y.data(), z,
                                                                          n, write);
             });
    check<T>(map([](double a, double) { return 3 * std::exp(a - 0.5); }), kTolerance<T> * 4,
             [&](T* z, Write write) { table.exp_minus(x.data(), T(0.5), T(3), z, n, write); });
  }
}

TEST_CASE_TEMPLATE("kernels: dropout makes the numbers of its definition", T, float, double) {
  const auto& table = kernels::table<T>();
  const Key key{0x123456789abcdef0, 0xfedcba9876543210};
  for (std::int64_t n : {0, 1, 15, 16, 17, 63, 64, 65, 200, 1000}) {
    for (std::uint64_t threshold :
         {std::uint64_t{0}, std::uint64_t{1} << 31, std::uint64_t{0xC0000000}, std::uint64_t{1} << 32}) {
      CAPTURE(n);
      CAPTURE(threshold);
      const auto x = random_numbers<T>(n, 1);
      Numbers<double> expected;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const std::size_t group = i / 64, e = i % 64;
        const std::uint32_t number = random_block(key, group * 16 + e % 16)[e / 16];
        expected.push_back(number < threshold ? 2 * static_cast<double>(x[i]) : 0);
      }
      check<T>(expected, kTolerance<T>,
               [&](T* y, Write write) { table.dropout(x.data(), y, 0, n, key, threshold, T(2), write); });
    }
  }
}

TEST_CASE("kernels: XGRAD_ISA is obeyed where the processor can") {
  const char* wanted = std::getenv("XGRAD_ISA");
  if (wanted && std::string(wanted) == "baseline") CHECK(std::string(kernels::isa_name()) == "baseline");
  if (wanted && std::string(wanted) == "avx2") CHECK(std::string(kernels::isa_name()) != "avx512");
}
