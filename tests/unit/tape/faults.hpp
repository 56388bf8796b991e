// What the tests of faults share: polynomials with known derivatives, and ops that call back.
#pragma once

#include <array>
#include <functional>
#include <string>

#include "tests/unit/tape/helpers.hpp"
#include "xgrad/tape/flow.hpp"
#include "xgrad/tape/functional.hpp"
#include "xgrad/tape/gradcheck.hpp"

namespace xgrad::test {

/// A tensor like v that is full of one number.
inline Var filled_like(const Var& v, double number) {
  return v.tape().constant({v.dtype(), v.shape()}, [&](View view) {
    for (std::int64_t i = 0; i < view.size(); ++i) {
      if (view.dtype == DType::float32) {
        view.as<float>()[i] = static_cast<float>(number);
      } else {
        view.as<double>()[i] = number;
      }
    }
  });
}

/// What an xgrad::Error thrown by f says; empty when f throws none.
template <class F>
std::string error_of(F&& f) {
  try {
    (void)f();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

/// A hook that calls a function and leaves the cotangent.
template <class F>
CotangentHook calls(F f) {
  return [f](const Var&) {
    f();
    return Var();
  };
}

/// Whether an error's text names something.
inline bool names(const std::string& text, const std::string& what) {
  return text.find(what) != std::string::npos;
}

inline Var cube(const Var& v) { return v * v * v; }
inline Var cube_sum(const Var& v) { return sum(v * v * v); }
/// A quarter of the sum of v^4: its gradient is v^3, its Hessian 3 v^2 on the diagonal.
inline Var quartic(const Var& v) { return sum(v * v * v * v) * 0.25; }

/// x, by an op whose vjp is a function.
struct CallingOp {
  static constexpr const char* name = "calling";
  static constexpr Reads reads[] = {reads_x(0)};
  std::function<void(Backward&)> f;
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View y, Write write) const {
    for (std::int64_t i = 0; i < y.size(); ++i) {
      if (y.dtype == DType::float32) {
        store(y.as<float>()[i], x[0].as<float>()[i], write);
      } else {
        store(y.as<double>()[i], x[0].as<double>()[i], write);
      }
    }
  }
  void vjp(Backward& b) const { f(b); }
};

/// x, by an op whose kernel calls a function before it copies.
struct CallingKernel {
  static constexpr const char* name = "calling_kernel";
  static constexpr Reads reads[] = {kReadsNothing};
  std::function<void()> f;
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View y, Write write) const {
    f();
    CallingOp{}.eval(x, y, write);
  }
  void vjp(Backward& b) const { b.dx(0) += b.dy(); }
};

/// x, by an op that has no derivative.
struct NoDerivative {
  static constexpr const char* name = "no_derivative";
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View y, Write write) const { CallingOp{}.eval(x, y, write); }
};

/// The counts that must not grow: everything but the number of the recording.
inline bool within(const TapeStatistics& now, const TapeStatistics& limit) {
  return now.instructions <= limit.instructions && now.slots <= limit.slots &&
         now.bytes_in_use <= limit.bytes_in_use && now.bytes_held <= limit.bytes_held;
}

}  // namespace xgrad::test
