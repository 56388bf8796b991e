// The derivatives of the case table's rows.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/cases/checks.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/support/text.hpp"
#include "xgrad/support/threads.hpp"
#include "xgrad/tape/grad.hpp"
#include "xgrad/tape/op.hpp"

using namespace xgrad;
using namespace xgrad::cases;

namespace {

/// Has f of its other operands as the derivative in its last one: then f is computed straight into a
/// cotangent.
struct Probe {
  static constexpr const char* name = "probe";
  static constexpr Reads reads[] = {~kReadsOutput};
  const TensorFunction* f;
  TensorType infer(Operands x) const { return {x.back().dtype, x.back().shape()}; }
  void eval(Operands, View y, Write) const { std::fill_n(y.as<double>(), y.size(), 0.0); }
  void vjp(Backward& b) const {
    std::vector<Var> x;
    for (int i = 0; i + 1 < b.operand_count(); ++i) x.push_back(b.x(i));
    b.dx(b.operand_count() - 1) += (*f)(x);
  }
};

std::string problem_of(const GradcheckReport& report) { return report ? std::string() : report.text(); }

}  // namespace

TEST_SUITE_BEGIN("ops");

TEST_CASE("cases: first derivatives agree with finite differences") {
  for_each_call(1, [](const Call& call) {
    if (call.row.gradient) return;
    if (call.elements() <= 30) call.expect("gradcheck", problem_of(gradcheck(call.row.f, call.x)));
    call.expect("fast gradcheck", problem_of(gradcheck(call.row.f, call.x, {.fast = true})));
  });
}

TEST_CASE("cases: derivatives at kinks are the documented ones") {
  for_each_call(1, [](const Call& call) {
    if (!call.row.gradient) return;
    const Arrays wanted = call.row.gradient(call.x, weights_for(call.row.reference(call.x)));
    for (bool create_graph : {false, true}) {
      call.expect("gradient", difference(gradients(call.row.f, call.x, create_graph), wanted, 1e-13));
    }
  });
}

TEST_CASE("cases: second derivatives agree with finite differences") {
  for_each_call(2, [](const Call& call) {
    if (call.elements() <= 30) call.expect("gradgradcheck", problem_of(gradgradcheck(call.row.f, call.x)));
    call.expect("fast gradgradcheck", problem_of(gradgradcheck(call.row.f, call.x, {.fast = true})));
  });
}

TEST_CASE("cases: second derivatives are right where the cotangent is zero") {
  for_each_call(2, [](const Call& call) {
    const TensorFunction f = [&](Vars x) { return sum(call.row.f(x.first(x.size() - 1)) * x.back()); };
    Arrays x = call.x;
    x.push_back(xt::zeros_like(call.row.reference(call.x)));
    call.expect("gradgradcheck", problem_of(gradgradcheck(f, x, {.fast = true})));
  });
}

TEST_CASE("cases: third derivatives agree with finite differences") {
  for_each_call(2, [](const Call& call) {
    const TensorFunction gradient = gradient_of(call.row.f);
    call.expect("gradgradcheck", problem_of(gradgradcheck(gradient, call.x, {.fast = true})));
    call.expect("create_graph",
                difference(gradients(gradient, call.x, true), gradients(gradient, call.x), 1e-10, 10));
  });
}

TEST_CASE("cases: a gradient that is recorded is the gradient") {
  for_each_call(1, [](const Call& call) {
    call.expect("create_graph",
                difference(gradients(call.row.f, call.x, true), gradients(call.row.f, call.x), 1e-13));
  });
}

TEST_CASE("cases: ops without derivative have a gradient of zero") {
  for_each_call(0, [](const Call& call) {
    Tape tape;
    const std::vector<Var> x = enter<double>(tape, call.x);
    const Var y = call.row.f(x);
    if (call.row.order > 0 || !is_floating(y.dtype())) return;
    for (const Array& g : gradients(y, x)) call.expect("gradient", largest(g) == 0 ? "" : "not zero");
  });
}

