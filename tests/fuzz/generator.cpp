// Random calls.
#include "tests/fuzz/generator.hpp"

#include <algorithm>

#include "tests/fuzz/functions.hpp"

namespace fuzz {

template <class Suits>
std::int8_t Generator::any_var(Suits suits) {
  std::array<std::int8_t, kVars> found;
  int count = 0;
  for (std::int8_t i = 0; i < kVars; ++i) {
    if (at(i) && suits(at(i))) found[static_cast<std::size_t>(count++)] = i;
  }
  return count ? found[static_cast<std::size_t>(random_.below(count))] : std::int8_t{-1};
}

std::int8_t Generator::operand() {
  const bool any = random_.percent(4);
  // What was made last, so that computations get deep.
  const bool usable = latest_ >= 0 && at(latest_) && at(latest_)->tape == tape_ &&
                      !shadow_.is_stale(at(latest_)) && !shadow_.is_overwritten(at(latest_));
  if (usable && random_.percent(30)) return latest_;
  return any_var(
      [&](N v) { return any || (v->tape == tape_ && !shadow_.is_stale(v) && !shadow_.is_overwritten(v)); });
}

std::int8_t Generator::differentiable() {
  if (random_.percent(4)) return operand();
  return any_var([&](N v) {
    return v->tape == tape_ && v->is_source() && !shadow_.is_stale(v) && !shadow_.is_overwritten(v);
  });
}

std::int8_t Generator::like(const Type& type, int percent_any) {
  if (random_.percent(percent_any)) return operand();
  return any_var([&](N v) {
    return v->tape == tape_ && v->dims == type.dims && v->is_float32 == type.is_float32 &&
           !shadow_.is_stale(v) && !shadow_.is_overwritten(v);
  });
}

/// A name for a result: a free one, or else any.
std::int8_t Generator::place() {
  for (int tries = 0; tries < 4; ++tries) {
    const int i = random_.below(kVars);
    if (!at(i)) return static_cast<std::int8_t>(i);
  }
  return static_cast<std::int8_t>(random_.below(kVars));
}

int Generator::writable_parameter() { return random_.below(kParameters - options_.shared_parameter); }

Call Generator::next() {
  for (;;) {
    Call c;
    c.tape = static_cast<std::int8_t>(random_.below(kTapes));
    // The first tape is used most.
    if (random_.percent(60)) c.tape = 0;
    tape_ = shadow_.state.tape_names[static_cast<std::size_t>(c.tape)];
    if (tape_ < 0) {
      c.kind = Call::new_tape;
      if (c.tape == 0 || random_.percent(15)) return c;
      continue;
    }
    if (!choose_kind(c)) continue;
    if (!c.out.empty()) latest_ = c.out[0];
    const bool fits = c.kind <= Call::backward && c.kind != Call::copy && c.kind != Call::drop;
    if (options_.allocation_failures && fits && random_.percent(6)) c.fail_after = random_.below(12);
    return c;
  }
}

bool Generator::choose_kind(Call& c) {
  struct Weight {
    Call::Kind kind;
    int weight;
  };
  static constexpr Weight weights[] = {
      {Call::input, 70},      {Call::constant, 40},   {Call::leaf, 70},      {Call::op, 350},
      {Call::copy, 25},       {Call::drop, 60},       {Call::hook, 50},      {Call::custom, 40},
      {Call::checkpoint, 50}, {Call::functional, 80}, {Call::grad, 130},     {Call::backward, 100},
      {Call::zero_grad, 15},  {Call::sgd, 30},        {Call::assign, 25},    {Call::pack, 8},
      {Call::mark, 20},       {Call::rewind, 15},     {Call::clear, 6},      {Call::no_grad, 12},
      {Call::profile, 8},     {Call::scope, 12},      {Call::end_guard, 40}, {Call::end_profile, 4},
      {Call::detect_nan, 10}, {Call::new_tape, 5},    {Call::end_tape, 5},   {Call::read, 20},
      {Call::print, 4}};
  static constexpr int total = [] {
    int sum = 0;
    for (const Weight& w : weights) sum += w.weight;
    return sum;
  }();
  int k = random_.below(total);
  for (const Weight& w : weights) {
    k -= w.weight;
    c.kind = w.kind;
    if (k < 0) break;
  }
  c.seed = random_.next() % 100000;
  c.flag = random_.percent(50);
  switch (c.kind) {
    case Call::input:
    case Call::constant:
      c.flag = random_.percent(12);
      c.index2 =
          static_cast<std::int8_t>(random_.percent(75) ? random_.below(3) : random_.below(kShapeCount));
      c.out = {place()};
      return true;
    case Call::leaf:
      c.index = static_cast<std::int8_t>(random_.below(kParameters));
      c.out = {place()};
      return true;
    case Call::op:
      return make_op(c);
    case Call::copy:
      c.a = any_var([](N) { return true; });
      c.out = {place()};
      return c.a >= 0;
    case Call::drop:
      return (c.a = any_var([](N) { return true; })) >= 0;
    case Call::hook:
      return make_hook(c);
    case Call::custom:
      return make_custom(c);
    case Call::checkpoint:
      return make_checkpoint(c);
    case Call::functional:
      return make_functional(c);
    case Call::grad:
      return make_grad(c);
    case Call::backward:
      return make_backward(c);
    case Call::zero_grad:
    case Call::assign:
      c.index = static_cast<std::int8_t>(writable_parameter());
      return true;
    case Call::sgd:
      for (int tries = 0; tries < 4; ++tries) {
        c.index = static_cast<std::int8_t>(writable_parameter());
        if (shadow_.state.parameters[static_cast<std::size_t>(c.index)].grad == State::Parameter::known)
          break;
      }
      return true;
    case Call::pack:
      for (int i = 0; i <= random_.below(3); ++i) {
        const auto p = static_cast<std::int8_t>(writable_parameter());
        if (std::find(c.xs.begin(), c.xs.end(), p) == c.xs.end()) c.xs.push_back(p);
      }
      return true;
    case Call::mark:
    case Call::rewind:
      c.index = static_cast<std::int8_t>(random_.below(kMarks));
      return true;
    case Call::no_grad:
    case Call::profile:
    case Call::scope:
    case Call::end_guard:
      c.index = static_cast<std::int8_t>(random_.below(kGuards));
      c.index2 = static_cast<std::int8_t>(random_.below(kProfiles));
      return true;
    case Call::end_profile:
      c.index = static_cast<std::int8_t>(random_.below(kProfiles));
      return true;
    case Call::read:
      return (c.a = any_var([](N) { return true; })) >= 0;
    default:
      return true;
  }
}

bool Generator::make_op(Call& c) {
  static constexpr Op unary[] = {
      Op::tanh,  Op::tanh,         Op::sin,   Op::sin,   Op::neg,     Op::scale,     Op::exp,  Op::relu,
      Op::sign,  Op::probe,        Op::sum,   Op::sum,   Op::reshape, Op::broadcast, Op::stop, Op::identity,
      Op::cubic, Op::nested_cubic, Op::total, Op::slope, Op::thrower, Op::log};
  static constexpr Op binary[] = {Op::add, Op::add, Op::sub,    Op::mul,
                                  Op::mul, Op::mul, Op::matmul, Op::blend};
  c.a = operand();
  if (c.a < 0) return false;
  if (random_.percent(55)) {
    c.what = binary[random_.below(static_cast<int>(std::size(binary)))];
    const bool same = c.what == Op::blend || random_.percent(30);
    c.b = same ? like(type_of(c.a), 4) : operand();
    if (c.b < 0) return false;
    if (at(c.a)->is_float32 != at(c.b)->is_float32 && !random_.percent(5)) return false;
    if (c.what == Op::matmul && random_.percent(60)) c.attribute = random_.below(4);
  } else {
    c.what = unary[random_.below(static_cast<int>(std::size(unary)))];
    switch (c.what) {
      case Op::scale:
        c.attribute = random_.below(1000);
        break;
      case Op::sum:
        c.attribute = random_.percent(60) ? 0 : random_.below(3);
        break;
      case Op::reshape:
      case Op::broadcast:
        c.attribute = random_.below(kShapeCount);
        break;
      case Op::slope:
        c.attribute = random_.below(2);
        break;
      case Op::thrower:
        c.attribute = random_.percent(60) ? 0 : 1 + random_.below(3);
        break;
      default:
        break;
    }
  }
  if (takes_args(c.what)) {
    c.move_a = random_.percent(20);
    c.move_b = c.b >= 0 && random_.percent(20) && !(c.move_a && c.a == c.b);
    // Under no_grad identity need not take what it is given.
    if (c.what == Op::identity && shadow_.state.tapes[static_cast<std::size_t>(at(c.a)->tape)].paused)
      c.move_a = false;
  }
  c.out = {place()};
  return true;
}

namespace {
/// What a function may capture: Vars of the tape, now and then of another.
struct Around {
  std::vector<Type> types;
  std::vector<std::int8_t> names;
};
}  // namespace

static Around around(const Shadow& shadow, int tape, Random& random) {
  Around result;
  const bool any = random.percent(8);
  for (std::int8_t i = 0; i < kVars; ++i) {
    const N v = shadow.state.vars[static_cast<std::size_t>(i)];
    if (!v || (!any && (v->tape != tape || shadow.is_stale(v) || shadow.is_overwritten(v)))) continue;
    if (v->dims.rank > 2) continue;
    result.types.push_back({v->dims, v->is_float32});
    result.names.push_back(i);
  }
  return result;
}

bool Generator::make_hook(Call& c) {
  c.a = differentiable();
  if (c.a < 0) return false;
  const Around captured = around(shadow_, tape_, random_);
  FunctionBuilder f(random_, {type_of(c.a)}, captured.types, captured.names, {true, true, false, 0});
  f.add_steps(random_.below(3));
  if (random_.percent(35)) f.add_effect();
  if (random_.percent(25)) {
    f.add_empty_result();
  } else {
    f.add_result_like(type_of(c.a));
  }
  c.f = f.done();
  c.out = {place()};
  return true;
}

bool Generator::make_custom(Call& c) {
  std::vector<Type> types;
  const int count = 1 + random_.below(2);
  for (int i = 0; i < count; ++i) {
    const std::int8_t x = i == 0 || random_.percent(10) ? operand() : like(types[0], 30);
    if (x < 0) return false;
    c.xs.push_back(x);
    types.push_back(type_of(x));
  }
  const Around captured = around(shadow_, tape_, random_);
  FunctionBuilder f(random_, types, captured.types, captured.names, {false, false, false, 1});
  f.add_steps(1 + random_.below(3));
  const Type y = f.add_any_result();
  c.f = f.done();
  std::vector<Type> args = types;
  args.insert(args.end(), {y, y});
  FunctionBuilder g(random_, args, captured.types, captured.names, {true, true, false, 0});
  g.add_steps(1 + random_.below(3));
  if (random_.percent(25)) g.add_effect();
  for (const Type& x : types) {
    if (random_.percent(12)) {
      g.add_empty_result();
    } else {
      g.add_result_like(x);
    }
  }
  c.g = g.done();
  c.out = {place()};
  return true;
}

bool Generator::make_checkpoint(Call& c) {
  std::vector<Type> types;
  for (int i = 0; i <= random_.below(2); ++i) {
    const std::int8_t x = operand();
    if (x < 0) return false;
    c.xs.push_back(x);
    types.push_back(type_of(x));
  }
  const Around captured = around(shadow_, tape_, random_);
  FunctionBuilder f(random_, types, captured.types, captured.names, {true, false, true, 0});
  f.add_steps(1 + random_.below(4));
  f.add_any_result();
  c.f = f.done();
  c.out = {place()};
  return true;
}

bool Generator::make_functional(Call& c) {
  c.functional_kind = static_cast<Functional>(random_.below(6));
  std::vector<Type> types;
  for (int i = 0; i <= random_.below(2); ++i) {
    const std::int8_t x = operand();
    if (x < 0) return false;
    c.xs.push_back(x);
    types.push_back(type_of(x));
  }
  const Around captured = around(shadow_, tape_, random_);
  FunctionBuilder f(random_, types, captured.types, captured.names, {false, false, false, 0});
  f.add_steps(1 + random_.below(4));
  const bool any = c.functional_kind == Functional::vjp || c.functional_kind == Functional::jvp ||
                   c.functional_kind == Functional::jacobian;
  Type y{};
  if (any) {
    y = f.add_any_result();
  } else if (random_.percent(96)) {
    f.add_scalar_result();
  } else {
    f.add_any_result();
  }
  c.f = f.done();
  if (c.functional_kind == Functional::vjp) c.vs = {like(y, 3)};
  if (c.functional_kind == Functional::jvp || c.functional_kind == Functional::hvp) {
    for (const Type& x : types) c.vs.push_back(like(x, 3));
  }
  if (std::any_of(c.vs.begin(), c.vs.end(), [](int v) { return v < 0; })) return false;
  for (int i = 0; i < 3; ++i) {
    const std::int8_t to = place();
    if (std::find(c.out.begin(), c.out.end(), to) == c.out.end()) c.out.push_back(to);
  }
  return true;
}

bool Generator::make_grad(Call& c) {
  const int ys = random_.percent(85) ? 1 : 2;
  for (int k = 0; k < ys; ++k) {
    const std::int8_t y = differentiable();
    if (y < 0) return false;
    c.ys.push_back(y);
    const bool needed = at(y)->dims.size() != 1 && !random_.percent(3);
    c.vs.push_back(needed || random_.percent(20) ? like(type_of(y), 3) : std::int8_t{-1});
    if (needed && c.vs.back() < 0) return false;
  }
  const int xs = 1 + random_.below(3);
  for (int k = 0; k < xs; ++k) {
    const std::int8_t x = differentiable();
    if (x < 0) return false;
    c.xs.push_back(x);
  }
  for (int i = 0; i < xs; ++i) {
    const std::int8_t to = place();
    if (std::find(c.out.begin(), c.out.end(), to) == c.out.end()) c.out.push_back(to);
  }
  return true;
}

bool Generator::make_backward(Call& c) {
  const bool any = random_.percent(5);
  c.a = any ? operand() : any_var([&](N v) {
    return v->tape == tape_ && (v->depends & kOnParameter) && v->dims.size() == 1 && !shadow_.is_stale(v);
  });
  return c.a >= 0;
}

}  // namespace fuzz
