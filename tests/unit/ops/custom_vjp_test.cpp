// Functions of tensors with a derivative that the user gives.
#include <doctest/doctest.h>

#include <memory>

#include "tests/unit/tape/helpers.hpp"
#include "xgrad/ops/custom.hpp"
#include "xgrad/ops/linalg.hpp"
#include "xgrad/tape/gradcheck.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

using Vars = std::span<const Var>;
using Cotangents = std::vector<Var>;

/// log(sum(exp(x))) by hand, with a derivative that does not overflow where the function's own would.
const auto log_sum = custom_vjp<"log_sum">(
    [](Vars x) {
      const Var top = max(x[0]);
      return log(sum(exp(x[0] - top))) + top;
    },
    [](Vars x, const Var& y, const Var& dy) { return Cotangents{dy * exp(x[0] - y)}; });

/// x y^2
const auto product = custom_vjp<"product">([](Vars x) { return x[0] * x[1] * x[1]; },
                                           [](Vars x, const Var&, const Var& dy) {
                                             return Cotangents{dy * square(x[1]), dy * 2 * x[0] * x[1]};
                                           });

}  // namespace

TEST_SUITE_BEGIN("ops");

TEST_CASE("custom vjp: first and second derivatives are those of the vjp") {
  const Array x{0.5, -1.5, 2}, y{1.5, 0.3, -0.7};
  const TensorFunction one = [](Vars v) { return log_sum(v); };
  const TensorFunction two = [](Vars v) { return product(v[0], v[1]); };
  CHECK_MESSAGE(gradcheck(one, {x}), gradcheck(one, {x}).text());
  CHECK_MESSAGE(gradgradcheck(one, {x}), gradgradcheck(one, {x}).text());
  CHECK_MESSAGE(gradcheck(two, {x, y}), gradcheck(two, {x, y}).text());
  CHECK_MESSAGE(gradgradcheck(two, {x, y}), gradgradcheck(two, {x, y}).text());
  const TensorFunction same = [](Vars v) { return product(v[0], v[0]); };
  CHECK_MESSAGE(gradgradcheck(same, {x}), gradgradcheck(same, {x}).text());
}

TEST_CASE("custom vjp: one instruction is recorded, and nothing of f is kept") {
  Tape tape;
  const Var x = tape.input(Array{1, 2, 3});
  const std::size_t before = tape.statistics().bytes_in_use;
  const Var y = product(x, x);
  CHECK(tape.statistics().instructions == 1);
  CHECK(tape.statistics().bytes_in_use - before == before);  // y, which is of x's size
  CHECK(values(y) == Values{1, 8, 27});
  CHECK(values(grad(sum(y), {x})[0]) == Values{3, 12, 27});
}

TEST_CASE("custom vjp: the derivative may be another than the function's") {
  const auto straight_through = custom_vjp<"straight_through">(
      [](Vars x) { return round(x[0]); }, [](Vars, const Var&, const Var& dy) { return Cotangents{dy}; });
  const auto reversed = custom_vjp<"reversed">(
      [](Vars x) { return x[0]; }, [](Vars, const Var&, const Var& dy) { return Cotangents{-dy}; });
  Tape tape;
  const Parameter p(Array{0.4, 1.6}, "p");
  const Var w = tape.leaf(p), c = tape.constant(Array{3, 5});
  CHECK(values(straight_through(w)) == Values{0, 2});
  CHECK(values(grad(sum(straight_through(w) * c), {w})[0]) == Values{3, 5});
  CHECK(values(reversed(w)) == Values{0.4, 1.6});
  backward(sum(reversed(w) * c + w));
  CHECK(grad_of(p) == Values{-2, -4});
  CHECK(value_of(p) == Values{0.4, 1.6});
}

TEST_CASE("custom vjp: operands without cotangent, constants, integers, other dtypes") {
  const auto first_only = custom_vjp<"first_only">([](Vars x) { return x[0] * x[1]; },
                                                   [](Vars x, const Var&, const Var& dy) {
                                                     return Cotangents{dy * x[1], Var()};
                                                   });
  Tape tape;
  const Var x = tape.input(xt::xarray<float>{1, 2}), y = tape.input(xt::xarray<float>{3, 4});
  const auto g = grad(sum(first_only(x, y)), {x, y});
  CHECK(values(g[0]) == Values{3, 4});
  CHECK(values(g[1]) == Values{0, 0});
  CHECK_FALSE(first_only(tape.constant(Array{1, 2}), tape.constant(Array{1, 2})).requires_grad());
  {
    const Tape::Pause pause = tape.no_grad();
    CHECK(values(first_only(x, y)) == Values{3, 8});
  }
  const auto masked = custom_vjp<"masked">([](Vars v) { return where(v[1], v[0], 0 * v[0]); },
                                           [](Vars v, const Var&, const Var& dy) {
                                             return Cotangents{where(v[1], dy, 0 * dy), Var()};
                                           });
  CHECK(values(grad(sum(masked(x, greater(x, tape.constant(1, DType::float32)))), {x})[0]) == Values{0, 1});
}