TEST_CASE("cases: operands that are constants do not change the others' gradients") {
  for_each_call(1, [](const Call& call) {
    const Arrays all = gradients(call.row.f, call.x);
    const unsigned last = (1u << std::min<std::size_t>(call.x.size(), 4)) - 1;
    for (unsigned active = 1; active < last; ++active) {
      Tape tape;
      const std::vector<Var> x = enter<double>(tape, call.x, active);
      std::vector<Var> active_x;
      Arrays wanted;
      for (std::size_t k = 0; k < x.size(); ++k) {
        if (active >> k & 1) active_x.push_back(x[k]), wanted.push_back(all[k]);
      }
      const Arrays g = gradients(call.row.f(x), active_x);
      call.expect(detail::text("active operands ", active), difference(g, wanted, 0));
    }
  });
}

TEST_CASE("cases: a cotangent that is added to a sum is added right") {
  for_each_call(1, [](const Call& call) {
    const TensorFunction twice = [&](Vars x) { return 3 * call.row.f(x) + call.row.f(x); };
    Arrays wanted = gradients(call.row.f, call.x);
    for (Array& g : wanted) g *= 4;
    call.expect("used twice", difference(gradients(twice, call.x), wanted, 1e-13, 4));
  });
}

TEST_CASE("cases: ops write over what a cotangent held, and add to it") {
  for_each_call(0, [](const Call& call) {
    Tape tape;
    const auto operands = [&] { return enter<double>(tape, call.x, 0); };
    const Var y = call.row.f(operands());
    if (!is_floating(y.dtype())) return;
    const Array value = values_of(y);
    Parameter p(Array(xt::zeros_like(value)));
    for (double times : {1, 2, 3, 1}) {
      if (times == 1) p.zero_grad();
      std::vector<Var> x = operands();
      x.push_back(tape.leaf(p));
      backward(sum(apply_all(Probe{&call.row.f}, x)));
      const Array g = p.grad<double>();
      call.expect(detail::text("written ", times, " times"),
                  difference(g, times * value, times == 1 ? 0 : 1e-13, times));
    }
  });
}

TEST_CASE("cases: gradients of parameters add up over two backwards") {
  for_each_call(1, [](const Call& call) {
    const Arrays once = gradients(call.row.f, call.x);
    std::vector<Parameter> parameters;
    for (const Array& x : call.x) parameters.emplace_back(x);
    Tape tape;
    for (double times : {1, 2}) {
      std::vector<Var> x;
      for (const Parameter& p : parameters) x.push_back(tape.leaf(p));
      const Var y = call.row.f(x);
      backward(sum(y * tape.constant(weights_for(values_of(y)))));
      for (std::size_t k = 0; k < x.size(); ++k) {
        const Array g =
            parameters[k].has_grad() ? Array(parameters[k].grad<double>()) : Array(xt::zeros_like(once[k]));
        call.expect(detail::text("backward ", times), difference(g, times * once[k], 1e-13, times));
      }
    }
  });
}

TEST_CASE("cases: a checkpoint changes no bit of the gradient") {
  for_each_call(1, [](const Call& call) {
    const TensorFunction f = [&](Vars x) { return checkpoint(call.row.f, x); };
    call.expect("checkpoint", difference(gradients(f, call.x), gradients(call.row.f, call.x), 0));
    call.expect("checkpoint, recorded",
                difference(gradients(f, call.x, true), gradients(call.row.f, call.x, true), 0));
  });
}

TEST_CASE("cases: 1, 2 and 4 threads give the same bits (threads)") {
  for_each_call(0, [](const Call& call) {
    const auto run = [&](int threads) {
      set_num_threads(threads);
      Tape tape;
      const std::vector<Var> x = enter<double>(tape, call.x);
      const Var y = call.row.f(x);
      Arrays result = call.row.order > 0 ? gradients(y, x) : Arrays{};
      result.push_back(values_of(y));
      return result;
    };
    const Arrays one = run(1);
    for (int threads : {2, 4})
      call.expect(detail::text(threads, " threads"), difference(run(threads), one, 0));
    set_num_threads(1);
  });
}

TEST_SUITE_END();
