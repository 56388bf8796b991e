// What the tests of the case table share: they go through the rows and compare.
#include "tests/cases/checks.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "xgrad/ops/registry.hpp"
#include "xgrad/support/text.hpp"
#include "xgrad/tape/grad.hpp"
#include "xgrad/tensor/blas.hpp"

namespace xgrad::cases {

Tally tally;

Tally::~Tally() {
  if (checks) {
    std::printf("op cases (%s): %zu ops, %zu rows, %zu checks\n", kernel_isa(), registered_ops().size(),
                table().size(), checks);
  }
  if (programs) std::printf("random programs: %zu, of %zu steps\n", programs, steps);
}

const std::vector<OpCase>& table() {
  static const std::vector<OpCase> rows = op_cases();
  return rows;
}

void Call::expect(const std::string& what, const std::string& problem) const {
  ++tally.checks;
  if (problem.empty()) return;
  std::string message = row.name + ", operands";
  for (const Array& a : x) message += ' ' + shape_of(a).text();
  message += ", " + what + ": " + problem;
  FAIL_CHECK(message);
}

std::size_t Call::elements() const {
  std::size_t n = 0;
  for (const Array& a : x) n += a.size();
  return n;
}

std::string difference(const Array& got, const Array& wanted, double relative, double scale) {
  if (got.shape() != wanted.shape()) {
    return detail::text("shape ", shape_of(got), ", expected ", shape_of(wanted));
  }
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double a = got.data()[i], b = wanted.data()[i];
    const bool same = a == b || (std::isnan(a) && std::isnan(b));
    const bool near = std::isfinite(b) && std::abs(a - b) <= relative * std::max(std::abs(b), scale);
    if (!same && !near) {
      return detail::text("element ", i, " is ", a, ", expected ", b, ", difference ", a - b);
    }
  }
  return {};
}

std::string difference(const Arrays& got, const Arrays& wanted, double relative, double scale) {
  for (std::size_t k = 0; k < wanted.size(); ++k) {
    const std::string problem = difference(got[k], wanted[k], relative, scale);
    if (!problem.empty()) return detail::text("operand ", k, ", ", problem);
  }
  return {};
}

double largest(const Array& x) {
  double result = 0;
  for (double v : x) result = std::max(result, std::abs(v));
  return result;
}

Var constant_of(Tape& tape, const Array& x, DType dtype) {
  if (dtype == DType::float32) return tape.constant(xt::xarray<float>(xt::cast<float>(x)));
  return tape.constant(x);
}

Arrays gradients(const Var& y, std::span<const Var> x, bool create_graph) {
  const Var cotangent = constant_of(y.tape(), weights_for(values_of(y)), y.dtype());
  if (!y.requires_grad()) {
    // Either the derivative is zero everywhere, or y depends on no operand at all, which grad reports.
    try {
      return values_of(grad(y, x, {.create_graph = create_graph, .cotangent = cotangent}));
    } catch (const NotDifferentiable&) {
      Arrays zeros;
      for (const Var& v : x) zeros.push_back(xt::zeros<double>(detail::xt_shape(v.shape())));
      return zeros;
    }
  }
  return values_of(grad(y, x, {.create_graph = create_graph, .cotangent = cotangent}));
}

Arrays gradients(const TensorFunction& f, const Arrays& inputs, bool create_graph) {
  Tape tape;
  const std::vector<Var> x = enter<double>(tape, inputs);
  return gradients(f(x), x, create_graph);
}

}  // namespace xgrad::cases
