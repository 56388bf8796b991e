// gradcheck and gradgradcheck: derivatives against finite differences.
#include "xgrad/tape/gradcheck.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "lib/tape/core.hpp"
#include "xgrad/support/random.hpp"
#include "xgrad/support/text.hpp"
#include "xgrad/tape/grad.hpp"

namespace xgrad {
namespace {

using Arrays = std::vector<xt::xarray<double>>;
using Function = std::function<std::vector<Var>(std::span<const Var>)>;
using Values = std::vector<std::vector<double>>;

std::vector<double> values_of(const Var& v) {
  const ConstView view = v.view();
  if (view.dtype != DType::float64)
    throw DTypeError(detail::text("gradcheck: the result is ", view.dtype, ", not float64"));
  return {view.as<double>(), view.as<double>() + view.size()};
}

Values values_of(std::span<const Var> vars) {
  Values result;
  for (const Var& v : vars) result.push_back(values_of(v));
  return result;
}

std::vector<Var> enter(Tape& tape, const Arrays& inputs) {
  std::vector<Var> x;
  for (const auto& input : inputs) x.push_back(tape.input(input));
  return x;
}

Values evaluate(const Function& f, const Arrays& inputs) {
  Tape tape;
  return values_of(f(enter(tape, inputs)));
}

/// f at two points either side of the inputs along a direction, as a difference quotient.
Values difference(const Function& f, Arrays& inputs, const Arrays& direction, double eps) {
  const Arrays centre = inputs;
  const auto move = [&](double step) {
    for (std::size_t k = 0; k < inputs.size(); ++k) inputs[k] = centre[k] + step * direction[k];
    return evaluate(f, inputs);
  };
  Values quotient = move(eps);
  const Values below = move(-eps);
  inputs = centre;
  for (std::size_t r = 0; r < quotient.size(); ++r) {
    for (std::size_t i = 0; i < quotient[r].size(); ++i)
      quotient[r][i] = (quotient[r][i] - below[r][i]) / (2 * eps);
  }
  return quotient;
}

xt::xarray<double> random_like(const Shape& shape, Generator& random) {
  xt::xarray<double> result(detail::xt_shape(shape));
  for (double& v : result) v = random.normal();
  return result;
}

class Checker {
 public:
  Checker(Function f, const Arrays& inputs, const GradcheckOptions& options)
      : f_(std::move(f)), inputs_(inputs), options_(options), random_(options.seed) {
    x_ = enter(tape_, inputs_);
    y_ = f_(x_);
    for (const Var& y : y_) values_of(y);
  }

  GradcheckReport run() {
    for (std::size_t r = 0; r < y_.size(); ++r) {
      check_zero_and_repeat(static_cast<int>(r));
      check_linear(static_cast<int>(r));
    }
    if (options_.fast) {
      project();
    } else {
      compare_jacobian();
    }
    return std::move(report_);
  }

 private:
  Values pull_back(std::size_t r, const xt::xarray<double>& cotangent) {
    const Var u = tape_.constant(cotangent);
    return values_of(detail::grad_or_zeros({&y_[r], 1}, {&u, 1}, x_, false));
  }

  void compare(int operand, std::int64_t input, int result, std::int64_t output, double analytic,
               double numeric) {
    ++report_.entries;
    const bool agree = std::abs(analytic - numeric) <= options_.atol + options_.rtol * std::abs(numeric);
    if (!agree) report_.failures.push_back({operand, input, result, output, analytic, numeric, {}});
  }

  void check_zero_and_repeat(int r) {
    const auto result = static_cast<std::size_t>(r);
    xt::xarray<double> zero = xt::zeros<double>(detail::xt_shape(y_[result].shape()));
    const Values none = pull_back(result, zero);
    const auto cotangent = random_like(y_[result].shape(), random_);
    const Values once = pull_back(result, cotangent), twice = pull_back(result, cotangent);
    for (std::size_t k = 0; k < x_.size(); ++k) {
      const auto fail = [&](const char* what) {
        report_.failures.push_back({static_cast<int>(k), 0, r, 0, 0, 0, what});
      };
      if (std::any_of(none[k].begin(), none[k].end(), [](double v) { return v != 0; })) {
        fail("a zero cotangent gives a gradient that is not zero");
      }
      if (!once[k].empty() &&
          std::memcmp(once[k].data(), twice[k].data(), once[k].size() * sizeof(double)) != 0) {
        fail("the same backward twice gives different results");
      }
      report_.entries += 2;
    }
  }

  /// A pull-back is linear: that of a sum is the sum of those of its parts, for large cotangents of either
  /// sign. The parts are the units; in fast mode a random cotangent and a multiple of it.
  void check_linear(int r) {
    const auto result = static_cast<std::size_t>(r);
    xt::xarray<double> cotangent = random_like(y_[result].shape(), random_);
    for (double& u : cotangent) u += std::copysign(1.5, u);
    std::vector<Values> parts;
    std::vector<double> weights;
    if (options_.fast) {
      parts.push_back(pull_back(result, cotangent));
      weights.push_back(1);
    } else {
      parts = rows(result);
      weights.assign(cotangent.begin(), cotangent.end());
    }
    for (const double factor : {1.0, -2.0}) {
      const Values whole = pull_back(result, factor * cotangent);
      for (std::size_t k = 0; k < x_.size(); ++k) {
        for (std::size_t i = 0; i < whole[k].size(); ++i) {
          double sum = 0, scale = 0;
          for (std::size_t j = 0; j < parts.size(); ++j) {
            const double term = factor * weights[j] * parts[j][k][i];
            sum += term, scale += std::abs(term);
          }
          if (std::abs(whole[k][i] - sum) <= 1e-9 + 1e-6 * scale) continue;
          report_.failures.push_back({static_cast<int>(k), static_cast<std::int64_t>(i), r, 0, whole[k][i],
                                      sum, "the derivative is not linear in the cotangent"});
          break;
        }
      }
    }
  }

