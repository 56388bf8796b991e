// Checks a derivative against finite differences. In float64; the function may be any composition of ops.
//
// Method and tolerances are PyTorch's (torch.autograd.gradcheck): central differences, the full Jacobian, or
// in fast mode one random projection u'Jv of it. Besides, a zero cotangent must give exactly zero, the same
// backward twice the same bits, and a random cotangent the combination of what its elements give.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "xgrad/tape/flow.hpp"
#include "xgrad/tensor/xtensor.hpp"

namespace xgrad {

struct GradcheckOptions {
  double eps = 1e-6;   ///< step of the central difference
  double atol = 1e-5;  ///< an entry is right when |analytic - numeric| <= atol + rtol |numeric|
  double rtol = 1e-3;
  bool fast = false;       ///< one random projection instead of the full Jacobian
  std::uint64_t seed = 0;  ///< of the random projection, and of gradgradcheck's cotangents
};

/// One entry of the Jacobian that does not agree.
struct GradcheckFailure {
  int operand;         ///< which of the inputs; -1 in a random projection, which has no indices
  std::int64_t input;  ///< flat index into it
  int result;          ///< which result: 0 for gradcheck; for gradgradcheck, the operand whose gradient it is
  std::int64_t output;  ///< flat index into the result
  double analytic, numeric;
  std::string what;  ///< set instead of the numbers when something else is wrong
};

struct GradcheckReport {
  std::vector<GradcheckFailure> failures;
  std::int64_t entries = 0;  ///< how many entries were compared
  explicit operator bool() const { return failures.empty(); }
  /// The first failures, one a line, or a line that says that all is well.
  std::string text() const;
};

/// Compares the first derivative of f at `inputs` with finite differences.
/// @throws what f throws; DTypeError when f's result is not float64.
GradcheckReport gradcheck(const TensorFunction& f, const std::vector<xt::xarray<double>>& inputs,
                          const GradcheckOptions& options = {});

/// Compares the derivative of f's gradient (with respect to the inputs and the cotangent) likewise.
GradcheckReport gradgradcheck(const TensorFunction& f, const std::vector<xt::xarray<double>>& inputs,
                              const GradcheckOptions& options = {});

}  // namespace xgrad