TEST_CASE("custom vjp: what the callables own lives as long as the recording") {
  const auto scale = std::make_shared<double>(3);
  {
    Tape tape;
    const Var x = tape.input(Array{1, 2});
    Var y =
        custom_vjp<"scaled">([scale](Vars v) { return v[0] * *scale; },
                             [scale](Vars, const Var&, const Var& dy) { return Cotangents{dy * *scale}; })(x);
    CHECK(scale.use_count() == 2);
    CHECK(values(grad(sum(y), {x})[0]) == Values{3, 3});
    y = Var();
    CHECK(scale.use_count() == 1);
  }
  CHECK(scale.use_count() == 1);
}

TEST_CASE("custom vjp: inside of a vjp and of another one") {
  const auto outer = custom_vjp<"outer">(
      [](Vars x) { return product(x[0], x[0]); },
      [](Vars x, const Var&, const Var& dy) { return Cotangents{dy * 3 * product(x[0] * 0 + 1, x[0])}; });
  const TensorFunction f = [&](Vars x) { return outer(x[0]); };
  const Array x{0.5, -1.5, 2};
  CHECK_MESSAGE(gradcheck(f, {x}), gradcheck(f, {x}).text());
  CHECK_MESSAGE(gradgradcheck(f, {x}), gradgradcheck(f, {x}).text());
}

TEST_CASE("custom vjp: errors name the op") {
  const auto short_of_one = custom_vjp<"short_of_one">(
      [](Vars x) { return x[0] + x[1]; }, [](Vars, const Var&, const Var& dy) { return Cotangents{dy}; });
  const auto other_shape = custom_vjp<"other_shape">(
      [](Vars x) { return sum(x[0]); }, [](Vars, const Var&, const Var& dy) { return Cotangents{dy}; });
  const auto indices = custom_vjp<"indices">([](Vars x) { return greater(x[0], x[0]); },
                                             [](Vars, const Var&, const Var&) { return Cotangents{}; });
  const auto failing =
      custom_vjp<"failing">([](Vars x) { return x[0] + x[1]; },
                            [](Vars, const Var&, const Var&) -> Cotangents { throw Error("no"); });
  const auto once = elementwise<"once">([](auto x) { return x; }, [](double, double) { return 1; });
  const auto no_second = custom_vjp<"no_second">(
      [](Vars x) { return x[0]; },
      [once](Vars x, const Var&, const Var& dy) { return Cotangents{dy * once(x[0])}; });

  Tape tape;
  const Var x = tape.input(Array{1, 2});
  CHECK_ERROR(grad(sum(short_of_one(x, x)), {x}), ShapeError,
              "short_of_one: vjp gives 1 cotangents for 2 operands");
  CHECK_ERROR(grad(other_shape(x), {x}), ShapeError,
              "other_shape: vjp gives float64 [] for operand 1 of type float64 [2]");
  CHECK_ERROR(indices(x), DTypeError, "indices: operand 0 is bool, not floating");
  CHECK_ERROR(product(Vars()), ShapeError, "product: no operands");
  CHECK_ERROR(product(std::vector<Var>(31, x)), ShapeError, "product: 31 operands, more than 30");
  CHECK_ERROR(product(x, tape.input(Array{1, 2, 3})), ShapeError, "mul: shapes [2] and [3] do not broadcast");
  CHECK(tape.statistics().instructions == 0);
  CHECK(exp(x).requires_grad());  // recording goes on after an error
  CHECK_ERROR(grad(sum(failing(x, x)), {x}), Error, "no");
  const Var g = grad(sum(no_second(x)), {x}, recorded())[0];
  CHECK_ERROR(grad(sum(g), {x}, recorded()), NotDifferentiable,
              "once: has no second derivative; its derivative does not take a Var");
}

TEST_SUITE_END();
