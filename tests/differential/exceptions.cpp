// Where xgrad and libtorch differ, each with its reason.
#include "tests/differential/differential.hpp"

namespace xgrad::differential {
namespace {

// Conventions of xgrad, as include/xgrad/ops documents them.
constexpr const char* kNothing =
    "in xgrad what is multiplied by a target or a cotangent of 0 counts nothing, be it infinite";
constexpr const char* kOrigin = "the derivative is taken as 0 where it is not defined (xgrad: at kinks)";
constexpr const char* kLimits = "the derivative at the limits is 1 in xgrad, 0 in libtorch";
constexpr const char* kEdge =
    "the second derivative at |d| = delta is that of the inner side in xgrad, 0 in libtorch";
constexpr const char* kLeft = "at 0 the derivatives are those of the exponential's side in xgrad";
constexpr const char* kComparison = "a comparison with NaN is false, so the derivative is 0 in xgrad";
constexpr const char* kPropagates = "NaN stays NaN in xgrad";
constexpr const char* kSign = "sign(NaN) is NaN in xgrad as in NumPy, 0 in libtorch";
constexpr const char* kPowZero = "d/dy x^y is taken as 0 where x = 0 in xgrad";
constexpr const char* kSmoothing =
    "label smoothing spreads a row's total in xgrad, 1 in libtorch, so targets' gradients differ";
constexpr const char* kFirst =
    "of equal elements those in front come first in xgrad; libtorch promises no order";
constexpr const char* kPool =
    "of several NaN in a window the first gets the cotangent in xgrad, the last in libtorch";
constexpr const char* kLogdet =
    "the gradient of logdet is that of slogdet's log_abs in xgrad, also where det < 0";
constexpr const char* kEps = "eps is 1e-8 of the norms in xgrad, 1e-12 of their squares in libtorch";
constexpr const char* kInfinite =
    "a p of 0 or 1 that is wrong costs infinity in xgrad; libtorch clamps the logarithm, and p (1 - p)";
constexpr const char* kPoles =
    "at the poles xgrad gives infinity, or NaN where the sides differ; libtorch rounds, or keeps one side";

// Where xgrad gives the limit, or what IEEE arithmetic gives, and libtorch does not.
constexpr const char* kFarOut = "libtorch multiplies 0 by infinity; xgrad's functions are finite far out";
constexpr const char* kZeroTimes =
    "libtorch multiplies 0 by infinity where xgrad's derivative is 0 or infinite";
constexpr const char* kBothSigns = "xgrad adds infinite terms of both signs";
constexpr const char* kTrigamma = "libtorch's trigamma is right to 9 digits only";
constexpr const char* kPolygammaFar = "libtorch's polygamma is NaN at infinity, where the limit is 0";
constexpr const char* kDetZero =
    "libtorch divides by the determinant; xgrad's second derivatives are those of the polynomial";
constexpr const char* kTrace =
    "an error of libtorch: the gradient of trace is misplaced where there are more rows than columns";
constexpr const char* kNoChannels =
    "an error of libtorch: a convolution over no channels loses its bias and its output channels";

}  // namespace

const std::vector<Alone>& rows_alone() {
  static const std::vector<Alone> rows = {
      {"in_range", "xgrad's own: what the derivative of clamp is made of"},
      {"multiply_no_nan", "xgrad's own: a product for derivatives, 0 where a factor is 0"},
      {"xdivy", "xgrad's own: a quotient for derivatives, 0 where the dividend is 0"},
      {"strong_zero_product", "xgrad's own: a product of two cotangents, 0 where either is 0"},
      {"dropout", "random: each library has numbers of its own"},
      {"lu_factor", "its packed layout is xgrad's own; inv, solve and det show what it is for"},
  };
  return rows;
}

// By hand: clang-format gives every entry four lines.
// clang-format off
const std::vector<Exception>& exceptions() {
  static const std::vector<Exception> list = {
      {"abs", {1}, {"nan"}, kSign},
      {"sign", {0}, {"nan"}, kSign},
      {"asin", {2}, {"-1", "1"}, kBothSigns},
      {"acos", {2}, {"-1", "1"}, kBothSigns},
      {"atan", {2}, {"*inf"}, kFarOut},
      {"erf", {2}, {"*inf"}, kFarOut},
      {"erfc", {2}, {"*inf"}, kFarOut},
      {"atan2", {1, 2}, {"0, 0", "0, -0", "-0, 0", "-0, -0"}, kOrigin},
      {"hypot", {1, 2}, {"0, 0", "0, -0", "-0, 0", "-0, -0"}, kOrigin},
      {"pow", {1}, {"0, -0.001", "0, -1", "0, -1.5708", "0, -501", "0, -1e+20", "0, -inf", "0, nan",
                    "-0, -0.001", "-0, -1", "-0, -1.5708", "-0, -501", "-0, -1e+20", "-0, -inf", "-0, nan"}, kPowZero},
      {"pow", {2}, {"0, 0", "0, -0", "0, *0.001", "0, 1", "0, *1.5708", "0, *501", "0, 1e+20", "0, *inf",
                    "-0, *0", "-0, *0.001", "-0, 1", "-0, *1.5708", "-0, *501", "-0, *inf",
                    "1, *inf", "inf, 0", "inf, -0"}, kZeroTimes},

      {"lgamma", {2}, {"[20]", "[]", "[812]", "[23]", "1", "1.5708"}, kTrigamma},
      {"digamma", {1}, {"[20]", "[]", "[812]", "[23]", "1", "1.5708"}, kTrigamma},
      {"polygamma", {0}, {"[20]", "[]", "[812]", "[23]", "1", "1.5708"}, kTrigamma},
      {"lgamma", {2}, {"-1", "-501", "-1e+20"}, kPoles},
      {"digamma", {1}, {"-1", "-501", "-1e+20"}, kPoles},
      {"digamma", {2}, {"-0", "-1", "-501", "-1e+20", "-inf"}, kPoles},
      {"digamma", {2}, {"inf"}, kPolygammaFar},
      {"polygamma", {0}, {"-1", "-501", "-1e+20"}, kPoles},
      {"polygamma", {1}, {"-0", "-1", "-501", "-1e+20", "-inf"}, kPoles},
      {"polygamma", {2}, {"-inf"}, kPoles},
      {"polygamma", {1, 2}, {"inf"}, kPolygammaFar},
      {"polygamma of order 2", {0, 2}, {"-0", "-1", "-501", "-1e+20", "-inf"}, kPoles},
      {"polygamma of order 2", {1}, {"-inf"}, kPoles},
      {"polygamma of order 2", {0, 1, 2}, {"inf"}, kPolygammaFar},

      {"relu", {1}, {"nan"}, kComparison},
      {"hardtanh", {1}, {"nan"}, kComparison},
      {"hardtanh", {1}, {"-1", "1"}, kLimits},
      {"elu", {1, 2}, {"nan"}, kPropagates},
      {"elu", {2}, {"0", "-0"}, kLeft},
      {"elu with alpha", {1, 2}, {"nan"}, kPropagates},
      {"elu with alpha", {2}, {"0", "-0"}, kLeft},
      {"selu", {1}, {"0", "-0"}, "at 0 the derivative is the smaller of the two slopes in xgrad, the larger in libtorch"},
      {"gelu", {0}, {"-inf"}, kFarOut},
      {"gelu", {1}, {"*inf"}, kFarOut},
      {"gelu by tanh", {0}, {"-inf"}, kFarOut},
      {"gelu by tanh", {1}, {"*inf"}, kFarOut},
      {"silu", {0}, {"-inf"}, kFarOut},
      {"silu", {1}, {"*inf"}, kFarOut},
      {"mish", {0}, {"-inf"}, kFarOut},
      {"mish", {1}, {"*inf"}, kFarOut},
      {"mish", {2}, {"1e+20"}, kFarOut},

      {"norm", {2}, {"zeros"}, kOrigin},
      {"var with a correction", {2}, {"one element"}, kNothing},
      {"norm over the inner axis", {2}, {"zeros"}, kOrigin},
      {"norm of infinite order", {1}, {"infinities and NaN"}, kSign},
      {"topk", {1}, {"ties", "infinities and NaN"}, kFirst},
      {"topk indices", {0}, {"[7]", "[50, 3]"}, kFirst},
      {"trace", {1}, {"[5, 2]"}, kTrace},
      {"det", {2}, {"zeros"}, kDetZero},
      {"logdet", {1, 2}, {"det < 0"}, kLogdet},

      {"softmax_cross_entropy", {0}, {"rows masked in part"}, kNothing},
      {"softmax_cross_entropy of every row", {0}, {"rows masked in part"}, kNothing},
      {"softmax_cross_entropy with targets smoothed and weighted", {0}, {"[3, 4] [3, 4] [4]"}, kSmoothing},
      {"softmax_cross_entropy with targets smoothed and weighted", {1, 2},
       {"[3, 4] [3, 4] [4]", "targets that add up to 1"}, kSmoothing},
      {"categorical_cross_entropy", {0, 1, 2}, {"p = targets = 0"}, kNothing},
      {"categorical_cross_entropy of every row", {0, 1, 2}, {"p = targets = 0"}, kNothing},
      {"kl_divergence of every element", {0}, {"-inf, 0"}, kNothing},
      {"kl_divergence of every element", {1}, {"-1, 0", "0, 0"}, kZeroTimes},
      {"kl_divergence of every element", {2}, {"*, 0"}, kZeroTimes},
      {"mae of every element", {1}, {"nan, 0"}, kSign},
      {"huber of every element", {2}, {"0.75, 0", "-0.75, 0"}, kEdge},
      {"smooth_l1 of every element", {2}, {"0.75, 0", "-0.75, 0"}, kEdge},
      {"smooth_l1 with beta 0 of every element", {1}, {"0, 0"}, "with beta = 0 it is mae in xgrad, with the derivative 0 at 0"},
      {"hinge_loss of every element", {1, 2}, {"0.5, 1", "-0.5, -1"}, "the derivative is 0 where t score = margin in xgrad"},
      {"hinge_loss of every element", {1}, {"inf, 1"}, kNothing},
      {"hinge_loss of every element", {1}, {"nan, 1"}, kComparison},
      {"binary_cross_entropy of every element", {0}, {"0, 1", "1, 0"}, kInfinite},
      {"binary_cross_entropy of every element", {1, 2}, {"0, *", "1, *"}, kInfinite},
      {"binary_cross_entropy_with_logits of every element", {0}, {"inf, 1", "-inf, 0"}, kNothing},
      {"binary_cross_entropy_with_logits of every element", {2}, {"nan, 1"}, kPropagates},
      {"cosine_embedding_loss", {1, 2}, {"a vector of zeros"}, kEps},
      {"conv2d", {0, 1}, {"[2, 0, 3, 3] [3, 0, 2, 2] [3]"}, kNoChannels},
      {"max_pool2d of windows that overlap", {1}, {"infinities and NaN"}, kPool},
  };
  return list;
}

}  // namespace xgrad::differential
