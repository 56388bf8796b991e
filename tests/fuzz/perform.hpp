// Performs calls, and the functions that they hand over, in a world W: the shadow or the library. The order
// of what happens is the same in both.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "tests/fuzz/calls.hpp"

namespace fuzz {

/// A function with what it captured.
template <class W>
struct Closure {
  FnPtr fn;
  std::vector<typename W::Value> captured;
};

/// What a function of xgrad/tape/functional.hpp gives; `value` is empty where it gives none.
template <class W>
struct Parts {
  typename W::Value value;
  std::vector<typename W::Value> parts;
};

template <class W>
class Evaluation {
 public:
  using Value = typename W::Value;
  Evaluation(W& world, const Closure<W>& f, std::span<const Value> args)
      : w_(world), locals_(args.begin(), args.end()) {
    locals_.insert(locals_.end(), f.captured.begin(), f.captured.end());
    locals_.reserve(locals_.size() + f.fn->steps.size());
    for (const Step& step : f.fn->steps) locals_.push_back(value_of(step));
    for (const int i : f.fn->results) results_.push_back(i < 0 ? w_.empty() : local(i));
  }
  std::vector<Value>& results() { return results_; }

 private:
  Value& local(int i) { return locals_[static_cast<std::size_t>(i)]; }
  Closure<W> close(const FnPtr& f) {
    Closure<W> closure{f, {}};
    for (const int i : f->captures) closure.captured.push_back(local(i));
    return closure;
  }
  Value apply(const Step& s) {
    return w_.op(s.what, s.attribute, local(s.a), s.move_a, s.b < 0 ? nullptr : &local(s.b), false);
  }
  Value sum_of(int i) {
    Value& v = local(i);
    return w_.op(Op::sum, 0, v, false, nullptr, false);
  }

  Value value_of(const Step& s) {
    switch (s.kind) {
      case Step::op:
        return apply(s);
      case Step::under_no_grad: {
        const auto paused = w_.no_grad(local(s.a));
        return apply(s);
      }
      case Step::constant:
        return w_.constant_like(local(s.a), element(s.seed, 0));
      case Step::input:
        return w_.input_like(local(s.a), s.seed);
      case Step::leaf:
        return w_.leaf_like(local(s.a), s.attribute);
      case Step::read:
        w_.read(local(s.a));
        break;
      case Step::grad: {
        const Value y = sum_of(s.a), none = w_.empty();
        const Value& x = local(s.b);
        return w_.grad({&y, 1}, {&none, 1}, {&x, 1}, s.create_graph)[0];
      }
      case Step::functional: {
        const auto f = close(s.f);
        const Value x = local(s.a);
        const Value v = s.b < 0 ? w_.empty() : local(s.b);
        auto result = w_.functional(s.functional_kind, f, {&x, 1}, {&v, 1}, s.create_graph);
        if (s.functional_kind == Functional::jvp) return result.parts[0];
        return w_.op(Op::sum, 0, result.parts[0], false, nullptr, false);
      }
      case Step::checkpoint: {
        const Value x = local(s.a);
        return w_.checkpoint(close(s.f), {&x, 1});
      }
      case Step::hook:
        return w_.hook(local(s.a), close(s.f), -1);
      case Step::custom: {
        const Value x = local(s.a);
        return w_.custom(close(s.f), close(s.g), {&x, 1}, -1);
      }
      case Step::fail:
        w_.fail();
      case Step::attempt: {
        const auto f = close(s.f);
        const Value x = local(s.a), v = w_.empty();
        try {
          w_.functional(Functional::value_and_grad, f, {&x, 1}, {&v, 1}, s.create_graph);
        } catch (const typename W::Failure& e) {
          if (!W::is_callback_error(e)) throw;
        }
        break;
      }
      case Step::rewind:
        w_.rewind_inside(local(s.a), s.what);
        break;
      case Step::clear:
        w_.clear_inside(local(s.a));
        break;
      case Step::rewind_out:
        w_.rewind_out(s.attribute);
        break;
      case Step::backward:
        w_.backward(sum_of(s.a), s.create_graph);
        break;
      case Step::pack: {
        const std::int8_t p = static_cast<std::int8_t>(s.attribute);
        w_.pack({&p, 1});
        break;
      }
      case Step::write:
        w_.halve(s.attribute);
        break;
      case Step::escape:
        w_.escape(s.attribute, local(s.a));
        break;
      case Step::end_tape:
        w_.end_tape(s.attribute);
        break;
    }
    return local(s.a);
  }

