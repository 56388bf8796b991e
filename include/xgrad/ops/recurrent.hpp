// One step of a recurrent network. The gates' weights lie side by side, in PyTorch's order; as for `linear`,
// a weight is [in, out].
#pragma once

#include "xgrad/tape/var.hpp"

namespace xgrad {

/// What a cell with `hidden` units and `gates` gates learns.
struct CellWeights {
  Var input;        ///< [in, gates hidden]
  Var hidden;       ///< [hidden, gates hidden]
  Var input_bias;   ///< [gates hidden]
  Var hidden_bias;  ///< [gates hidden]
};

/// Hidden state and cell state, both [N, hidden].
struct LstmState {
  Var h, c;
};

/// Long short-term memory (Hochreiter and Schmidhuber 1997), x [N, in]. With a = x input + input_bias +
/// h hidden + hidden_bias, the gates in the order i, f, g, o:
///     c' = sigmoid(f) c + sigmoid(i) tanh(g),  h' = sigmoid(o) tanh(c')
/// @throws ShapeError, DTypeError
LstmState lstm_cell(const Var& x, const LstmState& state, const CellWeights& weights);

/// A gated recurrent unit (Cho et al. 2014), x [N, in], h [N, hidden]. With a = x input + input_bias and
/// b = h hidden + hidden_bias, the gates in the order r, z, n:
///     n' = tanh(a_n + sigmoid(a_r + b_r) b_n),  z' = sigmoid(a_z + b_z),  h' = (1 - z') n' + z' h
/// @throws ShapeError, DTypeError
Var gru_cell(const Var& x, const Var& h, const CellWeights& weights);

}  // namespace xgrad
