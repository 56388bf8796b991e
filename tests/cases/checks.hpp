// What the tests made from the case table share: calls of its rows, and what is compared of them.
#pragma once

#include <exception>
#include <span>
#include <string>
#include <vector>

#include "tests/cases/op_cases.hpp"

namespace xgrad::cases {

/// What ran, told when the program ends.
struct Tally {
  std::size_t checks = 0, programs = 0, steps = 0;
  ~Tally();
};
extern Tally tally;

/// op_cases(), made once.
const std::vector<OpCase>& table();

/// One row with one set of operands.
struct Call {
  const OpCase& row;
  Arrays x;

  /// Counts a check, which fails when there is a problem to tell.
  void expect(const std::string& what, const std::string& problem) const;
  std::size_t elements() const;
};

/// Calls body for every set of every row that can be differentiated at least `order` times.
template <class Body>
void for_each_call(int order, Body&& body) {
  for (const OpCase& row : table()) {
    for (std::size_t set = 0; row.order >= order && set < row.sets.size(); ++set) {
      const Call call{row, make_inputs(row, set)};
      try {
        body(call);
      } catch (const std::exception& e) {
        call.expect("thrown", e.what());
      }
    }
  }
}

/// The first entry that differs by more than `relative` of its own size and of `scale`; empty when all agree.
/// What is infinite or NaN must be so in both.
std::string difference(const Array& got, const Array& wanted, double relative, double scale = 1);
std::string difference(const Arrays& got, const Arrays& wanted, double relative, double scale = 1);

double largest(const Array& x);

/// An array as a constant of a floating dtype.
Var constant_of(Tape& tape, const Array& x, DType dtype);

template <class T>
std::vector<Var> enter(Tape& tape, const Arrays& x, unsigned active = ~0u) {
  std::vector<Var> vars;
  for (std::size_t k = 0; k < x.size(); ++k) {
    const xt::xarray<T> value = xt::cast<T>(x[k]);
    vars.push_back(active >> k & 1 ? tape.input(value) : tape.constant(value));
  }
  return vars;
}

/// The gradient of y, weighted by weights_for(y).
Arrays gradients(const Var& y, std::span<const Var> x, bool create_graph = false);

/// The same of f(inputs), in float64.
Arrays gradients(const TensorFunction& f, const Arrays& inputs, bool create_graph = false);

}  // namespace xgrad::cases
