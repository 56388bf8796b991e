// Makes random functions: what hooks, checkpoints, custom derivatives and functions of functions are given.
#pragma once

#include <vector>

#include "tests/fuzz/generator.hpp"

namespace fuzz {

/// Where a function is called, which says what it may do.
struct Place {
  bool in_callback = false;    // so that clear and the like must throw
  bool may_write = false;      // it is called once, so it may write what is not its own
  bool in_checkpoint = false;  // so that what hooks and custom derivatives make of cotangents must be linear
  int depth = 0;
};

class FunctionBuilder {
 public:
  /// `around` are the values that the function may capture, by their names.
  FunctionBuilder(Random& random, std::vector<Type> args, const std::vector<Type>& around,
                  const std::vector<std::int8_t>& names, Place place);

  /// Adds a result of any type, of one element, or of a type that an argument has.
  Type add_any_result();
  void add_scalar_result();
  void add_result_like(const Type& type);
  void add_empty_result() { fn_.results.push_back(-1); }
  FnPtr done() { return std::make_shared<const Fn>(std::move(fn_)); }
  void add_steps(int count);
  /// Something that is done for what it does, not for what it gives.
  void add_effect();

 private:
  struct Local {
    Type type;
    bool moved = false;
  };
  int any_local();
  int local_like(const Type& type);
  int push(Step step, const Type& type);
  int push_op(Op what, int attribute, int a, int b, const Type& type);
  int to_scalar(int local);
  void add_step();
  bool add_binary();
  void add_unary();
  bool add_nested();
  FunctionBuilder nested(std::vector<Type> args, bool in_callback, bool in_checkpoint = false);
  void add_linear_result(int cotangent, const Type& type);
  const Type& type(int local) const { return locals_[static_cast<std::size_t>(local)].type; }

  Random& random_;
  Fn fn_;
  std::vector<Local> locals_;
  Place place_;
};

}  // namespace fuzz