  /// The gradients of every element of a result, with respect to each operand.
  std::vector<Values> rows(std::size_t r) {
    std::vector<Values> result;
    for (std::int64_t j = 0; j < y_[r].size(); ++j) {
      xt::xarray<double> unit = xt::zeros<double>(detail::xt_shape(y_[r].shape()));
      unit.data()[j] = 1;
      result.push_back(pull_back(r, unit));
    }
    return result;
  }

  void compare_jacobian() {
    // analytic[r][j][k] is the gradient of element j of result r with respect to operand k.
    std::vector<std::vector<Values>> analytic;
    for (std::size_t r = 0; r < y_.size(); ++r) analytic.push_back(rows(r));
    Arrays direction;
    for (const auto& input : inputs_) direction.push_back(xt::zeros<double>(input.shape()));
    for (std::size_t k = 0; k < inputs_.size(); ++k) {
      for (std::size_t i = 0; i < inputs_[k].size(); ++i) {
        direction[k].data()[i] = 1;
        const Values numeric = difference(f_, inputs_, direction, options_.eps);
        direction[k].data()[i] = 0;
        for (std::size_t r = 0; r < y_.size(); ++r) {
          for (std::size_t j = 0; j < numeric[r].size(); ++j) {
            compare(static_cast<int>(k), static_cast<std::int64_t>(i), static_cast<int>(r),
                    static_cast<std::int64_t>(j), analytic[r][j][k][i], numeric[r][j]);
          }
        }
      }
    }
  }

  void project() {
    Arrays direction;
    for (const Var& x : x_) direction.push_back(random_like(x.shape(), random_));
    const Values numeric = difference(f_, inputs_, direction, options_.eps);
    for (std::size_t r = 0; r < y_.size(); ++r) {
      const auto u = random_like(y_[r].shape(), random_);
      const Values gradient = pull_back(r, u);
      double left = 0, right = 0;
      for (std::size_t k = 0; k < x_.size(); ++k) {
        for (std::size_t i = 0; i < gradient[k].size(); ++i) left += gradient[k][i] * direction[k].data()[i];
      }
      for (std::size_t j = 0; j < numeric[r].size(); ++j) right += u.data()[j] * numeric[r][j];
      compare(-1, 0, static_cast<int>(r), 0, left, right);
    }
  }

  Function f_;
  Arrays inputs_;
  GradcheckOptions options_;
  Generator random_;
  Tape tape_;
  std::vector<Var> x_, y_;
  GradcheckReport report_;
};

}  // namespace

std::string GradcheckReport::text() const {
  if (failures.empty()) return detail::text("all ", entries, " entries agree");
  std::string lines = detail::text(failures.size(), " of ", entries, " entries do not agree");
  for (std::size_t i = 0; i < std::min<std::size_t>(failures.size(), 10); ++i) {
    const GradcheckFailure& f = failures[i];
    lines += f.operand < 0 ? detail::text("\n  result ", f.result, ", a random projection: ")
                           : detail::text("\n  result ", f.result, " [", f.output, "], operand ", f.operand,
                                          " [", f.input, "]: ");
    lines += f.what.empty() ? detail::text("analytic ", f.analytic, ", numeric ", f.numeric) : f.what;
  }
  return lines;
}

namespace {
void require_function(const char* use, const TensorFunction& f, const Arrays& inputs) {
  if (!f) throw Error(detail::text(use, ": the function is empty"));
  if (inputs.empty()) throw ShapeError(detail::text(use, ": no inputs"));
}
}  // namespace

GradcheckReport gradcheck(const TensorFunction& f, const std::vector<xt::xarray<double>>& inputs,
                          const GradcheckOptions& options) {
  require_function("gradcheck", f, inputs);
  return Checker([&](std::span<const Var> x) { return std::vector<Var>{f(x)}; }, inputs, options).run();
}

GradcheckReport gradgradcheck(const TensorFunction& f, const std::vector<xt::xarray<double>>& inputs,
                              const GradcheckOptions& options) {
  require_function("gradgradcheck", f, inputs);
  // The gradient as a function of the inputs and of the cotangent, which is linear in the latter.
  Tape tape;
  Generator random(options.seed + 1);
  Arrays all = inputs;
  all.push_back(random_like(f(enter(tape, inputs)).shape(), random));
  const auto gradient = [&](std::span<const Var> x) {
    const auto operands = x.first(x.size() - 1);
    const Var y = f(operands);
    return detail::grad_or_zeros({&y, 1}, {&x.back(), 1}, operands, true);
  };
  return Checker(gradient, all, options).run();
}

}  // namespace xgrad
