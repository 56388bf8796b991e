// Parameters: ownership, leaves, gradients, and writes between recording and backward.
#include "xgrad/tape/parameter.hpp"

#include <optional>
#include <sstream>
#include <type_traits>

#include "tests/unit/tape/helpers.hpp"
#include "xgrad/ops/linalg.hpp"
#include "xgrad/tape/flow.hpp"

using namespace xgrad;
using namespace xgrad::test;

static_assert(!std::is_copy_constructible_v<Parameter> && !std::is_copy_assignable_v<Parameter>);
static_assert(std::is_nothrow_move_constructible_v<Parameter> &&
              std::is_nothrow_move_assignable_v<Parameter>);

TEST_CASE("parameter: value, version, name") {
  Parameter p({DType::float32, Shape{2, 2}}, "p");
  CHECK(value_of(p) == Values{0, 0, 0, 0});
  CHECK(p.size() == 4);
  const std::uint64_t version = p.version();
  p.assign(xt::xarray<float>{{1, 2}, {3, 4}});
  CHECK(p.version() == version + 1);
  p.mutable_value<float>()(1, 1) = 5;
  CHECK(p.version() == version + 2);
  CHECK(value_of(p) == Values{1, 2, 3, 5});
  CHECK(p.value<float>()(0, 1) == 2);
  p.set_name("q");
  CHECK(p.name() == "q");
  CHECK_ERROR(p.assign(xt::xarray<float>{1, 2}), ShapeError, "assign: value [2] to parameter q [2, 2]");
  CHECK_ERROR(p.assign(xt::xarray<double>{{1, 2}, {3, 4}}), DTypeError,
              "parameter q: float32 accessed as float64");
  CHECK_THROWS_AS((void)p.mutable_value<double>(), DTypeError);
  CHECK(p.version() == version + 2);  // what failed is no write
  CHECK(value_of(p) == Values{1, 2, 3, 5});
  CHECK_ERROR(Parameter({DType::int64, Shape{1}}, "n"), DTypeError,
              "parameter n: dtype must be float32 or float64, not int64");
}

TEST_CASE("parameter: assigned from an expression of itself") {
  Parameter p(Array{{1, 2}, {3, 4}}, "p");
  p.assign(p.value<double>() * 2);
  CHECK(value_of(p) == Values{2, 4, 6, 8});
  const std::vector<std::size_t> shape{2, 2};
  p.assign(xt::adapt<xt::layout_type::column_major>(p.view().as<double>(), 4, xt::no_ownership(),
                                                    shape));  // transposed
  CHECK(value_of(p) == Values{2, 6, 4, 8});
}

TEST_CASE("parameter: moved, shared, cloned, empty") {
  Parameter p(Array{1, 2}, "p");
  Parameter shared = p.share(), copy = p.clone();
  CHECK(shared.is(p));
  CHECK_FALSE(copy.is(p));
  shared.mutable_value<double>()(0) = 7;
  CHECK(value_of(p) == Values{7, 2});
  CHECK(value_of(copy) == Values{1, 2});
  CHECK(copy.name() == "p");
  Parameter moved = std::move(p);
  CHECK(moved.is(shared));
  const char* empty = "parameter: empty, it was moved from or never given a value";
  CHECK_ERROR(p.shape(), Error, empty);  // NOLINT(bugprone-use-after-move)
  CHECK_ERROR(Parameter().name(), Error, empty);
  Tape tape;
  CHECK_ERROR(tape.leaf(Parameter()), Error, empty);
  CHECK(tape.statistics().slots == 0);
}

TEST_CASE("leaf: one per parameter and recording") {
  Tape tape;
  const Parameter p(Array{1, 2}, "p"), q(Array{1, 2}, "q");
  const Var a = tape.leaf(p), b = tape.leaf(p), c = tape.leaf(p.share());
  CHECK(tape.statistics().slots == 1);
  CHECK(a.view().data == p.view().data);  // entered by reference
  CHECK(tape.statistics().bytes_in_use == 0);
  const Var leaf_of_q = tape.leaf(q);
  CHECK(leaf_of_q.view().data != a.view().data);
  CHECK(tape.statistics().slots == 2);
  backward(sum(a * b * c));
  CHECK(grad_of(p) == Values{3, 12});
  CHECK_FALSE(q.has_grad());
  CHECK_THROWS_AS((void)(a + 1), StaleVar);
  CHECK(tape.leaf(p).requires_grad());
}

