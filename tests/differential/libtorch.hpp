// What the tables of libtorch's functions are made of.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/differential/differential.hpp"

namespace xgrad::differential {

using at::Tensor;
using Tensors = const std::vector<Tensor>&;

Peer peer(std::string row, std::function<Tensor(Tensors)> f, std::vector<std::size_t> constants = {});
/// Of one operand; a pointer, so that it picks an overload.
inline Peer unary(std::string row, Tensor (*f)(const Tensor&)) {
  return peer(std::move(row), [f](Tensors x) { return f(x[0]); });
}
inline Peer binary(std::string row, Tensor (*f)(const Tensor&, const Tensor&)) {
  return peer(std::move(row), [f](Tensors x) { return f(x[0], x[1]); });
}

/// The case table's labels as a tensor.
Tensor labels(at::IntArrayRef shape, std::int64_t classes);

}  // namespace xgrad::differential
