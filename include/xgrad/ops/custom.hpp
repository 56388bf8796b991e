// Ops of your own without a struct. Of scalar lambdas:
//
//     const auto softsign = elementwise<"softsign">([](auto x) { using std::abs; return x / (1 + abs(x)); });
//     const auto blend = elementwise<"blend">([](auto x, auto y) { return x * x + y / x; });
//     Var y = softsign(x), z = blend(x, y);                      // operands broadcast
//
// The lambda is called with float, double and, for the first two derivatives, with dual numbers: see
// xgrad/ops/dual.hpp for what those can do. A third derivative throws NotDifferentiable. Where a formula is
// better, a second lambda gives the derivative of a function of one operand at x, where y is its value:
//
//     const auto root = elementwise<"root">([](auto x) { return std::sqrt(x); },
//                                           [](auto, auto y) { return 0.5 / y; });
//
// When that can also be called with Vars, as generic lambdas made of operators and the library's functions
// can, the op has derivatives of every order; otherwise asking for a second one throws NotDifferentiable. One
// that calls std:: functions by name, which take no Var, declares its parameters as double.
//
// custom_vjp, at the end, gives a function of tensors a derivative of its own. The ops keep copies of the
// callables for as long as the recording needs them; what these capture by reference must live as long. For
// ops with kernels of their own write a struct: see xgrad/tape/op.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <ostream>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "xgrad/ops/checks.hpp"
#include "xgrad/ops/dual.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/shape.hpp"
#include "xgrad/support/error.hpp"
#include "xgrad/support/text.hpp"
#include "xgrad/tape/op.hpp"
#include "xgrad/tape/tape.hpp"

namespace xgrad {

/// The name of an op, as a template argument.
template <std::size_t N>
struct OpName {
  char text[N];
  consteval OpName(const char (&name)[N]) { std::copy_n(name, N, text); }
};

// Below it is xgrad::apply: for ops made of types of the standard library apply alone is std::apply too.
namespace detail {

template <OpName Name, class Derivative>
struct ElementwiseGrad;

/// A function of one operand with its derivative: dx = u derivative(x, y).
template <OpName Name, class Function, class Derivative>
struct Elementwise {
  static constexpr const char* name = Name.text;
  static constexpr bool elementwise = true;
  static constexpr Reads reads[] = {reads_x(0) | kReadsOutput};
  Function function;
  Derivative derivative;

  TensorType infer(Operands x) const { return {require_floating(name, x), x[0].shape()}; }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    for (std::int64_t i = 0, n = y.size(); i < n; ++i) {
      store(y.as<T>()[i], static_cast<T>(function(x[0].as<T>()[i])), write);
    }
  }
  void vjp(Backward& b) const {
    if (!b.create_graph()) {
      b.dx(0) += xgrad::apply(ElementwiseGrad<Name, Derivative>{derivative}, b.donate_dy(), b.x(0), b.y());
    } else if constexpr (std::is_invocable_r_v<Var, Derivative, Var, Var>) {
      b.dx(0) += multiply_no_nan(derivative(b.x(0), b.y()), b.dy());
    } else {
      throw NotDifferentiable(text(name, ": has no second derivative; its derivative does not take a Var"));
    }
  }
};

template <OpName Name, class Derivative>
struct ElementwiseGrad {
  static constexpr const char* name = Name.text;
  static constexpr bool elementwise = true;
  Derivative derivative;
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  template <class T>
  void eval(Operands x, View dx, Write write) const {
    const T *u = x[0].as<T>(), *in = x[1].as<T>(), *out = x[2].as<T>();
    for (std::int64_t i = 0, n = dx.size(); i < n; ++i) {
      store(dx.as<T>()[i], u[i] == 0 ? u[i] : static_cast<T>(u[i] * derivative(in[i], out[i])), write);
    }
  }
};

/// Operand kOperand as a dual number, dual once for every operand kBy of the derivative.
template <int kOperand, class T>
T seed(T value) {
  return value;
}
template <int kOperand, int kBy, int... kFurther, class T>
auto seed(T value) {
  const auto inner = seed<kOperand, kFurther...>(value);
  using Inner = std::remove_const_t<decltype(inner)>;
  return Dual<Inner>(inner, Inner(kOperand == kBy ? 1 : 0));
}
template <std::floating_point T>
T innermost_slope(T value) {
  return value;
}
template <class T>
auto innermost_slope(const Dual<T>& x) {
  return innermost_slope(x.slope);
}

/// A function of operands 0, 1, ... of one shape, differentiated by the operands kBy: for each operand,
/// dx = u times the function differentiated by it too.
template <OpName Name, class Function, class Indices, int... kBy>
struct DualElementwise;
template <OpName Name, class Function, int... kOperands, int... kBy>
struct DualElementwise<Name, Function, std::integer_sequence<int, kOperands...>, kBy...> {
  static constexpr const char* name = Name.text;
  static constexpr Reads reads[] = {(reads_x(kOperands) | ...)};
  static constexpr std::size_t kHighest = 2;
  static_assert(std::is_invocable_v<const Function&, decltype(Dual<double>(kOperands))...>,
                "an elementwise lambda must take dual numbers: declare its parameters auto");
  Function function;

