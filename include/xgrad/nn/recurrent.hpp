// LstmCell and GruCell: one step of a recurrent network each; the program writes the loop.
#pragma once

#include <cstdint>

#include "xgrad/nn/visitor.hpp"
#include "xgrad/ops/recurrent.hpp"
#include "xgrad/support/random.hpp"
#include "xgrad/tape/parameter.hpp"

namespace xgrad::nn {

/// The parameters of a cell, all uniform in +-1 / sqrt(hidden), as in PyTorch.
struct CellParameters {
  CellParameters(std::int64_t in, std::int64_t hidden, std::int64_t gates, Generator& random, DType dtype);
  CellWeights on(Tape& tape) const;
  void visit(Visitor& v);

  Parameter input, hidden, input_bias, hidden_bias;  ///< as in CellWeights
};

/// lstm_cell with weights of its own.
struct LstmCell {
  /// @throws ShapeError for extents below 0.
  LstmCell(std::int64_t in, std::int64_t hidden, Generator& random, DType dtype = DType::float32)
      : weights(in, hidden, 4, random, dtype) {}
  /// A step; an empty state is one of zeros.
  LstmState operator()(const Var& x, const LstmState& state = {}) const;
  void visit(Visitor& v) { weights.visit(v); }

  CellParameters weights;
};

/// gru_cell with weights of its own.
struct GruCell {
  /// @throws ShapeError for extents below 0.
  GruCell(std::int64_t in, std::int64_t hidden, Generator& random, DType dtype = DType::float32)
      : weights(in, hidden, 3, random, dtype) {}
  /// A step; an empty state is one of zeros.
  Var operator()(const Var& x, const Var& h = {}) const;
  void visit(Visitor& v) { weights.visit(v); }

  CellParameters weights;
};

}  // namespace xgrad::nn
