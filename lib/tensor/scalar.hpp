// What scalar functions are made of, for plain numbers; batches and Vars bring their own under the same
// names.
#pragma once

#include <cmath>
#include <type_traits>

namespace xgrad::functions {

template <class T>
  requires std::is_floating_point_v<T>
T select(bool condition, T a, T b) {
  return condition ? a : b;
}
template <class T>
  requires std::is_floating_point_v<T>
T step(T x) {
  return x > 0 ? T(1) : T(0);
}
template <class T>
  requires std::is_floating_point_v<T>
T sign(T x) {
  return x > 0 ? T(1) : x < 0 ? T(-1) : x;  // 0, -0 and NaN give themselves
}
template <class T>
  requires std::is_floating_point_v<T>
T in_range(T x, double low, double high) {
  return x >= T(low) && x <= T(high) ? T(1) : T(0);
}
template <class T>
  requires std::is_floating_point_v<T>
T exact_pow(T x, T y) {
  return std::pow(x, y);
}

// u d and u / d for a cotangent u, but 0 where u is 0, whatever d is: nothing infinite or NaN comes back from
// a branch that `where` did not take. For Vars they are the ops of these names.
template <class T>
T cotangent_mul(const T& u, const T& d) {
  return select(u == T(0), u, u * d);
}
template <class T>
T cotangent_div(const T& u, const T& d) {
  return select(u == T(0), u, u / d);
}

// These names are found by argument-dependent lookup for batches and Vars, here for plain numbers.
using std::abs;
using std::exp;
using std::log;
using std::sqrt;
using std::tanh;

}  // namespace xgrad::functions
