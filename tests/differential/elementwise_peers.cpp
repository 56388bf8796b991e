// Elementwise functions, activations, reductions, sums and products along an axis, and softmax.
#include <limits>

#include "tests/differential/libtorch.hpp"

namespace xgrad::differential {
namespace {

using Dims = std::vector<std::int64_t>;

/// The six rows of a reduction; f(x, axes, keepdims).
void add_reduction(std::vector<Peer>& peers, const std::string& name,
                   const std::function<Tensor(const Tensor&, const Dims&, bool)>& f) {
  for (const bool keep : {false, true}) {
    peers.push_back(peer(name + (keep ? " over everything, kept" : ""), [=](Tensors x) {
      Dims all(static_cast<std::size_t>(x[0].dim()));
      for (std::size_t d = 0; d < all.size(); ++d) all[d] = static_cast<std::int64_t>(d);
      return f(x[0], all, keep);
    }));
  }
  peers.push_back(peer(name + " over the inner axis", [=](Tensors x) { return f(x[0], {-1}, false); }));
  peers.push_back(peer(name + " over the outer axis, kept", [=](Tensors x) { return f(x[0], {0}, true); }));
  peers.push_back(peer(name + " over a middle axis", [=](Tensors x) { return f(x[0], {1}, false); }));
  peers.push_back(peer(name + " over two axes apart, kept", [=](Tensors x) {
    return f(x[0], {0, -1}, true);
  }));
}

/// libtorch multiplies along one axis at a time, or everything.
Tensor product(const Tensor& x, const Dims& dims, bool keepdims) {
  if (static_cast<std::int64_t>(dims.size()) == x.dim() && !keepdims) return x.prod();
  Tensor result = x;
  for (std::int64_t d : dims) result = result.prod(d, keepdims);
  return result;
}

void add_norm(std::vector<Peer>& peers, const std::string& name, double order) {
  add_reduction(peers, name, [=](const Tensor& x, const Dims& d, bool keep) {
    return at::linalg_vector_norm(x, order, d, keep);
  });
}

/// A function of a tensor and an axis, in one row for each axis.
void add_along(std::vector<Peer>& peers, const std::string& name,
               const std::function<Tensor(const Tensor&, std::int64_t)>& f,
               const std::vector<std::pair<const char*, std::int64_t>>& rows) {
  for (const auto& [what, axis] : rows) {
    peers.push_back(peer(name + what, [f, axis = axis](Tensors x) { return f(x[0], axis); }));
  }
}

/// softplus becomes x itself above a threshold, by default long before it does so in double precision.
constexpr double kNoThreshold = 700;

// By hand: clang-format spreads lambdas that hold braces over many lines.
// clang-format off
std::vector<Peer> functions() {
  return {
      unary("neg", at::neg), unary("sqrt", at::sqrt), unary("rsqrt", at::rsqrt),
      unary("reciprocal", at::reciprocal), unary("square", at::square), unary("abs", at::abs),
      unary("sign", at::sign), unary("floor", at::floor), unary("ceil", at::ceil), unary("round", at::round),
      unary("heaviside", [](const Tensor& x) { return at::heaviside(x, at::zeros({}, at::kDouble)); }),
      unary("clamp", [](const Tensor& x) { return at::clamp(x, -0.5, 1.25); }),
      unary("exp", at::exp), unary("expm1", at::expm1), unary("log", at::log), unary("log1p", at::log1p),
      unary("log2", at::log2), unary("sin", at::sin), unary("cos", at::cos), unary("tan", at::tan),
      unary("asin", at::asin), unary("acos", at::acos), unary("atan", at::atan), unary("sinh", at::sinh),
      unary("cosh", at::cosh), unary("tanh", at::tanh), unary("erf", at::erf), unary("erfc", at::erfc),
      unary("lgamma", at::lgamma), unary("lgamma of negative numbers", at::lgamma),
      unary("digamma", at::digamma), unary("digamma of negative numbers", at::digamma),
      unary("polygamma", [](const Tensor& x) { return at::polygamma(1, x); }),
      unary("polygamma of order 2", [](const Tensor& x) { return at::polygamma(2, x); }),
      unary("polygamma of negative numbers", [](const Tensor& x) { return at::polygamma(3, x); }),
      unary("pow with a number", [](const Tensor& x) { return at::pow(x, 3); }),

      binary("add", [](const Tensor& x, const Tensor& y) { return x + y; }),
      binary("sub", [](const Tensor& x, const Tensor& y) { return x - y; }),
      binary("mul", at::mul), binary("div", at::div), binary("pow", at::pow),
      binary("maximum", at::maximum), binary("minimum", at::minimum),
      binary("hypot", at::hypot), binary("atan2", at::atan2),
      binary("equal", at::eq), binary("not_equal", at::ne), binary("less", at::lt),
      binary("less_equal", at::le), binary("greater", at::gt), binary("greater_equal", at::ge),
      peer("where", [](Tensors x) {
        const Tensor thirds = at::arange(x[0].numel()).remainder(3).eq(0).reshape(x[0].sizes());
        return at::where(thirds, x[1], x[2]);
      }),
      binary("operator+", [](const Tensor& x, const Tensor& y) { return 2 + x + 3 + y; }),
      binary("operator-", [](const Tensor& x, const Tensor& y) { return 2 - x - 3 - -y; }),
      binary("operator*", [](const Tensor& x, const Tensor& y) { return 2 * x * 3 * y; }),
      binary("operator/", [](const Tensor& x, const Tensor& y) { return 2 / x / 3 / y; }),

      unary("relu", at::relu), unary("selu", at::selu), unary("sigmoid", at::sigmoid),
      unary("log_sigmoid", at::log_sigmoid), unary("silu", at::silu), unary("mish", at::mish),
      unary("leaky_relu", [](const Tensor& x) { return at::leaky_relu(x); }),
      unary("leaky_relu of slope 0.3", [](const Tensor& x) { return at::leaky_relu(x, 0.3); }),
      unary("elu", [](const Tensor& x) { return at::elu(x); }),
      unary("elu with alpha", [](const Tensor& x) { return at::elu(x, 0.5); }),
      unary("hardtanh", [](const Tensor& x) { return at::hardtanh(x); }),
      unary("softplus", [](const Tensor& x) { return at::softplus(x, 1, kNoThreshold); }),
      unary("softplus with beta", [](const Tensor& x) { return at::softplus(x, 3, kNoThreshold); }),
      unary("gelu", [](const Tensor& x) { return at::gelu(x); }),
      unary("gelu by tanh", [](const Tensor& x) { return at::gelu(x, "tanh"); }),
  };
}

}  // namespace

std::vector<Peer> elementwise_peers() {
  std::vector<Peer> peers = functions();
  add_reduction(peers, "sum", [](const Tensor& x, const Dims& d, bool keep) { return x.sum(d, keep); });
  add_reduction(peers, "mean", [](const Tensor& x, const Dims& d, bool keep) { return x.mean(d, keep); });
  add_reduction(peers, "max", [](const Tensor& x, const Dims& d, bool keep) { return x.amax(d, keep); });
  add_reduction(peers, "min", [](const Tensor& x, const Dims& d, bool keep) { return x.amin(d, keep); });
  add_reduction(peers, "prod", product);
  add_reduction(peers, "var", [](const Tensor& x, const Dims& d, bool keep) { return at::var(x, d, 0, keep); });
  add_reduction(peers, "std", [](const Tensor& x, const Dims& d, bool keep) { return at::std(x, d, 0, keep); });
  add_norm(peers, "norm", 2);
  add_norm(peers, "norm of order 1", 1);
  add_norm(peers, "norm of order 3.5", 3.5);
  add_norm(peers, "norm of infinite order", std::numeric_limits<double>::infinity());
  add_reduction(peers, "logsumexp", [](const Tensor& x, const Dims& d, bool keep) { return at::logsumexp(x, d, keep); });

  peers.push_back(peer("sum of nothing", [](Tensors x) { return x[0].sum(1); }));
  peers.push_back(peer("sum_to", [](Tensors x) { return x[0].sum_to_size({3, 1, 2}); }));
  peers.push_back(peer("sum_to fewer axes", [](Tensors x) { return x[0].sum_to_size({3}); }));
  peers.push_back(peer("sum_to fewer axes and shorter ones", [](Tensors x) { return x[0].sum_to_size({1, 2}); }));
  peers.push_back(peer("var with a correction", [](Tensors x) { return at::var(x[0], 1, 1, false); }));
  peers.push_back(peer("prod with zeros among the factors", [](Tensors x) { return x[0].prod(1); }));
  peers.push_back(peer("norm of nothing", [](Tensors x) { return at::linalg_vector_norm(x[0]); }));

  const std::vector<std::pair<const char*, std::int64_t>> cumulative = {
      {"", 0}, {" along the inner axis", -1}, {" along a middle axis", 1}};
  add_along(peers, "cumsum", [](const Tensor& x, std::int64_t axis) { return at::cumsum(x, axis); }, cumulative);
  add_along(peers, "cumprod", [](const Tensor& x, std::int64_t axis) { return at::cumprod(x, axis); }, cumulative);
  const std::vector<std::pair<const char*, std::int64_t>> lines = {
      {"", -1}, {" of the outer axis", 0}, {" of a middle axis", 1}};
  add_along(peers, "softmax", [](const Tensor& x, std::int64_t axis) { return at::softmax(x, axis); }, lines);
  add_along(peers, "log_softmax", [](const Tensor& x, std::int64_t axis) { return at::log_softmax(x, axis); }, lines);
  return peers;
}

}  // namespace xgrad::differential
