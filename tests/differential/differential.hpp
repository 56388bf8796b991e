// The differential suite: values and first and second gradients of the rows of the case table, beside those
// that libtorch computes. This header knows nothing of libtorch, whose headers are in libtorch.hpp alone.
#pragma once

#include <cmath>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "tests/cases/op_cases.hpp"

namespace xgrad::differential {

using naive::Array;
using naive::Arrays;

/// y, dy = gradients of sum(w y), and gradients of the sum of all sum(w dy), where w are fixed numbers.
struct Derivatives {
  std::vector<Arrays> orders;  ///< [value], first gradients, second gradients: as many as there are
  std::string missing = {};    ///< why there are no more
};

/// The fixed w for a tensor of n elements, number `tensor` of those that are weighted.
inline std::vector<double> weights(std::size_t n, std::size_t tensor) {
  std::vector<double> w(n);
  for (std::size_t k = 0; k < n; ++k) w[k] = std::cos(static_cast<double>(k + 2 * tensor));
  return w;
}

/// What libtorch has for the rows of one name.
struct Peer {
  std::string row;
  std::function<Derivatives(const Arrays&)> derivatives;
  std::vector<std::size_t> constants = {};  ///< operands that libtorch does not differentiate by
};

std::vector<Peer> elementwise_peers();
std::vector<Peer> tensor_peers();
std::vector<Peer> network_peers();

/// Operands for a row besides the table's: values where conventions differ or formulas end.
struct Input {
  std::string name;
  Arrays x;
  bool separate = false;  ///< every place along axis 0 is a case of its own, named by its operands' values
};
std::vector<Input> further_inputs(const cases::OpCase& row);

/// A row that libtorch has nothing for.
struct Alone {
  std::string row, reason;
};
/// Cases in which the two differ, and why that is meant to be. A `*` in an input's name stands for anything;
/// every case that an exception names has to differ.
struct Exception {
  std::string row;
  std::vector<std::size_t> orders;  ///< 0 the value, 1 the first gradients, 2 the second ones
  std::vector<std::string> inputs;
  std::string reason;
};
const std::vector<Alone>& rows_alone();
const std::vector<Exception>& exceptions();

std::string libtorch_version();

}  // namespace xgrad::differential
