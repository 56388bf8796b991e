// What the tests of elementwise functions share: a table of functions with their values and derivatives for
// one number, and what is checked of every row.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/tape/grad.hpp"

namespace xgrad::test {

inline constexpr double kInf = std::numeric_limits<double>::infinity();
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kHalfPi = 1.5707963267948966;
inline const std::vector<double> kSpecial = {0.0, -0.0, 0.001, -0.001, 1,    -1,    kHalfPi, -kHalfPi,
                                             501, -501, 1e20,  -1e20,  kInf, -kInf, kNaN};

template <class T>
Var enter(Tape& tape, const std::vector<T>& x) {
  xt::xarray<T> value(std::vector<std::size_t>{x.size()});
  std::copy(x.begin(), x.end(), value.begin());
  return tape.input(value);
}

template <class T>
std::vector<T> list(const Var& v) {
  return {v.view().as<T>(), v.view().as<T>() + v.size()};
}

/// The derivative of the sum of y.
template <class T>
std::vector<T> gradient(const Var& y, const Var& x, bool create_graph = false) {
  return list<T>(grad(sum(y), {x}, {.create_graph = create_graph, .cotangent = {}})[0]);
}

/// Whether two results agree: to a few units in the last place, exactly where they are not finite or zero.
template <class T>
bool agree(T got, T wanted, T units = 8) {
  if (std::isnan(wanted)) return std::isnan(got);
  if (!std::isfinite(wanted) || wanted == 0) return got == wanted;
  return std::abs(got - wanted) <= units * std::numeric_limits<T>::epsilon() * std::abs(wanted);
}
/// Derivatives are made from y, or as a difference, whose rounding error may be multiplied by x^3.
template <class T>
bool slopes_agree(T got, T wanted, T units = 32) {
  return agree(got, wanted, units) || std::abs(got - wanted) <= units * std::numeric_limits<T>::epsilon();
}

/// A function with its value and derivative for one number.
struct Unary {
  std::string name;
  Var (*f)(Arg);
  double (*value)(double);
  double (*derivative)(double);
  bool keeps_sign = false;  // of a zero
};

/// All rows at kSpecial.
template <class T>
void check_special_values(const std::vector<Unary>& functions) {
  const std::vector<T> x(kSpecial.begin(), kSpecial.end());
  for (const Unary& f : functions) {
    Tape tape;
    const Var v = enter(tape, x), y = f.f(v);
    const std::vector<T> values = list<T>(y);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const T wanted = static_cast<T>(f.value(x[i]));
      CHECK_MESSAGE(agree(values[i], wanted), f.name, "(", x[i], ") is ", values[i], ", not ", wanted);
      if (wanted == 0 && f.keeps_sign) {
        CHECK_MESSAGE(std::signbit(values[i]) == std::signbit(wanted), f.name, "(", x[i],
                      ") has the wrong sign");
      }
    }
    const std::vector<T> slopes = gradient<T>(y, v);
    for (std::size_t i = 0; i + 1 < x.size(); ++i) {  // all but NaN
      const T wanted = static_cast<T>(f.derivative(x[i]));
      CHECK_MESSAGE(slopes_agree(slopes[i], wanted), f.name, "'(", x[i], ") is ", slopes[i], ", not ",
                    wanted);
    }
  }
}

/// A function of n numbers is f of each, whatever n, in value, gradient, and where the gradient is added to
/// another.
template <class T>
void check_lengths(const std::vector<Unary>& functions) {
  for (const Unary& f : functions) {
    for (std::size_t n = 1; n <= 70; ++n) {
      std::vector<T> x;
      for (std::size_t i = 0; i < n; ++i)
        x.push_back(static_cast<T>(0.1 + 0.07 * static_cast<double>((i * 37 + n) % 53)));
      Tape tape;
      const Var v = enter(tape, x), y = f.f(v);
      const std::vector<T> values = list<T>(y), once = gradient<T>(y, v),
                           twice = gradient<T>(3 * f.f(v) + y, v);
      for (std::size_t i = 0; i < n; ++i) {
        INFO(f.name << " of " << n << " numbers, at " << x[i]);
        CHECK(agree(values[i], static_cast<T>(f.value(x[i]))));
        const T slope = static_cast<T>(f.derivative(x[i]));
        CHECK(slopes_agree(once[i], slope));
        CHECK(slopes_agree(twice[i], 4 * slope, T(128)));
      }
    }
  }
}

}  // namespace xgrad::test
