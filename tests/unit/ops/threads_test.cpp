// Work that is large enough to be cut: the same bits for every number of threads, and right where it is cut.
#include <doctest/doctest.h>

#include <functional>
#include <thread>

#include "lib/support/parallel.hpp"
#include "tests/unit/tape/helpers.hpp"
#include "xgrad/xgrad.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

struct Large {
  const char* name;
  std::vector<std::vector<std::size_t>> shapes;
  std::function<Var(std::span<const Var>)> f;
};

using Vars = std::span<const Var>;
const Large kLarge[] = {
    {"unary", {{460, 301}}, [](Vars x) { return tanh(x[0]); }},
    {"dropout",
     {{460, 301}},
     [](Vars x) {
       return dropout(x[0], 0.3, Key{1, 2});
     }},
    {"binary", {{460, 301}, {460, 301}}, [](Vars x) { return x[0] * x[1]; }},
    {"binary with a scalar", {{460, 301}, {}}, [](Vars x) { return x[0] / x[1]; }},
    {"binary with a row", {{460, 301}, {301}}, [](Vars x) { return x[0] * x[1]; }},
    {"binary with a column", {{460, 301}, {460, 1}}, [](Vars x) { return x[1] - x[0]; }},
    {"broadcast both ways", {{80, 1, 50}, {60, 1}}, [](Vars x) { return x[0] * x[1]; }},
    {"where", {{460, 301}, {301}}, [](Vars x) { return where(greater(x[0], x[1]), x[0], x[1]); }},
    {"transpose", {{460, 301}}, [](Vars x) { return transpose(x[0]) * 2.0; }},
    {"sum of all", {{500'003}}, [](Vars x) { return sum(x[0]); }},
    {"sum to a row", {{500, 1001}}, [](Vars x) { return sum(x[0], 0); }},
    {"sum to a short row", {{50'001, 7}}, [](Vars x) { return sum(x[0], 0); }},
    {"sum to a column", {{300, 1001}}, [](Vars x) { return sum(x[0], 1); }},
    {"sum of the middle", {{3, 100, 700}}, [](Vars x) { return sum(x[0], 1); }},
    {"max of all", {{400, 501}}, [](Vars x) { return max(x[0]); }},
    {"min to a row", {{260, 1001}}, [](Vars x) { return min(x[0], 0); }},
    {"logsumexp of all", {{200'001}}, [](Vars x) { return logsumexp(x[0]); }},
    {"softmax of rows", {{1400, 101}}, [](Vars x) { return softmax(x[0], 1); }},
    {"softmax of columns", {{101, 1401}}, [](Vars x) { return softmax(x[0], 0); }},
    {"log_softmax of rows", {{1400, 101}}, [](Vars x) { return log_softmax(x[0], 1); }},
    {"layer_norm", {{1400, 101}}, [](Vars x) { return layer_norm(x[0]); }},
    {"batch_norm", {{60, 9, 17, 16}}, [](Vars x) { return batch_norm(x[0]); }},
    {"matmul", {{460, 301}, {301, 310}}, [](Vars x) { return matmul(x[0], x[1]); }},
    {"matmul of a batch", {{90, 40, 60}, {90, 60, 30}}, [](Vars x) { return matmul(x[0], x[1]); }},
    {"matmul of a batch with one", {{60, 40}, {90, 60, 30}}, [](Vars x) { return matmul(x[0], x[1], true); }},
    {"linear", {{700, 90}, {90, 201}, {201}}, [](Vars x) { return linear(x[0], x[1], x[2]); }},
    {"softmax_cross_entropy",
     {{15'000, 10}, {15'000, 10}},
     [](Vars x) { return softmax_cross_entropy(x[0], x[1]); }},
};

/// The value and the gradients of sum(f(x)^2), one after the other.
Values value_and_gradients(const Large& large, DType dtype, int threads) {
  set_num_threads(threads);
  Tape tape;
  std::vector<Var> x;
  for (std::size_t i = 0; i < large.shapes.size(); ++i) {
    const Array a = drawn(large.shapes[i], i, 0.5, 1.5);
    x.push_back(dtype == DType::float64 ? tape.input(a) : tape.input(xt::xarray<float>(xt::cast<float>(a))));
  }
  const Var y = large.f(x);
  Values all = values(y);
  for (const Var& g : grad(sum(square(y)), x)) {
    const Values v = values(g);
    all.insert(all.end(), v.begin(), v.end());
  }
  set_num_threads(1);
  return all;
}

}  // namespace

TEST_SUITE_BEGIN("ops");

TEST_CASE("large work: the same bits for every number of threads (threads)") {
  for (const Large& large : kLarge) {
    CAPTURE(large.name);
    for (DType dtype : {DType::float32, DType::float64}) {
      const Values one = value_and_gradients(large, dtype, 1);
      for (int threads : {2, 4}) CHECK(same_bits(value_and_gradients(large, dtype, threads), one));
      if (dtype == DType::float64)
        CHECK(difference(value_and_gradients(large, DType::float32, 3), one) < 3e-2);
    }
  }
}

TEST_CASE("large work: pieces of reductions against plain loops") {
  for (const auto& extents : {std::array<std::size_t, 3>{1, 200'003, 1},
                              {1, 50'001, 7},
                              {1, 301, 1001},
                              {3, 200, 701},
                              {2, 90'000, 1},
                              {1500, 101, 1},
                              {1, 700, 300}}) {
    const std::size_t outer = extents[0], n = extents[1], inner = extents[2];
    const Array a = drawn({outer, n, inner}, 4, 0.5, 1.5);
    Values sums(outer * inner), tops(outer * inner, -1), totals(outer * inner);
    for (std::size_t o = 0; o < outer; ++o) {
      for (std::size_t i = 0; i < inner; ++i) {
        const std::size_t k = o * inner + i;
        for (std::size_t j = 0; j < n; ++j) {
          sums[k] += a(o, j, i), tops[k] = std::max(tops[k], a(o, j, i)), totals[k] += std::exp(a(o, j, i));
        }
        totals[k] = std::log(totals[k]);
      }
    }
    CAPTURE(n);
    Tape tape;
    const Var x = tape.input(a);
    CHECK(difference(values(sum(x, 1)), sums) < 1e-13 * static_cast<double>(n));
    CHECK(values(max(x, 1)) == tops);
    CHECK(difference(values(logsumexp(x, 1)), totals) < 1e-12);
  }
}

TEST_CASE("large work: a NaN or an infinity in any piece is found") {
  for (const std::size_t at : {std::size_t{0}, std::size_t{70'001}, std::size_t{200'002}}) {
    Tape tape;
    Array a = drawn({200'003}, 4, 0.5, 1.5);
    a(at) = NAN;
    CHECK(std::isnan(max(tape.input(a)).item<double>()));
    CHECK(std::isnan(sum(tape.input(a)).item<double>()));
    a(at) = -INFINITY;
    CHECK(min(tape.input(a)).item<double>() == -INFINITY);
    CHECK(std::isfinite(logsumexp(tape.input(a)).item<double>()));
    a.fill(-INFINITY);
    CHECK(logsumexp(tape.input(a)).item<double>() == -INFINITY);
  }
}

TEST_CASE("two tapes on two threads do not disturb one another (threads)") {
  set_num_threads(2);
  const Array a = drawn({150, 500}, 1, 0.5, 1.5), b = drawn({500, 300}, 2, 0.5, 1.5);
  const auto run = [&] {
    Tape tape;
    const Var x = tape.input(a), w = tape.input(b);
    const Var loss = mean(softmax(matmul(tanh(x), w)));
    Values all;
    for (const Var& g : grad(loss, {x, w})) {
      const Values v = values(g);
      all.insert(all.end(), v.begin(), v.end());
    }
    return all;
  };
  const Values once = run();
  std::vector<int> same(3);
  {
    std::vector<std::jthread> users;
    for (int& result : same) {
      users.emplace_back([&] {
        result = 1;
        for (int i = 0; i < 5; ++i) result = result && same_bits(run(), once);
      });
    }
  }
  set_num_threads(1);
  CHECK(same == std::vector<int>(3, 1));
}

TEST_SUITE_END();
