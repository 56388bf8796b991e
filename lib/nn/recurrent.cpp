// The parameters and steps of LstmCell and GruCell.
#include "xgrad/nn/recurrent.hpp"

#include <cmath>
#include <cstring>

#include "xgrad/nn/init.hpp"
#include "xgrad/tape/tape.hpp"

namespace xgrad::nn {
namespace {

/// [N, hidden] for x [N, in], on x's tape.
Var zeros(const Var& x, const CellParameters& weights) {
  if (x.rank() != 2) throw ShapeError(xgrad::detail::text("cell: x is [N, in], not ", x.shape()));
  return x.tape().constant(
      {weights.hidden.dtype(), Shape{x.shape()[0], weights.hidden.shape()[0]}},
      [](View v) { std::memset(v.data, 0, static_cast<std::size_t>(v.size()) * size_of(v.dtype)); });
}

}  // namespace

CellParameters::CellParameters(std::int64_t in, std::int64_t units, std::int64_t gates, Generator& random,
                               DType dtype)
    : input({dtype, Shape{in, gates * units}}),
      hidden({dtype, Shape{units, gates * units}}),
      input_bias({dtype, Shape{gates * units}}),
      hidden_bias({dtype, Shape{gates * units}}) {
  const Init init = Init::uniform(1 / std::sqrt(static_cast<double>(units)));
  for (Parameter* p : {&input, &hidden, &input_bias, &hidden_bias}) {
    init.fill(p->value_view(), in, units, random);
  }
}

CellWeights CellParameters::on(Tape& tape) const {
  return {tape.leaf(input), tape.leaf(hidden), tape.leaf(input_bias), tape.leaf(hidden_bias)};
}

void CellParameters::visit(Visitor& v) {
  v("input", input), v("hidden", hidden), v("input_bias", input_bias), v("hidden_bias", hidden_bias);
}

LstmState LstmCell::operator()(const Var& x, const LstmState& state) const {
  const Var h = state.h.defined() ? state.h : zeros(x, weights);
  return lstm_cell(x, {h, state.c.defined() ? state.c : zeros(x, weights)}, weights.on(x.tape()));
}

Var GruCell::operator()(const Var& x, const Var& h) const {
  return gru_cell(x, h.defined() ? h : zeros(x, weights), weights.on(x.tape()));
}

}  // namespace xgrad::nn
