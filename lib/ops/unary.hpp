// The op of a scalar function of one operand (lib/tensor/functions.hpp), one for all functions, and its
// gradient.
#pragma once

#include <algorithm>
#include <ostream>

#include "lib/ops/common.hpp"
#include "lib/tensor/strided.hpp"
#include "xgrad/ops/elementwise.hpp"

namespace xgrad {

/// For functions that are called with Vars; lib/tensor/scalar.hpp has the same for numbers.
inline Var if_positive(const Var& x, const Var& a, const Var& b) {
  return where(greater(x, detail::scalar_like(x, 0)), a, b);
}

namespace detail {

constexpr Reads reads_of_unary(int reads) {
  return (reads & functions::kX ? reads_x(0) : 0) | (reads & functions::kY ? kReadsOutput : 0);
}

/// Calls run(u, begin, n) for parts of a tensor of shape `to`: u points to the n elements from `begin` on of
/// `small`, broadcast to that shape.
template <class T, class Run>
void for_each_repeated(const ConstView& small, const Shape& to, const Run& run) {
  constexpr std::int64_t kPart = 256, kLong = 64;  // long enough to hide the cost of a call
  const LoopNest<1> nest(to, {broadcast_strides(small.shape(), to)});
  const bool by_runs = nest.extents[static_cast<std::size_t>(nest.rank - 1)] >= kLong;
  parallel_chunks(to.size(), [&](std::int64_t begin, std::int64_t n) {
    T part[kPart];
    if (by_runs) {
      nest.for_each_run(begin, n, [&](const auto& at, std::int64_t length, const auto& step) {
        const T* u = small.as<T>() + at[0];
        if (step[0] == 0) std::fill_n(part, std::min(length, kPart), *u), u = part;
        for (std::int64_t i = 0, count = 0; i < length; i += count) {
          count = step[0] == 0 ? std::min(kPart, length - i) : length;
          run(u, begin + i, count);
        }
        begin += length;
      });
      return;
    }
    for (const std::int64_t end = begin + n; begin < end; begin += n) {
      n = std::min(kPart, end - begin);
      T* next = part;
      nest.for_each_run(begin, n, [&](const auto& at, std::int64_t length, const auto& step) {
        put_run(small.as<T>() + at[0], step[0], next, length, Write::assign);
        next += length;
      });
      run(part, begin, n);
    }
  });
}

template <class F>
struct UnaryGrad;

/// The op of a function of one operand.
template <class F>
struct Unary {
  static constexpr const char* name = F::name;
  static constexpr bool constant = F::reads == functions::kZero;
  static constexpr bool elementwise = true;
  static constexpr Reads reads[] = {reads_of_unary(F::reads)};
  F f;

  TensorType infer(Operands x) const { return {require_floating(name, x), x[0].shape()}; }
  template <class T>
  void eval(Operands x, View y, Write write) const {
    const auto kernel = kernels::table<T>().unary[functions::UnaryList::index_of<F>()];
    parallel_chunks(y.size(), [&](std::int64_t begin, std::int64_t n) {
      kernel(&f, x[0].as<T>() + begin, y.as<T>() + begin, n, write);
    });
  }
  // dx = u df(x, y)
  void vjp(Backward& b) const
    requires(!constant)
  {
    const Var x = F::reads & functions::kX ? b.x(0) : Var();
    const Var y = F::reads & functions::kY ? b.y() : Var();
    if (b.create_graph()) {
      b.dx(0) += f.df_times(b.donate_dy(), x, y);
    } else if (F::reads == functions::kNone) {
      b.dx(0) += apply(UnaryGrad<F>{f}, b.donate_dy());
    } else if (F::reads == functions::kXY) {
      b.dx(0) += apply(UnaryGrad<F>{f}, b.donate_unexpanded_dy(), x, y);
    } else {
      b.dx(0) += apply(UnaryGrad<F>{f}, b.donate_unexpanded_dy(), F::reads & functions::kX ? x : y);
    }
  }
  void describe(std::ostream& out) const
    requires requires { f.describe(out); }
  {
    f.describe(out);
  }
};

/// dx = u df(x, y) in one pass over memory, for a u that broadcasts to dx. A gradient that is itself recorded
/// uses df_times instead.
template <class F>
struct UnaryGrad {
  static constexpr const char* name = "unary_grad";
  static constexpr bool elementwise = true;
  F f;
  TensorType infer(Operands x) const { return {x[0].dtype, x.back().shape()}; }
  template <class T>
  void eval(Operands x, View dx, Write write) const {
    const T* value = F::reads & functions::kX ? x[1].as<T>() : nullptr;
    const T* result = F::reads & functions::kY ? x.back().as<T>() : nullptr;
    const auto kernel = kernels::table<T>().unary_grad[functions::UnaryList::index_of<F>()];
    const auto run = [&](const T* u, std::int64_t begin, std::int64_t n) {
      kernel(&f, u, value ? value + begin : nullptr, result ? result + begin : nullptr, dx.as<T>() + begin, n,
             write);
    };
    if (x[0].shape() == dx.shape()) {
      return parallel_chunks(
          dx.size(), [&](std::int64_t begin, std::int64_t n) { run(x[0].as<T>() + begin, begin, n); });
    }
    for_each_repeated<T>(x[0], dx.shape(), run);
  }
};

}  // namespace detail
}  // namespace xgrad
