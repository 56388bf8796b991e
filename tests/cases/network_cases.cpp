// Attention and recurrent cells.
#include <cmath>
#include <limits>

#include "tests/cases/op_cases.hpp"
#include "xgrad/ops/attention.hpp"
#include "xgrad/ops/recurrent.hpp"
#include "xgrad/ops/shape.hpp"

namespace xgrad::cases {
namespace {

using naive::Index;

constexpr double kInf = std::numeric_limits<double>::infinity();

/// softmax(scale q k^T + mask) v
Array attention(const Arrays& x, double scale, const std::function<double(const Index& place)>& mask) {
  const Array products = naive::matmul(x[0], x[1], false, true);
  const Array scores = naive::generate(
      naive::extents(products), [&](const Index& i) { return scale * naive::at(products, i) + mask(i); });
  return naive::matmul(naive::along(scores, scores.dimension() - 1, naive::softmax), x[2]);
}

double scale_of(const Arrays& x) { return 1 / std::sqrt(static_cast<double>(x[0].shape().back())); }

double nothing(const Index&) { return 0; }

/// A fixed mask [L, S] that leaves every row a place to look at.
bool allowed(std::size_t row, std::size_t column) { return row == column || (row * 3 + column * 5) % 4 < 2; }

Var allowed_mask(const Var& q, const Var& k) {
  const Shape shape{q.shape()[q.rank() - 2], k.shape()[k.rank() - 2]};
  return q.tape().constant({DType::boolean, shape}, [&](View v) {
    for (std::int64_t i = 0; i < v.size(); ++i) {
      v.as<bool>()[i] =
          allowed(static_cast<std::size_t>(i / shape[1]), static_cast<std::size_t>(i % shape[1]));
    }
  });
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// x w + b, number `column` of row `row`.
double affine(const Array& x, const Array& w, const Array& b, std::size_t row, std::size_t column) {
  double sum = b(column);
  for (std::size_t k = 0; k < x.shape(1); ++k) sum += x(row, k) * w(k, column);
  return sum;
}

/// h' and c' side by side; operands x, h, c, weights.
Array lstm(const Arrays& x) {
  const std::size_t rows = x[1].shape(0), hidden = x[1].shape(1);
  return naive::generate({rows, 2 * hidden}, [&](const Index& i) {
    const std::size_t unit = i[1] % hidden;
    const auto gate = [&](std::size_t g) {
      const std::size_t column = g * hidden + unit;
      return affine(x[0], x[3], x[5], i[0], column) + affine(x[1], x[4], x[6], i[0], column);
    };
    const double c = sigmoid(gate(1)) * x[2](i[0], unit) + sigmoid(gate(0)) * std::tanh(gate(2));
    return i[1] < hidden ? sigmoid(gate(3)) * std::tanh(c) : c;
  });
}

/// Operands x, h, weights.
Array gru(const Arrays& x) {
  const std::size_t hidden = x[1].shape(1);
  return naive::generate(naive::extents(x[1]), [&](const Index& i) {
    const auto input = [&](std::size_t g) { return affine(x[0], x[2], x[4], i[0], g * hidden + i[1]); };
    const auto state = [&](std::size_t g) { return affine(x[1], x[3], x[5], i[0], g * hidden + i[1]); };
    const double r = sigmoid(input(0) + state(0)), z = sigmoid(input(1) + state(1));
    return (1 - z) * std::tanh(input(2) + r * state(2)) + z * x[1](i[0], i[1]);
  });
}

constexpr const char* kCellHint =
    " do not fit; x is [N, in], h [N, hidden], the weights [in, n], [hidden, n], [n], [n] with n = ";

}  // namespace

// By hand: clang-format spreads lambdas that hold braces over many lines.
// clang-format off
std::vector<OpCase> network_cases() {
  return {
      {.name = "scaled_dot_product_attention",
       .f = [](Vars x) { return scaled_dot_product_attention(x[0], x[1], x[2]); },
       .reference = [](const Arrays& x) { return attention(x, scale_of(x), nothing); },
       .sets = {{{3, 2}, {4, 2}, {4, 3}}, {{2, 1, 3}, {2, 4, 3}, {2, 4, 1}}, {{2, 2, 3, 5}, {2, 1, 7, 5}, {2, 2, 7, 4}}},
       .errors = {fails<ShapeError>({{3, 2}, {4, 3}, {4, 3}},
                                    "scaled_dot_product_attention: q [3, 2], k [4, 3] and v [4, 3] do not fit; "
                                    "q is [..., L, E], k [..., S, E], v [..., S, F]"),
                  fails<ShapeError>({{3, 2}, {4, 2}, {3, 3}},
                                    "scaled_dot_product_attention: q [3, 2], k [4, 2] and v [3, 3] do not fit; "
                                    "q is [..., L, E], k [..., S, E], v [..., S, F]"),
                  fails_when<DTypeError>(
                      [](Tape& t) { scaled_dot_product_attention(ones(t, {1, 1}), ones(t, {1, 1}), ones(t, {1, 1}, DType::float32)); },
                      "scaled_dot_product_attention: dtypes differ, float64 and float32")}},
      {.name = "scaled_dot_product_attention with numbers added, and a scale",
       .f = [](Vars x) { return scaled_dot_product_attention(x[0], x[1], x[2], {.mask = x[3], .scale = 0.3}); },
       .reference = [](const Arrays& x) { return attention(x, 0.3, [&](const Index& i) { return naive::at(x[3], i); }); },
       .sets = {{{3, 2}, {4, 2}, {4, 3}, {3, 4}}, {{2, 3, 2}, {2, 4, 2}, {2, 4, 3}, {1, 4}}},
       .errors = {fails_when<ShapeError>(
           [](Tape& t) {
             const Var x = ones(t, {2, 2});
             scaled_dot_product_attention(x, x, x, {.mask = ones(t, {3, 2}, DType::boolean)});
           },
           "scaled_dot_product_attention: mask [3, 2] does not broadcast to [2, 2]")}},
      {.name = "scaled_dot_product_attention with a mask",
       .f = [](Vars x) { return scaled_dot_product_attention(x[0], x[1], x[2], {.mask = allowed_mask(x[0], x[1])}); },
       .reference = [](const Arrays& x) {
         return attention(x, scale_of(x), [&](const Index& i) { return allowed(i[i.size() - 2], i.back()) ? 0 : -kInf; });
       },
       .sets = {{{3, 2}, {4, 2}, {4, 3}}, {{2, 4, 3}, {2, 5, 3}, {2, 5, 2}}}},
      {.name = "scaled_dot_product_attention that is causal",
       .f = [](Vars x) { return scaled_dot_product_attention(x[0], x[1], x[2], {.causal = true}); },
       .reference = [](const Arrays& x) {
         return attention(x, scale_of(x), [&](const Index& i) { return i.back() <= i[i.size() - 2] ? 0 : -kInf; });
       },
       .sets = {{{4, 2}, {4, 2}, {4, 3}}, {{2, 2, 3}, {2, 5, 3}, {2, 5, 2}}}},
      {.name = "lstm_cell",
       .f = [](Vars x) {
         const LstmState s = lstm_cell(x[0], {x[1], x[2]}, {x[3], x[4], x[5], x[6]});
         return concat({s.h, s.c}, 1);
       },
       .reference = lstm,
       .sets = {{{2, 3}, {2, 2}, {2, 2}, {3, 8}, {2, 8}, {8}, {8}},
                {{1, 1}, {1, 1}, {1, 1}, {1, 4}, {1, 4}, {4}, {4}},
                {{0, 3}, {0, 2}, {0, 2}, {3, 8}, {2, 8}, {8}, {8}},
                {{5, 7}, {5, 6}, {5, 6}, {7, 24}, {6, 24}, {24}, {24}}},
       .errors = {fails<ShapeError>({{2, 3}, {2, 2}, {2, 1}, {3, 8}, {2, 8}, {8}, {8}},
                                    "lstm_cell: h [2, 2] and c [2, 1] must be alike"),
                  fails<ShapeError>({{2, 3}, {2, 2}, {2, 2}, {3, 8}, {2, 8}, {8}, {6}},
                                    std::string("lstm_cell: x [2, 3], h [2, 2] and weights [3, 8], [2, 8], [8], [6]") +
                                        kCellHint + "4 hidden")}},
      {.name = "gru_cell",
       .f = [](Vars x) { return gru_cell(x[0], x[1], {x[2], x[3], x[4], x[5]}); },
       .reference = gru,
       .sets = {{{2, 3}, {2, 2}, {3, 6}, {2, 6}, {6}, {6}},
                {{1, 1}, {1, 1}, {1, 3}, {1, 3}, {3}, {3}},
                {{0, 3}, {0, 2}, {3, 6}, {2, 6}, {6}, {6}},
                {{5, 7}, {5, 6}, {7, 18}, {6, 18}, {18}, {18}}},
       .errors = {fails<ShapeError>({{2, 3}, {1, 2}, {3, 6}, {2, 6}, {6}, {6}},
                                    std::string("gru_cell: x [2, 3], h [1, 2] and weights [3, 6], [2, 6], [6], [6]") +
                                        kCellHint + "3 hidden")}},
  };
}

}  // namespace xgrad::cases