  W& w_;
  std::vector<Value> locals_, results_;
};

/// The results of f(args).
template <class W>
std::vector<typename W::Value> call(W& w, const Closure<W>& f, std::span<const typename W::Value> args) {
  return std::move(Evaluation<W>(w, f, args).results());
}

template <class W>
std::vector<typename W::Value> named(W& w, const std::vector<std::int8_t>& names) {
  std::vector<typename W::Value> values;
  for (const int i : names) values.push_back(i < 0 ? w.empty() : w.named(i));
  return values;
}

template <class W>
Closure<W> close(W& w, const FnPtr& f) {
  return {f, named(w, f->captures)};
}

/// Performs one call: what it gives is assigned when nothing was thrown.
template <class W>
void perform(W& w, const Call& c) {
  using Value = typename W::Value;
  std::vector<Value> results;
  const auto a = [&]() -> Value& { return w.named(c.a); };
  switch (c.kind) {
    case Call::input:
    case Call::constant:
      results.push_back(w.enter(c.tape, {kShapes[c.index2], c.flag}, c.seed, c.kind == Call::input));
      break;
    case Call::leaf:
      results.push_back(w.leaf_on(c.tape, c.index));
      break;
    case Call::op: {
      Value* const b = c.b < 0 ? nullptr : &w.named(c.b);
      results.push_back(w.op(c.what, c.attribute, a(), c.move_a, b, c.move_b));
      break;
    }
    case Call::copy:
      results.push_back(a());
      break;
    case Call::drop:
      w.assign(c.a, w.empty());
      break;
    case Call::hook:
      results.push_back(w.hook(a(), close(w, c.f), c.id));
      break;
    case Call::custom:
      results.push_back(w.custom(close(w, c.f), close(w, c.g), named(w, c.xs), c.id));
      break;
    case Call::checkpoint:
      results.push_back(w.checkpoint(close(w, c.f), named(w, c.xs)));
      break;
    case Call::functional: {
      auto parts = w.functional(c.functional_kind, close(w, c.f), named(w, c.xs), named(w, c.vs), c.flag);
      if (c.functional_kind <= Functional::jvp) results.push_back(std::move(parts.value));
      for (Value& v : parts.parts) results.push_back(std::move(v));
      break;
    }
    case Call::grad:
      results = w.grad(named(w, c.ys), named(w, c.vs), named(w, c.xs), c.flag);
      break;
    case Call::backward:
      w.backward(a(), c.flag);
      break;
    case Call::zero_grad:
      w.zero_grad(c.index);
      break;
    case Call::sgd:
      w.sgd(c.index);
      break;
    case Call::assign:
      w.write(c.index, c.seed);
      break;
    case Call::pack:
      w.pack(c.xs);
      break;
    case Call::mark:
      w.set_mark(c.index, c.tape);
      break;
    case Call::rewind:
      w.rewind(c.index, c.tape);
      break;
    case Call::clear:
      w.clear(c.tape);
      break;
    case Call::no_grad:
      w.begin_guard(c.index, GuardKind::no_grad, c.tape, 0);
      break;
    case Call::profile:
      w.begin_guard(c.index, GuardKind::profile, c.tape, c.index2);
      break;
    case Call::scope:
      w.begin_guard(c.index, GuardKind::scope, c.tape, 0);
      break;
    case Call::end_guard:
      w.end_guard(c.index);
      break;
    case Call::end_profile:
      w.end_profile(c.index);
      break;
    case Call::detect_nan:
      w.detect_nan(c.tape, c.flag);
      break;
    case Call::new_tape:
      w.new_tape(c.tape);
      break;
    case Call::end_tape:
      w.end_tape(c.tape);
      break;
    case Call::read:
      w.read(a());
      break;
    case Call::print:
      w.print(c.tape);
      break;
  }
  for (std::size_t i = 0; i < results.size() && i < c.out.size(); ++i)
    w.assign(c.out[i], std::move(results[i]));
}

}  // namespace fuzz
