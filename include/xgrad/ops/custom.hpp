// Ops of your own from scalar lambdas.
//
//     const auto softsign = elementwise<"softsign">(
//         [](auto x) { using std::abs; return x / (1 + abs(x)); },
//         [](auto x, auto y) { using std::abs; return y * 0 + 1 / square(1 + abs(x)); });
//     Var y = softsign(x);
//
// The first lambda is the function, the second its derivative at x, where y is the function's value. Both are
// called with float or double. When the second can also be called with Vars, as generic lambdas made of the
// library's functions can, the op has a second derivative; otherwise asking for one throws NotDifferentiable.
// One that calls std:: functions by name, which take no Var, declares its parameters as double.
// Lambdas may capture numbers. For anything that is not elementwise write a struct: see xgrad/tape/op.hpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>

#include "xgrad/ops/elementwise.hpp"
#include "xgrad/support/error.hpp"
#include "xgrad/support/text.hpp"
#include "xgrad/tape/op.hpp"

namespace xgrad {

/// The name of an op, as a template argument.
template <std::size_t N>
struct OpName {
  char text[N];
  consteval OpName(const char (&name)[N]) { std::copy_n(name, N, text); }
};

namespace detail {

/// Calls body with a float or a double that says the element type.
template <class Body>
void with_float_type(DType dtype, Body&& body) {
  dtype == DType::float32 ? body(float{}) : body(double{});
}

template <class T>
void put_element(T& out, T value, Write write) {
  out = write == Write::assign ? value : out + value;
}

template <OpName Name, class Derivative>
struct ElementwiseGrad {
  static constexpr const char* name = Name.text;
  Derivative derivative;
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View dx, Write write) const {
    with_float_type(dx.dtype, [&](auto zero) {
      using T = decltype(zero);
      const T *u = x[0].as<T>(), *in = x[1].as<T>(), *out = x[2].as<T>();
      for (std::int64_t i = 0, n = dx.size(); i < n; ++i) {
        put_element(dx.as<T>()[i], u[i] == 0 ? u[i] : static_cast<T>(u[i] * derivative(in[i], out[i])),
                    write);
      }
    });
  }
};

template <OpName Name, class Function, class Derivative>
struct Elementwise {
  static constexpr const char* name = Name.text;
  static constexpr Reads reads[] = {reads_x(0) | kReadsOutput};
  Function function;
  Derivative derivative;

  TensorType infer(Operands x) const {
    if (!is_floating(x[0].dtype))
      throw DTypeError(text(name, ": operand 0 is ", x[0].dtype, ", not floating"));
    return {x[0].dtype, x[0].shape()};
  }
  void eval(Operands x, View y, Write write) const {
    with_float_type(y.dtype, [&](auto zero) {
      using T = decltype(zero);
      for (std::int64_t i = 0, n = y.size(); i < n; ++i) {
        put_element(y.as<T>()[i], static_cast<T>(function(x[0].as<T>()[i])), write);
      }
    });
  }
  void vjp(Backward& b) const {
    if (!b.create_graph()) {
      b.dx(0) += apply(ElementwiseGrad<Name, Derivative>{derivative}, b.dy(), b.x(0), b.y());
    } else if constexpr (std::is_invocable_r_v<Var, Derivative, Var, Var>) {
      b.dx(0) += cotangent_mul(b.dy(), derivative(b.x(0), b.y()));
    } else {
      throw NotDifferentiable(text(name, ": has no second derivative; its derivative does not take a Var"));
    }
  }
};

}  // namespace detail

/// An elementwise op from a function f(x) and its derivative df(x, y): calling it with a Var records it.
template <OpName Name, class Function, class Derivative>
auto elementwise(Function function, Derivative derivative) {
  return [op = detail::Elementwise<Name, Function, Derivative>{function, derivative}](const Var& x) {
    return apply(op, x);
  };
}

}  // namespace xgrad
