// Ops of the fuzzer's own, as a user writes them: structs of which each uses another part of
// xgrad/tape/op.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "xgrad/xgrad.hpp"

namespace fuzz {

/// What callbacks throw on purpose; no error of the library.
struct CallbackError : std::runtime_error {
  CallbackError() : std::runtime_error("a callback throws") {}
};

using namespace xgrad;

inline TensorType same_type(const char* name, Operands x) {
  if (x.size() == 2 && x[0].dtype != x[1].dtype) throw DTypeError(detail::text(name, ": dtypes differ"));
  if (x.size() == 2 && x[0].shape() != x[1].shape()) throw ShapeError(detail::text(name, ": shapes differ"));
  return {x[0].dtype, x[0].shape()};
}

template <class T, class F>
void put_all(View y, Write write, F value_at) {
  T* const out = y.as<T>();
  for (std::int64_t i = 0; i < y.size(); ++i) {
    const T value = value_at(i);
    out[i] = write == Write::assign ? value : out[i] + value;
  }
}

/// a b + sin(a): a derivative of several ops, called only when it is needed.
struct Blend {
  static constexpr const char* name = "blend";
  static constexpr Reads reads[] = {reads_x(0) | reads_x(1), reads_x(0)};
  TensorType infer(Operands x) const { return same_type(name, x); }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const T *a = x[0].as<T>(), *b = x[1].as<T>();
    put_all<T>(y, write, [&](std::int64_t i) { return a[i] * b[i] + std::sin(a[i]); });
  }
  void vjp(Backward& b) const {
    b.dx(0) += [&] { return b.dy() * (b.x(1) + cos(b.x(0))); };
    b.dx(1) += b.dy() * b.x(0);
  }
};

/// x x x, written over its operand where nobody needs that; the cotangent is donated.
struct Cubic {
  static constexpr const char* name = "cubic";
  static constexpr bool elementwise = true;
  static constexpr Reads reads[] = {reads_x(0)};
  TensorType infer(Operands x) const { return same_type(name, x); }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const T* a = x[0].as<T>();
    put_all<T>(y, write, [&](std::int64_t i) { return a[i] * a[i] * a[i]; });
  }
  void vjp(Backward& b) const {
    const Var slope = 3 * square(b.x(0));
    b.dx(0) += b.donate_dy() * slope;
  }
};

/// The same, but its derivative takes a derivative.
struct NestedCubic : Cubic {
  static constexpr const char* name = "nested_cubic";
  void vjp(Backward& b) const {
    const auto cube = [](const Var& x) { return sum(x * x * x); };
    b.dx(0) += b.dy() * value_and_grad(cube, b.x(0), b.create_graph()).grads[0];
  }
};

/// The sum of all elements, whose cotangent is repeated when somebody asks for it in full.
struct Total {
  static constexpr const char* name = "total";
  static constexpr Reads reads[] = {kReadsNothing};
  TensorType infer(Operands x) const { return {x[0].dtype, Shape{}}; }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    T total = 0;
    for (std::int64_t i = 0; i < x[0].size(); ++i) total += x[0].as<T>()[i];
    put_all<T>(y, write, [&](std::int64_t) { return total; });
  }
  void vjp(Backward& b) const {
    if (b.create_graph()) {
      b.dx(0) += broadcast_to(b.dy(), b.x_shape(0));
    } else {
      b.dx(0).add_broadcast(b.dy());
    }
  }
};

/// The derivative of x sin(x), which the kernel takes on a tape of its own or on the one that it computes
/// for.
struct Slope {
  static constexpr const char* name = "slope";
  static constexpr Reads reads[] = {reads_x(0)};
  Tape* tape;  // null: one of its own
  TensorType infer(Operands x) const { return same_type(name, x); }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    Tape own;
    Tape& t = tape ? *tape : own;
    const Var v = t.constant(TensorType{x[0].dtype, x[0].shape()},
                             [&](View to) { std::copy_n(x[0].as<T>(), to.size(), to.as<T>()); });
    const auto f = [](const Var& z) { return sum(z * sin(z)); };
    const Var g = value_and_grad(f, v).grads[0];
    const ConstView given = g.view();
    put_all<T>(y, write, [&](std::int64_t i) { return given.as<T>()[i]; });
  }
  void vjp(Backward& b) const {
    const Var x = b.x(0);
    b.dx(0) += b.dy() * (2 * cos(x) - x * sin(x));
  }
};

/// x itself, and an error: 1 of the kernel, 2 of the derivative, 3 of the derivative's kernel.
struct Thrower {
  static constexpr const char* name = "thrower";
  static constexpr bool elementwise = true;
  static constexpr Reads reads[] = {kReadsNothing};
  int where;
  TensorType infer(Operands x) const { return same_type(name, x); }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    if (where == 1) throw CallbackError();
    const T* a = x[0].as<T>();
    put_all<T>(y, write, [&](std::int64_t i) { return a[i]; });
  }
  void vjp(Backward& b) const {
    if (where == 2) throw CallbackError();
    if (where == 3) {
      b.dx(0) += xgrad::apply(Thrower{1}, b.dy());
    } else {
      b.dx(0) += b.dy();
    }
  }
};

/// x itself. Its derivative takes one of what it computes itself.
struct Probe {
  static constexpr const char* name = "probe";
  static constexpr Reads reads[] = {reads_x(0)};
  TensorType infer(Operands x) const { return same_type(name, x); }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const T* a = x[0].as<T>();
    put_all<T>(y, write, [&](std::int64_t i) { return a[i]; });
  }
  void vjp(Backward& b) const {
    const Var x = b.x(0);
    const ConstView twice = x.view();
    const Var g = grad(sum(x * x), {x})[0];
    for (std::int64_t i = 0; i < g.size(); ++i) {
      const bool same = g.dtype() == DType::float32 ? g.view().as<float>()[i] == 2 * twice.as<float>()[i]
                                                    : g.view().as<double>()[i] == 2 * twice.as<double>()[i];
      if (!same) throw std::logic_error("grad inside a vjp gives another value");
    }
    b.dx(0) += b.dy();
  }
};

}  // namespace fuzz
