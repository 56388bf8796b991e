// Dense, Embedding, Dropout and activations: layers are plain structs over the ops.
#pragma once

#include <cstdint>

#include "xgrad/nn/init.hpp"
#include "xgrad/nn/visitor.hpp"
#include "xgrad/support/random.hpp"
#include "xgrad/tape/parameter.hpp"

namespace xgrad::nn {

struct DenseOptions {
  Init weight = Init::kaiming();
  Init bias = Init::constant(0);
  double l2 = 0;  ///< strength of the L2 penalty on the weight, not on the bias; see nn::penalty
  DType dtype = DType::float32;
};

/// The notebook's settings: weights N(0, 0.01), bias 0.01.
inline DenseOptions notebook_dense() { return {.weight = Init::normal(0.01), .bias = Init::constant(0.01)}; }

/// x w + b: x [..., in] to [..., out].
struct Dense {
  /// @throws ShapeError for extents below 0.
  Dense(std::int64_t in, std::int64_t out, Generator& random, const DenseOptions& options = {});
  Var operator()(const Var& x) const;
  void visit(Visitor& v) { v("weight", weight, l2), v("bias", bias); }

  Parameter weight;  ///< [in, out]
  Parameter bias;    ///< [out]
  double l2;
};

struct EmbeddingOptions {
  Init weight = Init::normal(1);
  DType dtype = DType::float32;
};

/// Looks up rows of a table by integers: x [...] to [..., width].
struct Embedding {
  /// @throws ShapeError for extents below 0.
  Embedding(std::int64_t count, std::int64_t width, Generator& random, const EmbeddingOptions& options = {});
  Var operator()(const Var& x) const;
  void visit(Visitor& v) { v("weight", weight); }

  Parameter weight;  ///< [count, width]
};

/// max(x, 0)
struct ReLU {
  Var operator()(const Var& x) const;
};

/// 1 / (1 + exp(-x))
struct Sigmoid {
  Var operator()(const Var& x) const;
};

struct Tanh {
  Var operator()(const Var& x) const;
};

/// exp(x) / sum(exp(x)) along an axis.
struct Softmax {
  int axis = -1;
  Var operator()(const Var& x) const;
};

/// Zeroes elements with probability p and scales the others by 1 / (1 - p) in training; the identity
/// otherwise.
struct Dropout {
  /// @throws Error unless 0 <= p <= 1.
  Dropout(double p, Generator& random);
  Var operator()(const Var& x);
  void visit(Visitor& v) { v("training", training); }

  double p;
  bool training = true;
  Generator generator;  ///< draws the masks' keys
};

}  // namespace xgrad::nn
