// The case table: a row for every op and every public function of include/xgrad/ops. The tests of this folder
// make of each row what ops have in common; what is special about an op is tested in tests/unit/ops.
//
//     unary("exp", exp, std::exp),                      // name, function, its value for one number
//     unary("log", log, std::log, positive),            // and the domain to take inputs from
//     {.name = "transpose axes",                        // the function's name, then what the row is about
//      .f = [](Vars x) { return transpose(x[0], {1, 0, 2}); },
//      .reference = [](const Arrays& x) { return naive::transpose(x[0], {1, 0, 2}); },
//      .sets = {{{2, 3, 4}}, {{0, 2, 3}}},              // shapes of the operands, one set per call
//      .errors = {fails<ShapeError>({{2, 3}}, "transpose: ...")}},
#pragma once

#include <functional>
#include <span>
#include <string>
#include <typeinfo>
#include <vector>

#include "tests/cases/naive.hpp"
#include "xgrad/tape/gradcheck.hpp"
#include "xgrad/tape/tape.hpp"

namespace xgrad::cases {

using naive::Array;
using naive::Arrays;
using Vars = std::span<const Var>;
using Shapes = std::vector<Shape>;

/// Where the values of an operand come from: uniform in [low, high], and a twentieth away from every kink.
struct Domain {
  double low = -2, high = 2;
  std::vector<double> kinks = {};
  double grid = 0;  ///< multiples of this alone, when it is not 0
  bool distinct =
      false;  ///< instead: a shuffled sequence about low, so that no two values of a set are alike
};
inline const Domain anything{}, positive{0.5, 2}, nonzero{-2, 2, {0}}, whole{-2, 2, {}, 1},
    distinct{0, 0, {}, 0, true};

/// An error that a call throws: its exact type and text.
struct ErrorCase {
  std::function<void(Tape&, const TensorFunction& row)> call;
  std::function<bool(const Error&)> has_type;
  std::string text;
};

/// The row's function throws E for operands (of ones) of these shapes.
template <class E>
ErrorCase fails(const Shapes& shapes, std::string text);
/// The call throws E.
template <class E>
ErrorCase fails_when(std::function<void(Tape&)> call, std::string text);

struct OpCase {
  std::string name;
  TensorFunction f;
  std::function<Array(const Arrays&)> reference;
  std::vector<Shapes> sets;
  std::vector<Domain> domains = {anything};  ///< of each operand; the last is that of all further ones
  int order = 2;             ///< how often it can be differentiated; 0: the derivative is zero
  bool elementwise = false;  ///< a function of numbers, whose reference holds for all numbers there are
  std::vector<ErrorCase> errors = {};
  /// At kinks, where there are no finite differences: the gradient for a cotangent.
  std::function<Arrays(const Arrays& x, const Array& cotangent)> gradient = {};
};

/// The table, family by family.
std::vector<OpCase> op_cases();
std::vector<OpCase> elementwise_cases();
std::vector<OpCase> activation_cases();
std::vector<OpCase> reduce_cases();
std::vector<OpCase> shape_cases();
std::vector<OpCase> rearrange_cases();
std::vector<OpCase> order_cases();
std::vector<OpCase> linalg_cases();
std::vector<OpCase> decomposition_cases();
std::vector<OpCase> loss_cases();
std::vector<OpCase> conv_cases();
std::vector<OpCase> pool_cases();
std::vector<OpCase> norm_cases();
std::vector<OpCase> network_cases();
std::vector<OpCase> kink_cases();

/// The operands of one set of a row; always the same.
Arrays make_inputs(const OpCase& row, std::size_t set);
/// The sum of f's gradient, and of that of its square, with fixed weights, to be differentiated again.
TensorFunction gradient_of(const TensorFunction& f);
/// Values as doubles.
Array values_of(const Var& v);
Arrays values_of(std::span<const Var> vars);
/// A fixed cotangent for a result.
Array weights_for(const Array& result);

// What rows are made of ---------------------------------------------------------------------------------

extern const std::vector<Shapes> unary_sets, binary_sets;

/// An elementwise function of one operand, from its value for one number: also for 0, infinity and NaN.
OpCase unary(const char* name, Var (*f)(Arg), double (*reference)(double), Domain domain = anything);
/// An elementwise function of two operands that broadcast.
OpCase binary(const char* name, Var (*f)(Arg, Arg), double (*reference)(double, double),
              std::vector<Domain> domains = {anything});
/// One that gives bool.
OpCase comparison(const char* name, Var (*f)(Arg, Arg), bool (*reference)(double, double));
/// A row changed: to one whose derivative is zero, to one with further errors or none.
OpCase constant(OpCase row);
OpCase with_errors(OpCase row, std::vector<ErrorCase> errors);
OpCase without_errors(OpCase row);

/// The fixed labels naive::label(0, classes), naive::label(1, classes), ... as a constant of int64.
Var labels(Tape& tape, const Shape& shape, std::int64_t classes);
/// A tensor of ones, to be differentiated with respect to where that is possible.
Var ones(Tape& tape, const Shape& shape, DType dtype = DType::float64);

// -------------------------------------------------------------------------------------------------------

template <class E>
ErrorCase fails_when(std::function<void(Tape&)> call, std::string text) {
  return {[call = std::move(call)](Tape& tape, const TensorFunction&) { call(tape); },
          [](const Error& e) { return typeid(e) == typeid(E); }, std::move(text)};
}

template <class E>
ErrorCase fails(const Shapes& shapes, std::string text) {
  ErrorCase error = fails_when<E>({}, std::move(text));
  error.call = [shapes](Tape& tape, const TensorFunction& row) {
    std::vector<Var> x;
    for (const Shape& shape : shapes) x.push_back(ones(tape, shape));
    row(x);
  };
  return error;
}

}  // namespace xgrad::cases
