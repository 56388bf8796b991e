// Initial values, Dense, Embedding, Dropout and the activation layers.
#include "xgrad/nn/layers.hpp"

#include <algorithm>
#include <cmath>

#include "xgrad/ops/activation.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/index.hpp"
#include "xgrad/ops/linalg.hpp"
#include "xgrad/ops/loss.hpp"
#include "xgrad/ops/random.hpp"
#include "xgrad/ops/softmax.hpp"
#include "xgrad/tape/flow.hpp"
#include "xgrad/tensor/dispatch.hpp"

namespace xgrad::nn {

void Init::fill(const View& out, std::int64_t fan_in, std::int64_t fan_out, Generator& random) const {
  const auto in = static_cast<double>(fan_in), both = static_cast<double>(fan_in + fan_out);
  const double limit = kind_ == Kind::glorot ? std::sqrt(6 / both) : value_,
               deviation = kind_ == Kind::kaiming ? std::sqrt(2 / in) : value_;
  const auto draw = [&]() -> double {
    switch (kind_) {
      case Kind::constant:
        return value_;
      case Kind::uniform:
      case Kind::glorot:
        return random.uniform(-limit, limit);
      default:
        return deviation * random.normal();
    }
  };
  xgrad::detail::dispatch_floating(out.dtype, [&]<class T>() {
    std::generate_n(out.as<T>(), out.size(), [&] { return static_cast<T>(draw()); });
  });
}

Dense::Dense(std::int64_t in, std::int64_t out, Generator& random, const DenseOptions& options)
    : weight({options.dtype, Shape{in, out}}), bias({options.dtype, Shape{out}}), l2(options.l2) {
  options.weight.fill(weight.value_view(), in, out, random);
  options.bias.fill(bias.value_view(), in, out, random);
}

Var Dense::operator()(const Var& x) const { return linear(x, x.tape().leaf(weight), x.tape().leaf(bias)); }

Embedding::Embedding(std::int64_t count, std::int64_t width, Generator& random,
                     const EmbeddingOptions& options)
    : weight({options.dtype, Shape{count, width}}) {
  options.weight.fill(weight.value_view(), count, width, random);
}

Var Embedding::operator()(const Var& x) const { return embedding(x.tape().leaf(weight), x); }

Var ReLU::operator()(const Var& x) const { return relu(x); }
Var Sigmoid::operator()(const Var& x) const { return sigmoid(x); }
Var Tanh::operator()(const Var& x) const { return tanh(x); }
Var Softmax::operator()(const Var& x) const { return softmax(x, axis); }

Dropout::Dropout(double probability, Generator& random) : p(probability), generator(random.split()) {
  if (!(p >= 0 && p <= 1)) throw Error(xgrad::detail::text("dropout: p = ", p, " is not in [0, 1]"));
}

Var Dropout::operator()(const Var& x) {
  return training && p > 0 ? dropout(x, p, generator.key()) : identity(x);
}

Var detail::add_penalty(Tape& tape, Var sum, const Parameter& parameter, double l2) {
  if (l2 == 0) return sum;
  const Var term = l2_penalty(tape.leaf(parameter), l2);
  return sum.defined() ? sum + term : term;
}

}  // namespace xgrad::nn