TEST_CASE("leaf: after a write it stands for the new value, and the gradient is that of both") {
  Tape tape;
  Parameter p(Array{1, 2}, "p");
  const Var old = tape.leaf(p) * 3;
  p.assign(Array{10, 20});
  const Var now = tape.leaf(p) * 5;
  CHECK(values(old) == Values{3, 6});
  CHECK(values(now) == Values{50, 100});
  SUBCASE("from nothing") {
    backward(sum(old + now));
    CHECK(grad_of(p) == Values{8, 8});
  }
  SUBCASE("in the other order") {
    backward(sum(now - old));
    CHECK(grad_of(p) == Values{2, 2});
  }
  SUBCASE("only the old one") {
    backward(sum(old));
    CHECK(grad_of(p) == Values{3, 3});
  }
  SUBCASE("only the new one") {
    backward(sum(now));
    CHECK(grad_of(p) == Values{5, 5});
  }
  SUBCASE("on top of an earlier gradient") {
    backward(sum(old + now), {.keep_recording = true});
    backward(sum(old));
    CHECK(grad_of(p) == Values{11, 11});
  }
}

TEST_CASE("leaf: its Var is readable even when the parameter has gone") {
  Tape tape;
  Var leaf;
  std::optional<Parameter> p(Parameter(Array{1, 2, 3}, "p"));
  SUBCASE("within the recording") { leaf = tape.leaf(*p); }
  SUBCASE("after backward") {
    leaf = tape.leaf(*p);
    backward(sum(leaf));
  }
  SUBCASE("after clear") {
    leaf = tape.leaf(*p);
    tape.clear();
  }
  p.reset();
  CHECK(values(leaf) == Values{1, 2, 3});
  for (int i = 0; i < 3; ++i) {
    const Parameter q(Array{4, 5, 6});
    backward(sum(tape.leaf(q)));
  }
  CHECK(values(leaf) == Values{1, 2, 3});
  leaf = Var();
  backward(sum(tape.leaf(Parameter(Array{1.0}))));
  CHECK(tape.statistics().slots == 0);
}

TEST_CASE("backward: a parameter that was overwritten is named, and nothing is lost") {
  Tape tape;
  Parameter w(Array{2, 3}, "layer.weight"), b(Array{1, 1}, "layer.bias");
  const Var x = tape.input(Array{1, 2});
  const Var loss = sum(x * tape.leaf(w) + tape.leaf(b));
  w.mutable_value<double>()(0) = 4;
  const TapeStatistics before = tape.statistics();
  const char* text =
      " parameter layer.weight was written after mul recorded it, and its old value is needed; "
      "step the optimiser after backward, or use p.clone()";
  CHECK_ERROR(backward(loss), ParameterModified, ("backward:" + std::string(text)).c_str());
  CHECK_ERROR(grad(loss, {x}), ParameterModified, ("grad:" + std::string(text)).c_str());
  CHECK(same_counts(tape.statistics(), before));
  CHECK_FALSE(w.has_grad());
  CHECK_FALSE(b.has_grad());
  CHECK(loss.item<double>() == 10);
  std::ostringstream listing;
  tape.print(listing);
  CHECK(listing.str().find("mul(") != std::string::npos);
  CHECK((loss + 1).item<double>() == 11);
}

TEST_CASE("backward: a fresh leaf does not hide that the old value is needed") {
  Tape tape;
  Parameter w(Array{2, 3}, "w");
  SUBCASE("used before the write") {
    const Var old = square(tape.leaf(w));
    w.assign(Array{4, 5});
    const Var now = tape.leaf(w) * 3;
    CHECK_THROWS_AS(backward(sum(old + now)), ParameterModified);
  }
  SUBCASE("a handle from before the write") {
    const Var old = tape.leaf(w);
    w.assign(Array{4, 5});
    const Var now = tape.leaf(w), y = sum(square(old) + square(now));
    CHECK_THROWS_AS(backward(y), ParameterModified);
  }
  SUBCASE("nothing old is left") {
    (void)square(tape.leaf(w));
    w.assign(Array{4, 5});
    backward(sum(square(tape.leaf(w))));
    CHECK(grad_of(w) == Values{8, 10});
  }
}