  TensorType infer(Operands x) const { return {require_floating(name, x), x[0].shape()}; }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    using Number = decltype(seed<0, kBy...>(T{}));
    const std::array<const T*, sizeof...(kOperands)> in{x[kOperands].template as<T>()...};
    for (std::int64_t i = 0, n = y.size(); i < n; ++i) {
      const auto value = static_cast<Number>(function(seed<kOperands, kBy...>(in[kOperands][i])...));
      store(y.as<T>()[i], innermost_slope(value), write);
    }
  }
  void vjp(Backward& b) const {
    if constexpr (sizeof...(kBy) == kHighest) {
      throw NotDifferentiable(text(name, ": has no third derivative"));
    } else {
      (differentiate<kOperands>(b), ...);
    }
  }
  void describe(std::ostream& out) const
    requires(sizeof...(kBy) > 0)
  {
    out << "differentiated by";
    ((out << ' ' << kBy), ...);
  }

 private:
  template <int kOperand>
  void differentiate(Backward& b) const {
    using Slope = DualElementwise<Name, Function, std::integer_sequence<int, kOperands...>, kBy..., kOperand>;
    b.dx(kOperand) +=
        [&] { return multiply_no_nan(xgrad::apply(Slope{function}, b.x(kOperands)...), b.dy()); };
  }
};

/// Operand 0 is the value of f, whose memory becomes the result's; the others are the operands of f.
template <OpName Name, class Vjp>
struct CustomVjp {
  static constexpr const char* name = Name.text;
  static constexpr bool aliases = true;
  static constexpr Reads reads[] = {kReadsNothing, ~reads_x(0)};
  static constexpr std::size_t kMostOperands = 30;  // that `reads` can name
  Vjp cotangents;

  TensorType infer(Operands x) const { return {require_floating(name, x.first(1)), x[0].shape()}; }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    for (std::int64_t i = 0, n = y.size(); i < n; ++i) store(y.as<T>()[i], x[0].as<T>()[i], write);
  }
  void vjp(Backward& b) const {
    std::vector<Var> x;
    for (int i = 1; i < b.operand_count(); ++i) x.push_back(b.x(i));
    const Var y = b.y(), dy = b.dy();
    std::vector<Var> dx;
    run_aside(dy, "the vjp of ", name, [&] { dx = cotangents(std::span<const Var>(x), y, dy); });
    if (dx.size() != x.size())
      throw ShapeError(text(name, ": vjp gives ", dx.size(), " cotangents for ", x.size(), " operands"));
    for (std::size_t i = 0; i < dx.size(); ++i) {
      if (dx[i].defined()) b.dx(static_cast<int>(i) + 1) += std::move(dx[i]);
    }
  }
};

}  // namespace detail

/// An elementwise op from a function f(x, y, ...): calling it with Vars records it.
/// @throws ShapeError, when called, for operands that do not broadcast; DTypeError for dtypes that differ.
template <OpName Name, class Function>
auto elementwise(Function function) {
  return [function]<std::same_as<Var>... X>(const X&... x)
    requires(sizeof...(X) > 0)
  {
    using Op = detail::DualElementwise<Name, Function, std::make_integer_sequence<int, sizeof...(X)>>;
    Shape shape;
    ((shape = broadcast_shape(Name.text, shape, x.shape())), ...);
    return xgrad::apply(Op{function}, broadcast_to(x, shape)...);
  };
}

/// One from a function f(x) and its derivative df(x, y).
template <OpName Name, class Function, class Derivative>
auto elementwise(Function function, Derivative derivative) {
  return [op = detail::Elementwise<Name, Function, Derivative>{function, derivative}](Arg x) {
    return xgrad::apply(op, x);
  };
}

/// What custom_vjp gives: call it with Vars or a span of them.
template <OpName Name, class Function, class Vjp>
struct CustomFunction {
  Function function;
  Vjp vjp;

  Var operator()(std::span<const Var> x) const {
    using Op = detail::CustomVjp<Name, Vjp>;
    if (x.empty()) throw ShapeError(detail::text(Op::name, ": no operands"));
    if (x.size() > Op::kMostOperands)
      throw ShapeError(detail::text(Op::name, ": ", x.size(), " operands, more than ", Op::kMostOperands));
    std::vector<Var> operands;
    detail::run_aside(x[0], "the function of ", Op::name, [&] {
      const Tape::Pause pause = x[0].tape().no_grad();
      operands.push_back(function(x));
    });
    operands.insert(operands.end(), x.begin(), x.end());
    return xgrad::apply_all(Op{vjp}, operands);
  }
  template <std::same_as<Var>... X>
  Var operator()(const X&... x) const {
    const std::array<Var, sizeof...(X)> all{x...};
    return (*this)(std::span<const Var>(all));
  }
};

/// A function of tensors with a derivative of its own, as JAX's custom_vjp:
///
///     const auto clipped = custom_vjp<"clipped">(
///         [](std::span<const Var> x) { return x[0] * 1.0; },
///         [](std::span<const Var>, const Var&, const Var& dy) { return std::vector{clamp(dy, -1, 1)}; });
///
/// f(x) is computed without being recorded. vjp(x, y, dy) gives the operands' cotangents from the operands,
/// the result and its cotangent; an empty Var stands for zero. It is made of ops, and these are
/// differentiated when a second derivative is asked for. Vars that f captures get no cotangent.
/// @throws ShapeError, when called, unless there are 1 to 30 operands; DTypeError unless f's value is
/// floating.
template <OpName Name, class Function, class Vjp>
CustomFunction<Name, Function, Vjp> custom_vjp(Function f, Vjp vjp) {
  return {std::move(f), std::move(vjp)};
}

}  // namespace xgrad
