// Ops of one's own. From a lambda, which is differentiated by itself: softsign(x) = x / (1 + |x|). With a
// derivative that is not the function's: rounding that lets gradients through. As a struct: the cumulative
// sum along the last axis, whose derivative is the cumulative sum from the other end. They are checked like
// the library's own.
#include <cmath>
#include <iostream>
#include <span>
#include <vector>

#include "xgrad/xgrad.hpp"

using namespace xgrad;

const auto softsign = elementwise<"softsign">([](auto x) {
  using std::abs;
  return x / (1 + abs(x));
});

const auto straight_through_round = custom_vjp<"straight_through_round">(
    [](std::span<const Var> x) { return round(x[0]); },
    [](std::span<const Var>, const Var&, const Var& dy) { return std::vector{dy}; });

struct CumulativeSum {
  static constexpr const char* name = "cumulative_sum";
  static constexpr Reads reads[] = {kReadsNothing};  // the derivative needs no values
  bool from_the_end;  // an attribute: structs of plain data are recorded as they are

  TensorType infer(Operands x) const {
    if (x[0].shape().rank() == 0) throw ShapeError("cumulative_sum: x must not be a scalar");
    return {require_floating(name, x), x[0].shape()};
  }
  template <class T>  // float or double
  void eval(Operands x, View y, Write write) const {
    const std::int64_t n = y.shape()[y.shape().rank() - 1];
    for (std::int64_t start = 0; start < y.size(); start += n) {
      T sum = 0;
      for (std::int64_t k = 0; k < n; ++k) {
        const std::int64_t i = start + (from_the_end ? n - 1 - k : k);
        sum += x[0].as<T>()[i];
        store(y.as<T>()[i], sum, write);
      }
    }
  }
  void vjp(Backward& b) const { b.dx(0) += apply(CumulativeSum{!from_the_end}, b.dy()); }
};

Var cumulative_sum(const Var& x) { return apply(CumulativeSum{false}, x); }

int main() {
  Tape tape;
  const Var x = tape.input(xt::xarray<double>{{1, -2, 3}, {-0.5, 0.25, 4}});
  const Var y = cumulative_sum(softsign(x));
  std::cout << "y = " << y << "\ngradient of its sum = " << grad(sum(y), {x})[0] << '\n';

  const Var z = straight_through_round(x);
  std::cout << "z = " << z << "\ngradient of its sum = " << grad(sum(z), {x})[0] << '\n';

  const auto f = [](std::span<const Var> v) { return square(cumulative_sum(softsign(v[0]))); };
  std::cout << "gradcheck: " << gradcheck(f, {x.array<double>()}).text() << '\n';
  std::cout << "gradgradcheck: " << gradgradcheck(f, {x.array<double>()}).text() << '\n';
}
