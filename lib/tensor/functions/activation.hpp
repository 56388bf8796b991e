// Activation functions. Those of the form x w(x) write it cotangent_mul(w, x): where the weight w vanishes
// they do, also at -inf, and so do their derivatives.
#pragma once

#include <numbers>

#include "lib/tensor/scalar.hpp"

// The functions of this file, for lib/tensor/functions.hpp: X(public name, struct).
#define XGRAD_ACTIVATIONS(X) \
  X(relu, Relu)              \
  X(selu, Selu)              \
  X(sigmoid, Logistic)       \
  X(log_sigmoid, LogSigmoid) \
  X(silu, Silu)              \
  X(mish, Mish)
#define XGRAD_ACTIVATIONS_WITH_ATTRIBUTES(X) \
  X(leaky_relu, LeakyRelu)                   \
  X(elu, Elu)                                \
  X(softplus, Softplus)                      \
  X(gelu, Gelu)                              \
  X(gelu, GeluTanh)

namespace xgrad::functions {

struct Relu {
  static constexpr const char* name = "relu";
  static constexpr int reads = kY;
  template <class T>
  T f(const T& x) const {
    return select(x > T(0), x, select(x == x, T(0), x));
  }
  template <class T>
  T df_times(const T& u, const T&, const T& y) const {
    return u * step(y);
  }
};

struct LeakyRelu {
  static constexpr const char* name = "leaky_relu";
  static constexpr int reads = kX;
  double slope;
  template <class T>
  T f(const T& x) const {
    return if_positive(x, x, number<T>(slope) * x);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return if_positive(x, u, number<T>(slope) * u);
  }
  void describe(auto& out) const { out << "slope=" << slope; }
};

struct Elu {
  static constexpr const char* name = "elu";
  static constexpr int reads = kX;
  double alpha;
  template <class T>
  T f(const T& x) const {
    return if_positive(x, x, number<T>(alpha) * expm1(x));
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return if_positive(x, u, cotangent_mul(u, number<T>(alpha) * exp(x)));
  }
  void describe(auto& out) const { out << "alpha=" << alpha; }
};

struct Selu {
  static constexpr const char* name = "selu";
  static constexpr int reads = kX;
  static constexpr double kScale = 1.0507009873554804934193349852946;
  static constexpr double kAlpha = 1.6732632423543772848170429916717;
  template <class T>
  T f(const T& x) const {
    return number<T>(kScale) * if_positive(x, x, number<T>(kAlpha) * expm1(x));
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    // Tests -x: the derivative at 0 is the right side's, the smaller of the two.
    return if_positive(-x, cotangent_mul(u, number<T>(kScale * kAlpha) * exp(x)), number<T>(kScale) * u);
  }
};

struct Logistic {
  static constexpr const char* name = "sigmoid";
  static constexpr int reads = kY;
  template <class T>
  T f(const T& x) const {
    return sigmoid(x);
  }
  template <class T>
  T df_times(const T& u, const T&, const T& y) const {
    return cotangent_mul(u, y - y * y);
  }
};

struct LogSigmoid {
  static constexpr const char* name = "log_sigmoid";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return -softplus(-x);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return cotangent_mul(u, sigmoid(-x));
  }
};

struct Softplus {
  static constexpr const char* name = "softplus";
  static constexpr int reads = kX;
  double beta;
  template <class T>
  T f(const T& x) const {
    return softplus(number<T>(beta) * x) / number<T>(beta);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    return cotangent_mul(u, sigmoid(number<T>(beta) * x));
  }
  void describe(auto& out) const { out << "beta=" << beta; }
};

struct Silu {
  static constexpr const char* name = "silu";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return cotangent_mul(sigmoid(x), x);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    const T s = sigmoid(x);
    return cotangent_mul(u, s + cotangent_mul(s - s * s, x));
  }
};

struct Mish {
  static constexpr const char* name = "mish";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return cotangent_mul(T(tanh(softplus(x))), x);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    const T t = tanh(softplus(x));
    return cotangent_mul(u, t + cotangent_mul((1 - t * t) * sigmoid(x), x));
  }
};

/// x times the cumulative distribution function of the normal distribution.
struct Gelu {
  static constexpr const char* name = "gelu";
  static constexpr int reads = kX;
  template <class T>
  T f(const T& x) const {
    return cotangent_mul(cumulative(x), x);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    constexpr double kDensityAt0 = std::numbers::inv_sqrtpi / std::numbers::sqrt2;
    const T density = number<T>(kDensityAt0) * exp(number<T>(-0.5) * (x * x));
    return cotangent_mul(u, cumulative(x) + cotangent_mul(density, x));
  }

 private:
  template <class T>
  static T cumulative(const T& x) {
    return number<T>(0.5) * exact_erfc(number<T>(-1 / std::numbers::sqrt2) * x);
  }
};

/// x sigmoid(z), z = 2 sqrt(2 / pi) (x + 0.044715 x^3): (1 + tanh(z / 2)) / 2 is sigmoid(z).
struct GeluTanh {
  static constexpr const char* name = "gelu_tanh";
  static constexpr int reads = kX;
  static constexpr double kLinear = 2 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
  static constexpr double kCubic = kLinear * 0.044715;
  template <class T>
  T f(const T& x) const {
    return cotangent_mul(weight(x), x);
  }
  template <class T>
  T df_times(const T& u, const T& x, const T&) const {
    const T s = weight(x);
    const T slope = number<T>(kLinear) + number<T>(3 * kCubic) * (x * x);
    return cotangent_mul(u, s + cotangent_mul(s - s * s, x * slope));
  }

 private:
  template <class T>
  static T weight(const T& x) {
    return sigmoid(x * (number<T>(kLinear) + number<T>(kCubic) * (x * x)));
  }
};

}  // namespace xgrad::functions
