// SGD and Adam: optimisers read the gradients of parameters and write their values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "xgrad/support/memory.hpp"
#include "xgrad/tape/parameter.hpp"

namespace xgrad::optim {

/// The base of all optimisers: the parameters, and memory of the same sizes. Parameters that `pack` put into
/// one block are updated in one loop, with the same bits as one by one.
class Optimizer {
 public:
  /// Forgets the gradients of all parameters; their memory is not touched.
  void zero_grad();
  /// Scales all gradients by one factor so that their norm, as one vector, is at most `most`, and returns the
  /// norm before. A norm that is not finite leaves the gradients as they are.
  /// @throws Error unless most > 0.
  double clip_grad_norm(double most);
  const std::vector<Parameter>& parameters() const& { return parameters_; }
  std::vector<Parameter> parameters() && { return std::move(parameters_); }

 protected:
  explicit Optimizer(std::vector<Parameter> parameters);
  ~Optimizer() = default;
  Optimizer(Optimizer&&) = default;
  Optimizer& operator=(Optimizer&&) = default;

  /// Zeroed memory for every parameter, as if they were packed: parameter i's begins at offsets_[i].
  using Memory = detail::AlignedMemory;
  Memory make_memory() const { return detail::make_aligned(offsets_.back()); }
  std::vector<Parameter> parameters_;
  std::vector<std::size_t> offsets_;
};

struct SGDOptions {
  double lr = 0.01;
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;  ///< adds weight_decay * w to the gradient
};

/// Stochastic gradient descent (momentum as in Sutskever et al. 2013, in PyTorch's form):
/// g = grad + weight_decay w;  v = momentum v + g;  w -= lr (nesterov ? g + momentum v : v).
class SGD : public Optimizer {
 public:
  /// @throws Error for options that are negative, or nesterov without momentum.
  explicit SGD(std::vector<Parameter> parameters, const SGDOptions& options = {});
  /// One update of every parameter that has a gradient.
  void step();
  SGDOptions options;

 private:
  Memory velocity_;
};

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;  ///< adds weight_decay * w to the gradient
};

/// Adam (Kingma and Ba 2015):
/// m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;  w -= lr m' / (sqrt(v') + epsilon), where m'
/// and v' are corrected for their start at zero.
class Adam : public Optimizer {
 public:
  /// @throws Error for options out of range.
  explicit Adam(std::vector<Parameter> parameters, const AdamOptions& options = {});
  /// One update of every parameter that has a gradient.
  void step();
  AdamOptions options;

 private:
  Memory first_, second_;
  std::vector<std::int64_t> steps_;  // of each parameter; a loop updates parameters of equal steps
};

}  // namespace xgrad::optim
