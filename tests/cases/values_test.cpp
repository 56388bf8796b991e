// The values of the case table's rows.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#if __has_include(<xtensor/views/xstrided_view.hpp>)
#include <xtensor/views/xbroadcast.hpp>
#include <xtensor/views/xstrided_view.hpp>
#include <xtensor/views/xview.hpp>
#else
#include <xtensor/xbroadcast.hpp>
#include <xtensor/xstrided_view.hpp>
#include <xtensor/xview.hpp>
#endif

#include "tests/cases/checks.hpp"

using namespace xgrad;
using namespace xgrad::cases;

TEST_SUITE_BEGIN("ops");

TEST_CASE("cases: values agree with naive references") {
  for_each_call(0, [](const Call& call) {
    Tape tape;
    call.expect("value", difference(values_of(call.row.f(enter<double>(tape, call.x))),
                                    call.row.reference(call.x), 1e-12));
  });
}

TEST_CASE("cases: float32 agrees with float64") {
  for_each_call(0, [](const Call& call) {
    // Errors of single precision, 6e-8, add up over sums of hundreds of numbers; over more, as the square
    // root.
    const double tolerance = std::max(2e-6, 6e-8 * std::sqrt(static_cast<double>(call.elements())));
    Tape tape;
    const std::vector<Var> x = enter<float>(tape, call.x), exact = enter<double>(tape, call.x);
    const Var y = call.row.f(x), wanted = call.row.f(exact);
    const bool kept = y.dtype() != DType::float64;
    call.expect("dtype", kept ? "" : name(y.dtype()));
    const Array value = values_of(wanted);
    call.expect("value", difference(values_of(y), value, tolerance, largest(value)));
    if (call.row.order == 0) return;
    const Arrays g = gradients(y, x), wanted_g = gradients(wanted, exact);
    for (std::size_t k = 0; k < g.size(); ++k) {
      call.expect("gradient", difference(g[k], wanted_g[k], tolerance, std::max(1.0, largest(wanted_g[k]))));
    }
  });
}

TEST_CASE("cases: operands may be any xtensor expression") {
  const auto stepped = [](const Array& x, auto&& use) {
    xt::dynamic_shape<std::size_t> shape(x.shape().begin(), x.shape().end());
    for (std::size_t& extent : shape) extent *= 3;
    Array wide(shape, std::numeric_limits<double>::quiet_NaN());
    auto view = xt::strided_view(
        wide, xt::xstrided_slice_vector(x.dimension(), xt::range(1, xt::placeholders::_, 3)));
    xt::noalias(view) = x;
    return use(view);
  };
  const auto column_major = [](const Array& x, auto&& use) {
    return use(xt::xarray<double, xt::layout_type::column_major>(x));
  };
  const auto transposed = [](const Array& x, auto&& use) {
    const Array turned = xt::transpose(x);
    return use(xt::transpose(turned));
  };
  const auto expression = [](const Array& x, auto&& use) { return use(0.5 * x + 0.5 * x); };
  const auto broadcast = [](const Array& x, auto&& use) {
    if (x.dimension() == 0 || x.size() == 0) return use(xt::broadcast(x, x.shape()));
    const Array first = xt::view(x, 0);
    return use(xt::broadcast(first, x.shape()));
  };

  for_each_call(0, [&](const Call& call) {
    const auto check = [&](const char* what, const auto& as) {
      Tape tape;
      std::vector<Var> x, plain;
      for (const Array& a : call.x) {
        as(a, [&](const auto& e) {
          x.push_back(tape.input(e));
          plain.push_back(tape.input(Array(e)));
        });
      }
      const Var y = call.row.f(x), wanted = call.row.f(plain);
      call.expect(what, difference(values_of(y), values_of(wanted), 0));
      if (call.row.order > 0) call.expect(what, difference(gradients(y, x), gradients(wanted, plain), 0));
    };
    check("a view in steps", stepped);
    check("a column-major array", column_major);
    check("a transposed array", transposed);
    check("an expression", expression);
    check("a broadcast", broadcast);
  });
}

TEST_SUITE_END();