TEST_CASE("backward: an overwritten value that no derivative reads does not matter") {
  Tape tape;
  Parameter w(Array{2, 3}, "w"), b(Array{1, 1}, "b");
  const Var loss = sum(tape.constant(Array{1, 2}) * tape.leaf(w) + tape.leaf(b));
  w.assign(Array{0, 0});  // its own derivative reads the constant
  b.assign(Array{0, 0});
  backward(loss);
  CHECK(grad_of(w) == Values{1, 2});
  CHECK(grad_of(b) == Values{1, 1});
}

TEST_CASE("backward: a second one after an optimiser's step needs the old weights") {
  Tape tape;
  Parameter w(Array{{2, 3}, {4, 5}}, "w");
  const Var x = tape.input(Array{{1, 2}});
  const Var first = sum(matmul(x, tape.leaf(w))), second = first * 2;
  backward(first, {.keep_recording = true});
  w.mutable_value<double>() -= 0.1;
  CHECK_THROWS_AS(backward(second), ParameterModified);
}

TEST_CASE("backward: gradients add up until they are forgotten") {
  Tape tape;
  Parameter w(Array{1, 2, 3}, "w"), unused(Array{1.0}, "unused");
  CHECK_FALSE(w.has_grad());
  CHECK_ERROR(w.grad_view(), Error, "parameter w: no gradient; no backward has reached it");
  const auto loss = [&] { return sum(square(tape.leaf(w))) + 0 * sum(tape.leaf(w)); };
  const Var l = loss();
  (void)tape.leaf(unused);
  backward(l, {.keep_recording = true});
  const Values once = grad_of(w);
  CHECK(once == Values{2, 4, 6});
  backward(l, {.keep_recording = true});
  CHECK(grad_of(w) == Values{4, 8, 12});
  backward(l);
  CHECK(grad_of(w) == Values{6, 12, 18});
  backward(loss());
  CHECK(grad_of(w) == Values{8, 16, 24});
  w.zero_grad();
  CHECK_FALSE(w.has_grad());
  CHECK_THROWS_AS((void)w.grad<double>(), Error);
  backward(loss());
  CHECK(grad_of(w) == once);  // assigned, not added to what is forgotten
  CHECK_FALSE(unused.has_grad());
  CHECK_ERROR(w.grad<float>(), DTypeError, "parameter w: float64 accessed as float32");
}

TEST_CASE("backward: the gradient of two tapes and two tensors of one parameter") {
  const Parameter w(Array{1, 2}, "w");
  Tape a, b;
  const Var x = sum(a.leaf(w) * 3), y = sum(b.leaf(w) * 5);
  backward(x);
  backward(y);
  CHECK(grad_of(w) == Values{8, 8});
}

TEST_CASE("backward: a loss that is a parameter itself") {
  Tape tape;
  const Parameter w(Array(xt::ones<double>({1, 1})), "w");
  backward(tape.leaf(w));
  CHECK(grad_of(w) == Values{1});
  backward(tape.leaf(w) + tape.leaf(w));
  CHECK(grad_of(w) == Values{3});
}

TEST_CASE("backward: what cannot be a loss") {
  Tape tape;
  const Parameter w(Array{1, 2}, "w"), empty(Array(xt::zeros<double>({0})), "empty");
  const Var x = tape.input(1.0);
  CHECK_ERROR(backward(tape.leaf(w)), ShapeError,
              "backward: loss [2] must have one element; sum it, or use grad with a cotangent");
  CHECK_ERROR(backward(x * x), NotDifferentiable,
              "backward: the loss depends on no parameter; use grad for inputs");
  CHECK_ERROR(backward(less(x, x)), DTypeError, "backward: y is bool, not floating");
  backward(sum(tape.leaf(empty)));
  CHECK(empty.has_grad());
  CHECK(empty.grad<double>().size() == 0);
}

TEST_CASE("backward: float32 and float64 live side by side") {
  Tape tape;
  const Parameter f(xt::xarray<float>{1, 2}, "f"), d(Array{1, 2}, "d");
  const Var loss = sum(square(tape.leaf(f))), other = sum(square(tape.leaf(d)));
  backward(loss, {.keep_recording = true});
  CHECK_FALSE(d.has_grad());
  backward(other);
  CHECK(grad_of(f) == Values{2, 4});
  CHECK(grad_of(d) == Values{2, 4});
  CHECK(f.grad<float>()(1) == 4);
}

