// Values and gradients as libtorch computes them.
#include "tests/differential/libtorch.hpp"

#include <torch/csrc/api/include/torch/version.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

namespace xgrad::differential {
namespace {

Tensor enter(const Array& a) {
  const std::vector<std::int64_t> shape(a.shape().begin(), a.shape().end());
  const Tensor x = at::empty(shape, at::kDouble);
  std::copy(a.begin(), a.end(), x.data_ptr<double>());
  return x;
}

Array array_of(const Tensor& t) {
  // libtorch's gradients of zero may be tensors without memory, until they are cloned.
  const Tensor x = (t._is_zerotensor() ? t.clone() : t).detach().to(at::kDouble).contiguous();
  Array a(std::vector<std::size_t>(x.sizes().begin(), x.sizes().end()));
  std::copy_n(x.data_ptr<double>(), a.size(), a.data());
  return a;
}

Arrays arrays_of(Tensors x) {
  Arrays result;
  for (const Tensor& t : x) result.push_back(array_of(t));
  return result;
}

/// Zeros where nothing depends on an x.
std::vector<Tensor> gradients(Tensors ys, Tensors x) {
  std::vector<Tensor> differentiable, cotangents, g(x.size());
  for (std::size_t k = 0; k < ys.size(); ++k) {
    if (!ys[k].requires_grad()) continue;
    const std::vector<double> w = weights(static_cast<std::size_t>(ys[k].numel()), k);
    differentiable.push_back(ys[k]);
    cotangents.push_back(at::tensor(w, at::kDouble).reshape(ys[k].sizes()));
  }
  if (!differentiable.empty()) g = torch::autograd::grad(differentiable, x, cotangents, true, true, true);
  for (std::size_t k = 0; k < x.size(); ++k) {
    if (!g[k].defined()) g[k] = at::zeros_like(x[k]);
  }
  return g;
}

Derivatives derivatives(const std::function<Tensor(Tensors)>& f, const std::vector<std::size_t>& constants,
                        const Arrays& operands) {
  Derivatives result;
  std::vector<Tensor> x, active;
  for (const Array& operand : operands) {
    const bool constant = std::count(constants.begin(), constants.end(), x.size()) > 0;
    x.push_back(enter(operand).requires_grad_(!constant));
    if (!constant) active.push_back(x.back());
  }
  try {
    std::vector<Tensor> ys{f(x)};
    result.orders.push_back(arrays_of(ys));
    while (result.orders.size() < 3 && ys[0].is_floating_point()) {
      ys = gradients(ys, active);
      result.orders.push_back(arrays_of(ys));
    }
  } catch (const std::exception& e) {
    const std::string message = e.what();
    result.missing = message.substr(0, message.find('\n'));
  }
  return result;
}

}  // namespace

Peer peer(std::string row, std::function<Tensor(Tensors)> f, std::vector<std::size_t> constants) {
  return {std::move(row), [=](const Arrays& operands) { return derivatives(f, constants, operands); },
          constants};
}

Tensor labels(at::IntArrayRef shape, std::int64_t classes) {
  const Tensor result = at::empty(shape, at::kLong);
  for (std::int64_t k = 0; k < result.numel(); ++k) {
    result.data_ptr<std::int64_t>()[k] = naive::label(static_cast<std::size_t>(k), classes);
  }
  return result;
}

std::string libtorch_version() { return TORCH_VERSION; }

}  // namespace xgrad::differential
