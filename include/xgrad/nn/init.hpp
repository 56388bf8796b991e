// Initial values of weights.
#pragma once

#include <cstdint>

#include "xgrad/support/random.hpp"
#include "xgrad/tensor/view.hpp"

namespace xgrad::nn {

/// A way to fill a tensor, given how many inputs and outputs a unit has.
class Init {
 public:
  static Init constant(double value) { return {Kind::constant, value}; }
  /// Normal with mean 0 and the given deviation.
  static Init normal(double deviation) { return {Kind::normal, deviation}; }
  /// Uniform in +-limit.
  static Init uniform(double limit) { return {Kind::uniform, limit}; }
  /// Uniform in +-sqrt(6 / (in + out)) (Glorot and Bengio 2010), for sigmoid and tanh.
  static Init glorot() { return {Kind::glorot, 0}; }
  /// Normal with deviation sqrt(2 / in) (He et al. 2015), for ReLU.
  static Init kaiming() { return {Kind::kaiming, 0}; }

  void fill(const View& out, std::int64_t fan_in, std::int64_t fan_out, Generator& random) const;

 private:
  enum class Kind { constant, normal, uniform, glorot, kaiming };
  Init(Kind kind, double value) : kind_(kind), value_(value) {}
  Kind kind_;
  double value_;
};

}  // namespace xgrad::nn
