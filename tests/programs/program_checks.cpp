// What holds for every program.
#include <cmath>

#include "tests/programs/program.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/support/text.hpp"
#include "xgrad/support/threads.hpp"
#include "xgrad/tape/grad.hpp"
#include "xgrad/tape/parameter.hpp"

namespace xgrad::programs {
namespace {

using Vars = std::vector<Var>;

/// Ends the checks of a program.
struct Problem {
  std::string text;
};
void require(bool holds, const std::string& what) {
  if (!holds) throw Problem{what};
}

Vars enter(Tape& tape, const Arrays& inputs) {
  Vars x;
  for (const Array& value : inputs) x.push_back(tape.input(value));
  return x;
}

Arrays values_of(std::span<const Var> vars) {
  Arrays result;
  for (const Var& v : vars) result.push_back(v.array<double>());
  return result;
}

double largest(const Arrays& x) {
  double result = 0;
  for (const Array& part : x) {
    for (double v : part) result = std::max(result, std::abs(v));
  }
  return result;
}

/// The largest difference in units of `scale`; NaN when there is one.
double difference(const Arrays& x, const Arrays& y, double scale) {
  double worst = 0;
  for (std::size_t k = 0; k < x.size(); ++k) {
    for (std::size_t i = 0; i < x[k].size(); ++i) {
      const double d = std::abs(x[k].data()[i] - y[k].data()[i]) / scale;
      if (!(d <= worst)) worst = d;
    }
  }
  return worst;
}

Arrays moved(const Program& f, double by) {
  Arrays x;
  for (std::size_t k = 0; k < f.inputs().size(); ++k) x.push_back(f.inputs()[k] + by * f.direction()[k]);
  return x;
}

/// The derivative along the direction, by differences of fourth order.
template <class At>
Arrays slope(At&& at) {
  constexpr double h = 1e-4;
  const Arrays far = at(2 * h), near = at(h), back = at(-h), far_back = at(-2 * h);
  Arrays result;
  for (std::size_t k = 0; k < far.size(); ++k)
    result.push_back((8 * (near[k] - back[k]) - (far[k] - far_back[k])) / (12 * h));
  return result;
}

Arrays gradient_at(const Program& f, double by, const Program::Caller& call = {}) {
  Tape tape;
  const Vars x = enter(tape, moved(f, by));
  return values_of(grad(f(x, call), x));
}

/// The gradient of the slope along the direction.
Arrays second_derivative(const Program& f, const Vars& x, const Vars& g) {
  Tape& tape = x[0].tape();
  Var slope = tape.input(0.0);
  for (std::size_t k = 0; k < x.size(); ++k) slope = slope + sum(g[k] * tape.constant(f.direction()[k]));
  return values_of(grad(slope, x));
}

void check_parameters(const Program& f, const Arrays& plain) {
  std::vector<Parameter> parameters;
  Tape tape;
  Vars leaves;
  for (const Array& value : f.inputs()) leaves.push_back(tape.leaf(parameters.emplace_back(value)));
  const auto gradients = [&] {
    Arrays result;
    for (const Parameter& p : parameters)
      result.push_back(p.has_grad() ? Array(p.grad<double>())
                                    : Array(xt::zeros<double>(detail::xt_shape(p.shape()))));
    return result;
  };
  Var loss = f(leaves);
  backward(loss, {.keep_recording = true});
  const Arrays once = gradients();
  require(difference(once, plain, 1 + largest(plain)) < 1e-11, "the gradient of parameters is another");
  for (Parameter& p : parameters) p.zero_grad();
  backward(loss);
  require(gradients() == once, "a second backward gives other bits");
  leaves.clear();
  loss = Var();
  require(tape.statistics().slots == 0 && tape.statistics().bytes_in_use == 0, "memory is left behind");
}

void check(const Program& f) {
  // Handles dropped as the program goes, and all of them kept.
  Tape tape;
  const Vars x = enter(tape, f.inputs());
  const Var y = f(x);
  const Arrays plain = values_of(grad(y, x));
  const double size = 1 + largest(plain);
  require(std::isfinite(size), "the gradient is not finite");
  require(values_of(grad(y, x)) == plain, "the same backward twice gives other bits");
  Vars kept;
  const Var z = f(x, {}, &kept);
  require(z.item<double>() == y.item<double>(), "the value is another when handles are kept");
  require(values_of(grad(z, x)) == plain, "the gradient has other bits when handles are kept");
  Vars more(x);
  for (std::size_t i = x.size(); i < kept.size(); i += 2) {
    if (kept[i].requires_grad()) more.push_back(kept[i]);
  }
  Arrays all = values_of(grad(z, more));
  all.resize(x.size());
  require(difference(all, plain, size) < 1e-11, "the gradient is another when more is asked for");
  check_parameters(f, plain);

  const Program::Caller checkpointed = [](const TensorFunction& g, std::span<const Var> operands) {
    return checkpoint(g, operands);
  };
  require(gradient_at(f, 0, checkpointed) == plain, "the gradient has other bits when steps are checkpoints");
  const TensorFunction whole = [&](std::span<const Var> v) { return f(v); };
  require(values_of(grad(checkpoint(whole, x), x)) == plain,
          "the gradient has other bits when the program is a checkpoint");
  for (int threads : {2, 4}) {
    set_num_threads(threads);
    const Arrays result = gradient_at(f, 0);
    set_num_threads(1);
    require(result == plain, detail::text("the gradient has other bits with ", threads, " threads"));
  }

  // The derivative of the value and of the gradient, along the direction.
  const auto value_at = [&](double by) {
    Tape fresh;
    const Tape::Pause pause = fresh.no_grad();
    return Arrays{f(enter(fresh, moved(f, by))).array<double>()};
  };
  double analytic = 0;
  for (std::size_t k = 0; k < x.size(); ++k) analytic += xt::sum(plain[k] * f.direction()[k])();
  const double numeric = slope(value_at)[0]();
  require(std::abs(analytic - numeric) <= 1e-5 * (10 + std::abs(numeric)),
          detail::text("the slope is ", analytic, ", by finite differences ", numeric));
  const Vars g = grad(y, x, {.create_graph = true, .cotangent = {}});
  require(difference(values_of(g), plain, size) < 1e-9, "the gradient is another when it is recorded");
  const Arrays second = second_derivative(f, x, g),
               wanted = slope([&](double by) { return gradient_at(f, by); });
  const double off = difference(second, wanted, size + largest(wanted));
  require(off <= 1e-5, detail::text("the second derivative is off by ", off, " of its size"));
}

}  // namespace

std::string problem_of(const Program& program) {
  try {
    check(program);
  } catch (const Problem& problem) {
    return problem.text;
  } catch (const std::exception& e) {
    return e.what();
  }
  return {};
}

}  // namespace xgrad::programs
