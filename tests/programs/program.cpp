// Random programs: how they are made, run and printed.
#include "tests/programs/program.hpp"

#include <algorithm>
#include <cmath>

#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/rearrange.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/ops/shape.hpp"
#include "xgrad/support/random.hpp"
#include "xgrad/support/text.hpp"

namespace xgrad::programs {
namespace {

constexpr std::size_t kInputs = 3;
// Of one operand: the product of thousands of changes is no longer small.
constexpr std::int64_t kMaxElements = 300;

std::int64_t elements(const cases::Shapes& shapes) {
  std::int64_t n = 0;
  for (const Shape& shape : shapes) n = std::max(n, shape.size());
  return n;
}

Arrays draw_inputs(Generator& random) {
  Arrays x;
  for (const Shape& shape : {Shape{2, 3}, Shape{5}, Shape{}}) {
    Array value(detail::xt_shape(shape));
    for (double& v : value) v = random.normal();
    x.push_back(value);
  }
  return x;
}

}  // namespace

Program::Program(std::uint64_t seed, std::vector<Step> steps) : seed_(seed), steps_(std::move(steps)) {
  Generator random(seed);
  inputs_ = draw_inputs(random);
  direction_ = draw_inputs(random);
  std::vector<bool> used(kInputs + steps_.size());
  last_uses_.resize(steps_.size());
  for (std::size_t k = steps_.size(); k-- > 0;) {
    for (std::size_t v : steps_[k].operands) {
      if (!used[v]) last_uses_[k].push_back(v);
      used[v] = true;
    }
  }
  for (std::size_t v = kInputs; v < used.size(); ++v) {
    if (!used[v]) unused_.push_back(v);
  }
  calibrate();
}

Program Program::random(std::uint64_t seed, std::span<const OpCase* const> rows) {
  Generator random(~seed);
  const auto below = [&](std::size_t n) -> std::size_t {
    return random.below(static_cast<std::uint32_t>(n));
  };
  std::vector<Step> steps(1 + below(12));
  std::size_t values = kInputs;
  for (Step& step : steps) {
    do {
      step.row = rows[below(rows.size())];
      step.set = below(step.row->sets.size());
    } while (elements(step.row->sets[step.set]) > kMaxElements);
    // Recent values more often: deep graphs, and some wide ones.
    for (std::size_t k = 0; k < step.row->sets[step.set].size(); ++k)
      step.operands.push_back(below(2) ? below(values) : values - 1 - below(3));
    ++values;
  }
  return Program(seed, std::move(steps));
}

Var Program::Fit::operator()(const Var& v) const {
  Tape& tape = v.tape();
  const auto n = v.size(), m = static_cast<std::int64_t>(centre.size());
  const Var middle = tape.constant(centre);
  if (n == 0 || m == 0) return middle;
  Var x = reshape(v - tape.constant(base), {n});
  if (m > n) x = tile(x, {(m + n - 1) / n});
  if (x.size() > m) x = slice(x, 0, 0, m);
  return middle + rate * reshape(x, middle.shape());
}

namespace {
constexpr double kStep = 1e-4;  // of finite differences
}

Program::Fit Program::fit(std::span<const Var> around, Array centre) {
  const Array below = around[0].array<double>(), base = around[1].array<double>(),
              above = around[2].array<double>();
  double rate = 0;
  for (std::size_t i = 0; i < base.size(); ++i)
    rate = std::max(rate, std::abs(above.data()[i] - below.data()[i]) / (2 * kStep));
  return {base, std::move(centre), rate > 1e-3 ? 1 / rate : 1};
}

void Program::calibrate() {
  Tape tape;
  const Tape::Pause pause = tape.no_grad();
  std::vector<std::vector<Var>> values;  // each a step below, at and above the inputs
  for (std::size_t i = 0; i < kInputs; ++i) {
    values.emplace_back();
    for (double at : {-kStep, 0.0, kStep})
      values.back().push_back(tape.constant(Array(inputs_[i] + at * direction_[i])));
  }
  for (const Step& step : steps_) {
    const Arrays centres = make_inputs(*step.row, step.set);
    fits_.emplace_back();
    for (std::size_t k = 0; k < centres.size(); ++k)
      fits_.back().push_back(fit(values[step.operands[k]], centres[k]));
    std::vector<Var> results;
    for (std::size_t at = 0; at < 3; ++at) {
      std::vector<Var> operands;
      for (std::size_t k = 0; k < centres.size(); ++k)
        operands.push_back(fits_.back()[k](values[step.operands[k]][at]));
      results.push_back(step.row->f(operands));
    }
    values.push_back(std::move(results));
  }
  for (std::size_t v : unused_)
    outputs_.push_back(fit(values[v], xt::zeros<double>(detail::xt_shape(values[v][1].shape()))));
}

Var Program::operator()(std::span<const Var> x, const Caller& call, std::vector<Var>* keep) const {
  std::vector<Var> values(x.begin(), x.end());
  for (std::size_t k = 0; k < steps_.size(); ++k) {
    std::vector<Var> operands;
    for (std::size_t i = 0; i < fits_[k].size(); ++i)
      operands.push_back(fits_[k][i](values[steps_[k].operands[i]]));
    values.push_back(call ? call(steps_[k].row->f, operands) : steps_[k].row->f(operands));
    for (std::size_t v : last_uses_[k]) {
      if (!keep) values[v] = Var();
    }
  }
  Var total = sum(x[0]) * 0.5;
  for (std::size_t i = 0; i < unused_.size(); ++i) {
    const Var part = outputs_[i](values[unused_[i]]);
    total = total + sum(part * total.tape().constant(cases::weights_for(outputs_[i].centre)));
  }
  if (keep) *keep = std::move(values);
  return total;
}

Program Program::without(std::size_t step) const {
  std::vector<Step> steps = steps_;
  steps.erase(steps.begin() + static_cast<std::ptrdiff_t>(step));
  const std::size_t gone = kInputs + step;
  for (std::size_t k = step; k < steps.size(); ++k) {
    for (std::size_t& v : steps[k].operands) v = v == gone ? step % kInputs : v > gone ? v - 1 : v;
  }
  return Program(seed_, std::move(steps));
}

std::string Program::text() const {
  std::string text;
  for (std::size_t k = 0; k < steps_.size(); ++k) {
    text += detail::text("v", kInputs + k, " = ", steps_[k].row->name, ", set ", steps_[k].set, ", of");
    for (std::size_t i = 0; i < fits_[k].size(); ++i)
      text += detail::text(" v", steps_[k].operands[i], " as ", shape_of(fits_[k][i].centre));
    text += '\n';
  }
  return text;
}

Program shrink(Program program, const std::function<bool(const Program&)>& fails) {
  for (bool dropped = true; dropped;) {
    dropped = false;
    for (std::size_t k = program.size(); k-- > 0;) {
      Program smaller = program.without(k);
      if (!fails(smaller)) continue;
      program = std::move(smaller);
      dropped = true;
    }
  }
  return program;
}

}  // namespace xgrad::programs
