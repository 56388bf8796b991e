// Activation functions, element by element. Values and derivatives are finite for large x too: nothing
// overflows on the way. tanh is in xgrad/ops/elementwise.hpp, softmax in xgrad/ops/softmax.hpp.
//
// The derivative at a kink is given with the function. All throw DTypeError unless x is floating.
#pragma once

#include "xgrad/tape/var.hpp"

namespace xgrad {

/// max(x, 0). At kinks: 0 at 0.
Var relu(Arg x);
/// x where x > 0, slope x elsewhere. At kinks: slope at 0.
Var leaky_relu(Arg x, double slope = 0.01);
/// x where x > 0, alpha (exp(x) - 1) elsewhere (Clevert et al. 2016). At kinks: alpha at 0; with
/// alpha = 1 there is none.
Var elu(Arg x, double alpha = 1);
/// elu scaled for activations that normalise themselves: 1.0507 elu(x, 1.67326) (Klambauer et al. 2017).
/// At kinks: 1.0507 at 0, the smaller of the two slopes.
Var selu(Arg x);
/// x limited to [low, high], as clamp does. At kinks: 1 at the limits. @throws Error when low > high.
Var hardtanh(Arg x, double low = -1, double high = 1);

/// 1 / (1 + exp(-x))
Var sigmoid(Arg x);
/// log(sigmoid(x))
Var log_sigmoid(Arg x);
/// log(1 + exp(beta x)) / beta. @throws Error unless beta > 0.
Var softplus(Arg x, double beta = 1);

/// How gelu is computed: by the error function, or by the approximation with tanh that GPT-2 uses.
enum class GeluForm { exact, tanh };
/// x P(X <= x) for a standard normal X (Hendrycks and Gimpel 2016).
Var gelu(Arg x, GeluForm form = GeluForm::exact);
/// x sigmoid(x), also called swish.
Var silu(Arg x);
/// x tanh(softplus(x)) (Misra 2019).
Var mish(Arg x);

}  // namespace xgrad
