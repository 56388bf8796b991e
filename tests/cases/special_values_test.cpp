// Every elementwise row where numbers are special: zeros, infinities, NaN, what is very large and very small.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/cases/checks.hpp"
#include "xgrad/support/text.hpp"
#include "xgrad/tape/grad.hpp"

using namespace xgrad;
using namespace xgrad::cases;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity(),
                 kNaN = std::numeric_limits<double>::quiet_NaN();
const std::vector<double> kSpecial = {
    0,    -0.0, 0.001, -0.001, 1,     -1,  std::acos(0.0), -std::acos(0.0), 501,
    -501, 1e20, -1e20, kInf,   -kInf, kNaN};

/// The operands of a function of `count` numbers: all special ones, or all pairs; what is beyond two repeats.
Arrays special_operands(std::size_t count) {
  const std::size_t n = kSpecial.size(), size = count == 1 ? n : n * n;
  Arrays x(count, Array::from_shape({size}));
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t k = 0; k < count; ++k) x[k](i) = kSpecial[k % 2 ? i / n : i % n];
  }
  return x;
}

/// Calls body with every elementwise row and its special operands, rounded to T.
template <class T, class Body>
void for_each_special_call(Body&& body) {
  for (const OpCase& row : table()) {
    if (!row.elementwise) continue;
    Call call{row, special_operands(row.sets[0].size())};
    for (Array& x : call.x) x = xt::cast<double>(xt::xarray<T>(xt::cast<T>(x)));
    try {
      body(call);
    } catch (const std::exception& e) {
      call.expect("thrown", e.what());
    }
  }
}

std::string not_zero(const Arrays& all) {
  for (std::size_t k = 0; k < all.size(); ++k) {
    for (std::size_t i = 0; i < all[k].size(); ++i) {
      if (all[k].data()[i] != 0) {  // NaN is not either
        return detail::text("operand ", k, ", element ", i, " is ", all[k].data()[i]);
      }
    }
  }
  return {};
}

}  // namespace

TEST_SUITE_BEGIN("ops");

TEST_CASE_TEMPLATE("cases: special values are those of the references", T, double, float) {
  constexpr double kTolerance = std::is_same_v<T, double> ? 1e-12 : 2e-6;
  for_each_special_call<T>([](const Call& call) {
    Tape tape;
    Array wanted = call.row.reference(call.x);
    wanted = xt::cast<double>(xt::xarray<T>(xt::cast<T>(wanted)));
    call.expect("special values",
                difference(values_of(call.row.f(enter<T>(tape, call.x))), wanted, kTolerance));
  });
}

TEST_CASE_TEMPLATE("cases: at special values a cotangent of zero gives zero", T, double, float) {
  for_each_special_call<T>([](const Call& call) {
    if (call.row.order == 0) return;
    Tape tape;
    const std::vector<Var> x = enter<T>(tape, call.x);
    const Var y = call.row.f(x);
    const Array zero = xt::zeros<double>(detail::xt_shape(y.shape()));
    for (bool create_graph : {false, true}) {
      const Var none = constant_of(tape, zero, y.dtype());
      call.expect("a cotangent of zero",
                  not_zero(values_of(grad(y, x, {.create_graph = create_graph, .cotangent = none}))));
    }
    // The second derivative: a gradient with a cotangent of zero.
    const Var u = tape.input(xt::xarray<T>(xt::ones_like(zero)));
    const std::vector<Var> g = grad(y, x, {.create_graph = true, .cotangent = u});
    std::vector<Var> all = x;
    all.push_back(u);
    for (const Var& part : g) {
      if (!part.requires_grad()) continue;
      const Array none = xt::zeros<double>(detail::xt_shape(part.shape()));
      const Var cotangent = constant_of(tape, none, part.dtype());
      call.expect("a second cotangent of zero",
                  not_zero(values_of(grad(part, all, {.create_graph = false, .cotangent = cotangent}))));
    }
  });
}

TEST_SUITE_END();
