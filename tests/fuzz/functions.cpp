// Random functions, step by step.
#include "tests/fuzz/functions.hpp"

#include <algorithm>

namespace fuzz {
namespace {

bool broadcasts(const Dims& a, const Dims& b, Dims& out) {
  const Dims &longer = a.rank >= b.rank ? a : b, &shorter = a.rank >= b.rank ? b : a;
  out = longer;
  for (int i = 1; i <= shorter.rank; ++i) {
    if (longer.n[static_cast<std::size_t>(longer.rank - i)] !=
        shorter.n[static_cast<std::size_t>(shorter.rank - i)])
      return false;
  }
  return true;
}

}  // namespace

FunctionBuilder::FunctionBuilder(Random& random, std::vector<Type> args, const std::vector<Type>& around,
                                 const std::vector<std::int8_t>& names, Place place)
    : random_(random), place_(place) {
  fn_.arity = static_cast<int>(args.size());
  for (const Type& t : args) locals_.push_back({t});
  const int captures = around.empty() ? 0 : random_.below(3);
  for (int i = 0; i < captures; ++i) {
    const auto k = static_cast<std::size_t>(random_.below(static_cast<int>(around.size())));
    // Another element type or another tape would only throw.
    if (around[k].is_float32 != args[0].is_float32 && !random_.percent(5)) continue;
    fn_.captures.push_back(names[k]);
    locals_.push_back({around[k]});
  }
}

int FunctionBuilder::any_local() {
  // The latest ones more often, so that functions get deep.
  for (;;) {
    const int n = static_cast<int>(locals_.size());
    const int i = random_.percent(50) ? n - 1 - random_.below(std::min(n, 2)) : random_.below(n);
    if (!locals_[static_cast<std::size_t>(i)].moved) return i;
  }
}

int FunctionBuilder::local_like(const Type& wanted) {
  for (int i = static_cast<int>(locals_.size()) - 1; i >= 0; --i) {
    const Local& local = locals_[static_cast<std::size_t>(i)];
    const bool same = local.type.dims == wanted.dims && local.type.is_float32 == wanted.is_float32;
    if (same && !local.moved) return i;
  }
  return -1;
}

int FunctionBuilder::push(Step step, const Type& made) {
  fn_.steps.push_back(std::move(step));
  locals_.push_back({made});
  return static_cast<int>(locals_.size()) - 1;
}

int FunctionBuilder::push_op(Op what, int attribute, int a, int b, const Type& made) {
  Step s;
  s.what = what;
  s.attribute = attribute;
  s.a = static_cast<std::int8_t>(a);
  s.b = static_cast<std::int8_t>(b);
  if (takes_args(what) && a != b && static_cast<int>(locals_.size()) > a + 1 && random_.percent(15) &&
      std::count_if(locals_.begin(), locals_.end(), [](const Local& l) { return !l.moved; }) > 2) {
    s.move_a = true;
    locals_[static_cast<std::size_t>(a)].moved = true;
  }
  return push(std::move(s), made);
}

int FunctionBuilder::to_scalar(int local) {
  if (type(local).dims.rank == 0) return local;
  const Type made{{}, type(local).is_float32};
  return push_op(random_.percent(20) ? Op::total : Op::sum, 0, local, -1, made);
}

Type FunctionBuilder::add_any_result() {
  const int last = any_local();
  fn_.results.push_back(static_cast<std::int8_t>(last));
  return type(last);
}

void FunctionBuilder::add_scalar_result() {
  fn_.results.push_back(static_cast<std::int8_t>(to_scalar(any_local())));
}

void FunctionBuilder::add_result_like(const Type& wanted) {
  const int last = any_local();
  int result = last;
  if (!(type(last).dims == wanted.dims) || type(last).is_float32 != wanted.is_float32) {
    const int scalar = to_scalar(last);
    const int like = local_like(wanted);
    result = like < 0 ? last : push_op(Op::mul, 0, scalar, like, wanted);
  }
  fn_.results.push_back(static_cast<std::int8_t>(result));
}

/// A checkpoint runs again, so a cotangent may come to its hooks in several parts.
void FunctionBuilder::add_linear_result(int cotangent, const Type& wanted) {
  const Type given = type(cotangent);
  int result = push_op(random_.percent(50) ? Op::scale : Op::neg, random_.below(1000), cotangent, -1, given);
  if (!(given.dims == wanted.dims)) {
    const Type scalar{{}, given.is_float32};
    result = given.dims.rank ? push_op(Op::sum, 0, result, -1, scalar) : result;
    result = push_op(Op::mul, 0, result, 0, wanted);
  }
  fn_.results.push_back(static_cast<std::int8_t>(result));
}

void FunctionBuilder::add_steps(int count) {
  for (int i = 0; i < count; ++i) add_step();
}

bool FunctionBuilder::add_binary() {
  const int a = any_local(), b = any_local();
  if (type(a).is_float32 != type(b).is_float32) return false;
  Type made = type(a);
  static constexpr Op ops[] = {Op::add, Op::sub, Op::mul, Op::mul};
  if (type(a).dims == type(b).dims && random_.percent(20)) return push_op(Op::blend, 0, a, b, made);
  if (type(a).dims.rank == 2 && type(a).dims == type(b).dims && random_.percent(30)) {
    made.dims.n[1] = made.dims.n[0];
    return push_op(Op::matmul, 2, a, b, made);
  }
  if (!broadcasts(type(a).dims, type(b).dims, made.dims)) return false;
  return push_op(ops[random_.below(4)], 0, a, b, made);
}

void FunctionBuilder::add_unary() {
  static constexpr Op ops[] = {Op::tanh,  Op::sin,          Op::tanh,    Op::sin,    Op::exp,
                               Op::neg,   Op::scale,        Op::relu,    Op::sign,   Op::probe,
                               Op::cubic, Op::nested_cubic, Op::slope,   Op::stop,   Op::identity,
                               Op::sum,   Op::total,        Op::thrower, Op::reshape};
  const int a = any_local();
  const Op what = ops[random_.below(static_cast<int>(std::size(ops)))];
  Type made = type(a);
  int attribute = random_.below(1000);
  if (what == Op::sum || what == Op::total) made.dims = {}, attribute = 0;
  if (what == Op::slope) attribute = random_.below(2);
  if (what == Op::thrower) attribute = random_.percent(80) ? 0 : 1 + random_.below(3);
  if (what == Op::reshape) {
    const Dims& from = made.dims;
    attribute = from == kShapes[2] ? 3 : from == kShapes[3] ? 4 : from == kShapes[4] ? 2 : -1;
    if (attribute < 0) return;
    made.dims = kShapes[attribute];
  }
  push_op(what, attribute, a, -1, made);
}

/// A function that is called in the course of this one.
FunctionBuilder FunctionBuilder::nested(std::vector<Type> args, bool in_callback, bool in_checkpoint) {
  std::vector<Type> around;
  std::vector<std::int8_t> names;
  for (std::size_t i = 0; i < locals_.size(); ++i) {
    if (locals_[i].moved) continue;
    around.push_back(locals_[i].type);
    names.push_back(static_cast<std::int8_t>(i));
  }
  return {
      random_,
      std::move(args),
      around,
      names,
      {place_.in_callback || in_callback, false, place_.in_checkpoint || in_checkpoint, place_.depth + 1}};
}

bool FunctionBuilder::add_nested() {
  if (place_.depth >= 2) return false;
  Step s;
  const int a = any_local();
  s.a = static_cast<std::int8_t>(a);
  Type made = type(a);
  switch (random_.below(5)) {
    case 0: {
      s.kind = Step::functional;
      s.functional_kind = static_cast<Functional>(random_.below(6));
      FunctionBuilder f = nested({made}, false);
      f.add_steps(1 + random_.below(3));
      const Type x = made;
      made = {{}, x.is_float32};
      const bool any = s.functional_kind == Functional::vjp || s.functional_kind == Functional::jvp ||
                       s.functional_kind == Functional::jacobian;
      Type y = made;
      if (any) {
        y = f.add_any_result();
      } else {
        f.add_scalar_result();
      }
      if (s.functional_kind == Functional::jvp) made = y;
      if (s.functional_kind == Functional::vjp) s.b = static_cast<std::int8_t>(local_like(y));
      if (s.functional_kind == Functional::jvp || s.functional_kind == Functional::hvp)
        s.b = static_cast<std::int8_t>(local_like(x));
      if (s.functional_kind == Functional::vjp && s.b < 0 && y.dims.rank) return false;
      s.create_graph = random_.percent(50);
      s.f = f.done();
      break;
    }
    case 1: {
      s.kind = Step::checkpoint;
      FunctionBuilder f = nested({made}, true, true);
      f.add_steps(1 + random_.below(3));
      made = f.add_any_result();
      s.f = f.done();
      break;
    }
    case 2: {
      s.kind = Step::hook;
      FunctionBuilder f = nested({made}, true);
      if (place_.in_checkpoint) {
        f.add_linear_result(0, made);
      } else {
        f.add_steps(1 + random_.below(2));
        f.add_result_like(made);
      }
      s.f = f.done();
      break;
    }
    case 3: {
      s.kind = Step::custom;
      FunctionBuilder f = nested({made}, false);
      f.add_steps(1 + random_.below(2));
      const Type x = made;
      made = f.add_any_result();
      s.f = f.done();
      FunctionBuilder g = nested({x, made, made}, true);
      if (place_.in_checkpoint) {
        g.add_linear_result(2, x);
      } else {
        g.add_steps(1 + random_.below(2));
        g.add_result_like(x);
      }
      s.g = g.done();
      break;
    }
    default: {
      s.kind = Step::attempt;
      FunctionBuilder f = nested({made}, false);
      f.add_steps(1 + random_.below(2));
      if (random_.percent(60)) {
        Step fail;
        fail.kind = Step::fail;
        fail.a = 0;
        f.push(fail, f.type(0));
      }
      f.add_scalar_result();
      s.f = f.done();
    }
  }
  push(std::move(s), made);
  return true;
}

void FunctionBuilder::add_effect() {
  Step s;
  const int a = any_local();
  s.a = static_cast<std::int8_t>(a);
  s.attribute = random_.below(kParameters);
  const int choice = random_.below(place_.may_write ? 9 : place_.in_callback ? 4 : 2);
  static constexpr Step::Kind kinds[] = {Step::read,       Step::rewind,   Step::clear,
                                         Step::rewind_out, Step::write,    Step::backward,
                                         Step::pack,       Step::end_tape, Step::escape};
  s.kind = kinds[choice];
  if (s.kind == Step::rewind) s.what = random_.percent(50) ? Op::tanh : Op::cubic;
  if (s.kind == Step::rewind_out) s.attribute = random_.below(kMarks);
  if (s.kind == Step::end_tape) s.attribute = random_.below(kTapes);
  if (s.kind == Step::escape) s.attribute = random_.below(kVars);
  if (s.kind == Step::backward) {
    Step leaf;
    leaf.kind = Step::leaf;
    leaf.a = s.a;
    leaf.attribute = type(a).is_float32 ? 3 : random_.below(3);
    const Type made = kParameterTypes[leaf.attribute];
    const int w = push(leaf, made);
    s.a = static_cast<std::int8_t>(push_op(Op::sin, 0, w, -1, made));
    s.create_graph = random_.percent(50);  // keep the recording
  }
  push(s, type(s.a));
}

void FunctionBuilder::add_step() {
  const int choice = random_.below(100);
  if (choice < 30) {
    add_unary();
  } else if (choice < 60) {
    if (!add_binary()) add_unary();
  } else if (choice < 76) {
    if (!add_nested()) add_unary();
  } else if (choice < 82) {
    add_effect();
  } else if (choice < 84) {
    Step s;
    s.kind = Step::under_no_grad;
    const int a = any_local();
    s.what = Op::sin;
    s.a = static_cast<std::int8_t>(a);
    push(s, type(a));
  } else if (choice < 89) {
    Step s;
    const int a = any_local();
    s.kind = random_.percent(50) ? Step::constant : Step::input;
    s.seed = random_.next() % 1000;
    s.a = static_cast<std::int8_t>(a);
    push(s, s.kind == Step::constant ? Type{{}, type(a).is_float32} : type(a));
  } else if (choice < 93) {
    Step s;
    s.kind = Step::leaf;
    s.a = static_cast<std::int8_t>(any_local());
    s.attribute = type(s.a).is_float32 ? 3 : random_.below(3);
    push(s, kParameterTypes[s.attribute]);
  } else if (choice < 98) {
    Step s;
    s.kind = Step::grad;
    s.a = static_cast<std::int8_t>(any_local());
    s.b = static_cast<std::int8_t>(random_.percent(60) ? 0 : any_local());
    if (locals_[static_cast<std::size_t>(s.b)].moved) return;
    s.create_graph = random_.percent(50);
    push(s, type(s.b));
  } else {
    Step s;
    s.kind = Step::fail;
    s.a = 0;
    push(s, type(0));
  }
}

}  // namespace fuzz