namespace {

std::vector<Parameter> handles(std::initializer_list<const Parameter*> parameters) {
  std::vector<Parameter> all;
  for (const Parameter* p : parameters) all.push_back(p->share());
  return all;
}

}  // namespace

TEST_CASE("pack: values and gradients stay, side by side, as long as anybody needs them") {
  std::optional<Parameter> a(std::in_place, Array{1, 2, 3}, "a");
  Parameter b(xt::xarray<float>{4}, "b"), c(Array{{5, 6}}, "c"), d({DType::float32, Shape{0}}, "d");
  Tape tape;
  backward(sum(tape.leaf(*a) * 2.0));
  const std::uint64_t version = a->version();
  std::vector<Parameter> all = handles({&*a, &b, &c, &d});
  CHECK_FALSE(a->precedes(c));
  pack(all);
  CHECK(a->precedes(c));  // each dtype by itself
  CHECK(b.precedes(d));
  CHECK_FALSE(a->precedes(b));
  CHECK_FALSE(c.precedes(*a));
  CHECK(c.view().as<double>() == a->view().as<double>() + 8);
  for (const Parameter& p : all) CHECK(reinterpret_cast<std::uintptr_t>(p.view().data) % 64 == 0);
  CHECK(value_of(*a) == Values{1, 2, 3});
  CHECK(value_of(b) == Values{4});
  CHECK(value_of(c) == Values{5, 6});
  CHECK(grad_of(*a) == Values{2, 2, 2});
  CHECK_FALSE(c.has_grad());
  CHECK(a->version() == version);  // no write

  // Gradients go where they belong.
  backward(sum(tape.leaf(*a) * 3.0) + sum(tape.leaf(c)));
  CHECK(grad_of(*a) == Values{5, 5, 5});
  CHECK(grad_of(c) == Values{1, 1});
  CHECK(c.grad_view().as<double>() == a->grad_view().as<double>() + 8);

  // A clone is not packed; a handle may be moved; the others may go.
  Parameter copy = a->clone(), moved = std::move(*a);
  copy.mutable_value<double>()(0) = 9;
  CHECK(value_of(moved) == Values{1, 2, 3});
  CHECK_FALSE(copy.precedes(c));
  CHECK(moved.precedes(c));
  all.clear();
  a.reset();
  moved = Parameter();
  CHECK(value_of(c) == Values{5, 6});
  CHECK(grad_of(c) == Values{1, 1});

  // Again, in part.
  std::vector<Parameter> again = handles({&c, &copy});
  pack(again);
  CHECK(c.precedes(copy));
  CHECK(value_of(copy) == Values{9, 2, 3});
  pack({});
  std::vector<Parameter> empty(1);
  CHECK_ERROR(pack(empty), Error, "parameter: empty, it was moved from or never given a value");
}

TEST_CASE("pack: between recording and backward") {
  const Parameter w(Array{1, 2}, "w");
  std::vector<Parameter> all = handles({&w});
  Tape tape;
  const Var x = tape.leaf(w), loss = sum(x * x);
  pack(all);
  CHECK(values(x) == Values{1, 2});
  backward(loss);
  CHECK(grad_of(w) == Values{2, 4});
  all[0].mutable_value<double>()(0) = 7;
  CHECK(values(tape.leaf(w)) == Values{7, 2});
  CHECK(values(x) == Values{1, 2});

  // A slot that stands for one value after the other follows the parameter.
  (void)tape.leaf(w);
  pack(all);
  all[0].mutable_value<double>()(0) = 8;
  CHECK(values(tape.leaf(w)) == Values{8, 2});

  const auto pack_inside = [&](const Var&) { return pack(all), Var(); };
  CHECK_ERROR(backward(sum(with_hook(tape.leaf(w), pack_inside))), Error,
              "pack: called inside a hook; backward is writing the gradient of parameter w");
  pack(all);  // it is over
  backward(sum(tape.leaf(w)));
  CHECK(grad_of(w) == Values{1, 1});
}
