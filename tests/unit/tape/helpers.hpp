// What the tests of the engine share.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "xgrad/ops/custom.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/support/random.hpp"
#include "xgrad/tape/grad.hpp"
#include "xgrad/tape/tape.hpp"

/// Checks that an expression throws exactly `type`, with exactly `text`.
#define CHECK_ERROR(expression, type, text) CHECK_THROWS_WITH_AS((void)(expression), text, type)

namespace xgrad::test {

using Array = xt::xarray<double>;
using Values = std::vector<double>;

/// Numbers drawn evenly from a range.
inline Array drawn(const std::vector<std::size_t>& shape, std::uint64_t seed, double low = -1,
                   double high = 1) {
  Generator random(seed);
  Array x(Array::shape_type(shape.begin(), shape.end()));
  for (double& v : x) v = random.uniform(low, high);
  return x;
}

/// The options of grad, by position.
inline GradOptions recorded(bool create_graph = true) {
  return {.create_graph = create_graph, .cotangent = {}};
}
inline GradOptions weighted(const Var& cotangent, bool create_graph = false) {
  return {.create_graph = create_graph, .cotangent = cotangent};
}

inline Values values(const ConstView& v) {
  Values result;
  for (std::int64_t i = 0; i < v.size(); ++i) {
    result.push_back(v.dtype == DType::float32 ? static_cast<double>(v.as<float>()[i]) : v.as<double>()[i]);
  }
  return result;
}
inline Values values(const Var& v) { return values(v.view()); }
inline Values value_of(const Parameter& p) { return values(p.view()); }
inline Values grad_of(const Parameter& p) { return values(p.grad_view()); }

/// The largest difference, relative where numbers are above 1; infinite when sizes differ or either is NaN.
inline double difference(const Values& a, const Values& b) {
  if (a.size() != b.size()) return INFINITY;
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = std::abs(a[i] - b[i]) / std::max(1.0, std::abs(b[i]));
    if (!(d <= worst)) worst = std::isnan(d) ? INFINITY : d;
  }
  return worst;
}

inline bool same_bits(const Values& a, const Values& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0);
}

/// The counts that must come back to where they were.
inline bool same_counts(const TapeStatistics& a, const TapeStatistics& b) {
  return a.instructions == b.instructions && a.slots == b.slots && a.bytes_in_use == b.bytes_in_use &&
         a.recording == b.recording;
}

/// What many ops of the tests share: the shape of operand 0, and a kernel that adds all operands up.
struct SumOfOperands {
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View y, Write write) const {
    for (std::int64_t i = 0; i < y.size(); ++i) {
      double total = 0;
      for (const ConstView& v : x) total += v.as<double>()[i];
      detail::put_element(y.as<double>()[i], total, write);
    }
  }
};

}  // namespace xgrad::test

namespace doctest {
template <class T>
struct StringMaker<std::vector<T>> {
  static String convert(const std::vector<T>& v) {
    String text = "{";
    for (std::size_t i = 0; i < v.size(); ++i) text += (i ? ", " : "") + toString(v[i]);
    return text + "}";
  }
};
}  // namespace doctest
