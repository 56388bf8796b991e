// The cells of recurrent networks, compositions of linear, slice and activations.
#include "xgrad/ops/recurrent.hpp"

#include "lib/ops/common.hpp"
#include "xgrad/ops/activation.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/linalg.hpp"
#include "xgrad/ops/shape.hpp"

namespace xgrad {
namespace {

using detail::text;

/// The number of hidden units. @throws ShapeError unless the operands fit.
std::int64_t require_cell(const char* op, std::int64_t gates, const Var& x, const Var& h,
                          const CellWeights& w) {
  if (x.rank() == 2 && h.rank() == 2 && h.shape()[0] == x.shape()[0]) {
    const std::int64_t in = x.shape()[1], hidden = h.shape()[1], out = gates * hidden;
    if (w.input.shape() == Shape{in, out} && w.hidden.shape() == Shape{hidden, out} &&
        w.input_bias.shape() == Shape{out} && w.hidden_bias.shape() == Shape{out}) {
      return hidden;
    }
  }
  throw ShapeError(text(op, ": x ", x.shape(), ", h ", h.shape(), " and weights ", w.input.shape(), ", ",
                        w.hidden.shape(), ", ", w.input_bias.shape(), ", ", w.hidden_bias.shape(),
                        " do not fit; x is [N, in], h [N, hidden], the weights [in, n], [hidden, n], [n], [n]"
                        " with n = ",
                        gates, " hidden"));
}

/// Gates from first to before last of all gates, which lie side by side.
Var gates(const Var& a, std::int64_t hidden, std::int64_t first, std::int64_t last) {
  return slice(a, 1, first * hidden, last * hidden);
}

}  // namespace

LstmState lstm_cell(const Var& x, const LstmState& state, const CellWeights& w) {
  const std::int64_t n = require_cell("lstm_cell", 4, x, state.h, w);
  if (state.c.shape() != state.h.shape()) {
    throw ShapeError(text("lstm_cell: h ", state.h.shape(), " and c ", state.c.shape(), " must be alike"));
  }
  const Var a = linear(x, w.input, w.input_bias) + linear(state.h, w.hidden, w.hidden_bias);
  const Var i = sigmoid(gates(a, n, 0, 1)), f = sigmoid(gates(a, n, 1, 2)), g = tanh(gates(a, n, 2, 3)),
            o = sigmoid(gates(a, n, 3, 4));
  const Var c = f * state.c + i * g;
  return {o * tanh(c), c};
}

Var gru_cell(const Var& x, const Var& h, const CellWeights& w) {
  const std::int64_t n = require_cell("gru_cell", 3, x, h, w);
  const Var a = linear(x, w.input, w.input_bias), b = linear(h, w.hidden, w.hidden_bias);
  const Var r = sigmoid(gates(a, n, 0, 1) + gates(b, n, 0, 1));
  const Var z = sigmoid(gates(a, n, 1, 2) + gates(b, n, 1, 2));
  const Var candidate = tanh(gates(a, n, 2, 3) + r * gates(b, n, 2, 3));
  return candidate + z * (h - candidate);
}

}  // namespace xgrad
