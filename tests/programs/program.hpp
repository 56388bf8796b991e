// Random programs: graphs put together from the case table's rows, for tests of what holds for all programs.
//
// Any row can follow any other. What an operand is made from is repeated or cut to the operand's size and
// moved to where the row's own operands lie: at the program's inputs, every row works with exactly the
// operands that make_inputs gives it, and near them with operands near those. Along the program's direction
// every operand changes at a rate of about 1, so that neither derivatives nor their errors grow or vanish
// with depth.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tests/cases/op_cases.hpp"

namespace xgrad::programs {

using cases::Array;
using cases::Arrays;
using cases::OpCase;

/// A row with one set of its operands, each made from a value before it: first come the inputs, then the
/// steps.
struct Step {
  const OpCase* row;
  std::size_t set;
  std::vector<std::size_t> operands;
};

class Program {
 public:
  Program(std::uint64_t seed, std::vector<Step> steps);
  /// Steps drawn from rows that can be differentiated.
  static Program random(std::uint64_t seed, std::span<const OpCase* const> rows);

  const Arrays& inputs() const { return inputs_; }
  const Arrays& direction() const { return direction_; }
  std::size_t size() const { return steps_.size(); }
  const Step& step(std::size_t k) const { return steps_[k]; }

  /// How a step calls its row's function.
  using Caller = std::function<Var(const TensorFunction& f, std::span<const Var> operands)>;
  /// The sum, with weights, of all results that no step uses. Values are dropped with their last use, or all
  /// put into `keep`.
  Var operator()(std::span<const Var> x, const Caller& call = {}, std::vector<Var>* keep = nullptr) const;

  /// The program without a step; what used its result uses an input.
  Program without(std::size_t step) const;
  /// A line for every step.
  std::string text() const;

 private:
  /// centre + rate (v - base), where v is repeated or cut to the size of centre.
  struct Fit {
    Array base, centre;
    double rate;
    Var operator()(const Var& v) const;
  };
  /// The fit of a value to a centre, given that value at a step below, at and above the inputs.
  static Fit fit(std::span<const Var> around, Array centre);
  void calibrate();

  std::uint64_t seed_;
  std::vector<Step> steps_;
  Arrays inputs_, direction_;
  std::vector<std::vector<Fit>> fits_;               // of each step's operands
  std::vector<std::size_t> unused_;                  // the values that no step uses
  std::vector<Fit> outputs_;                         // what is summed up of each
  std::vector<std::vector<std::size_t>> last_uses_;  // of each step: the values that it uses last
};

/// Drops steps for as long as the program still fails.
Program shrink(Program program, const std::function<bool(const Program&)>& fails);

/// What does not hold of a program, empty when all does: its first and second derivatives are those of finite
/// differences, and all ways to the gradient agree.
std::string problem_of(const Program& program);

}  // namespace xgrad::programs
