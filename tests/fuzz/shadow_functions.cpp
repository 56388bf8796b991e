// The shadow's public functions of derivatives, and the callbacks that are recorded.
#include <algorithm>

#include "tests/fuzz/shadow_scopes.hpp"

namespace fuzz {

// Public functions --------------------------------------------------------------------------------------

std::vector<N> Shadow::grad(std::span<const N> ys, std::span<const N> cotangents, std::span<const N> xs,
                            bool graph) {
  std::uint32_t wrong = kNoError;
  const int tape = ys[0]->tape;
  const auto check_current = [&](N v) {
    if (is_dead(v) || is_stale(v)) wrong |= kStaleVar;
    if (v->tape != tape) wrong |= kTapeMismatch;
    if (is_overwritten(v) || may_be_stale(v)) throw Skip{};
  };
  for (std::size_t k = 0; k < ys.size(); ++k) {
    check_current(ys[k]);
    if (ys[k]->depends == kOpen) throw Skip{};
    if (!ys[k]->depends) wrong |= kNotDifferentiable;
    const N u = cotangents[k];
    if (!u) {
      if (ys[k]->dims.size() != 1) wrong |= kShapeError;
      continue;
    }
    if (is_stale(u) && !graph && !is_dead(u)) throw Skip{};  // no derivative flows through it
    check_current(u);
    if (!(u->dims == ys[k]->dims) || u->is_float32 != ys[k]->is_float32) wrong |= kShapeError;
  }
  for (const N x : xs) {
    if (x->approximate == 2) throw Skip{};  // what depends on it is not written down
    check_current(x);
    if (!x->is_source()) wrong |= kNotDifferentiable;
  }
  if (wrong) throw Fail{wrong};
  return gradient(ys, cotangents, xs, graph);
}

std::vector<N> Shadow::jacobian_of(N y, std::span<const N> xs, bool graph) {
  std::vector<std::vector<N>> rows(xs.size());
  for (int k = 0; k < y->dims.size(); ++k) {
    double* const unit = new_elements(y->dims.size());
    std::fill_n(unit, y->dims.size(), 0.0);
    unit[k] = 1;
    const N u = value_node(y->tape, {y->dims, y->is_float32}, 0, unit, 1);
    const std::vector<N> row = gradient({&y, 1}, {&u, 1}, xs, graph);
    for (std::size_t i = 0; i < xs.size(); ++i) rows[i].push_back(row[i]);
  }
  std::vector<N> result;
  for (const auto& r : rows) result.push_back(stack(r, y->dims));
  return result;
}

Parts<Shadow> Shadow::functional(Functional kind, const Closure<Shadow>& f, std::span<const N> xs,
                                 std::span<const N> vs, bool graph) {
  std::uint32_t wrong = kNoError;
  const int tape = xs[0]->tape;
  for (std::size_t i = 0; i < xs.size(); ++i) {
    if (xs[i]->approximate == 2) throw Skip{};
    if (xs[i]->tape != tape) throw Skip{};  // found where the function mixes them, or later
    check_operand(xs[i], tape, true, wrong);
    if (is_stale(xs[i])) wrong |= kStaleVar;
    if (kind == Functional::jvp || kind == Functional::hvp) {
      if (!vs[i] || is_dead(vs[i]) || is_overwritten(vs[i])) throw Skip{};
      if (vs[i]->tape != tape || is_stale(vs[i])) throw Skip{};
      if (!(vs[i]->dims == xs[i]->dims) || vs[i]->is_float32 != xs[i]->is_float32) wrong |= kShapeError;
    }
  }
  if (wrong) throw Fail{wrong};
  const bool was_paused = tape_of(tape).paused != 0;
  const Restore paused(tape_of(tape).paused, 0);
  std::vector<N> x;
  for (const N v : xs) {
    x.push_back(
        v->is_source() ? v : value_node(tape, {v->dims, v->is_float32}, kOnInput, v->elements, v->largest));
  }
  const N y = call(*this, f, std::span<const N>(x))[0];
  if (is_dead(xs[0]) || may_be_stale(y)) throw Skip{};
  if (is_dead(y) || is_stale(y)) wrong |= kStaleVar;
  if (y->tape != tape) {
    wrong |= kTapeMismatch | kShapeError;  // whichever is looked at first
    for (const N v : vs) {
      if (v && (is_dead(v) || is_stale(v))) wrong |= kStaleVar;
    }
  }
  if (wrong) throw Fail{wrong};
  const auto one_element = [&] {
    if (y->dims.size() != 1) throw Fail{kShapeError};
  };
  const N none = nullptr;
  Parts<Shadow> result{y, {}};
  switch (kind) {
    case Functional::value_and_grad:
      one_element();
      result.parts = gradient({&y, 1}, {&none, 1}, x, graph);
      break;
    case Functional::vjp: {
      const N u = vs[0];
      if (!u) {
        one_element();
      } else {
        if (u->tape != tape || is_dead(u) || is_overwritten(u)) throw Skip{};
        if (is_stale(u)) throw Skip{};
        if (!(u->dims == y->dims) || u->is_float32 != y->is_float32) throw Fail{kShapeError};
      }
      result.parts = gradient({&y, 1}, {&u, 1}, x, graph);
      break;
    }
    case Functional::jvp: {
      const N zeros = filled(y, y->dims, 0);
      const N u = value_node(tape, {y->dims, y->is_float32}, kOnInput, zeros->elements, 0);
      const std::vector<N> g = gradient({&y, 1}, {&u, 1}, x, true);
      result.parts = gradient(g, vs, {&u, 1}, graph);
      break;
    }
    case Functional::hvp: {
      one_element();
      const std::vector<N> g = gradient({&y, 1}, {&none, 1}, x, true);
      result.parts = gradient(g, vs, x, graph);
      break;
    }
    case Functional::jacobian:
      result.parts = jacobian_of(y, x, graph);
      break;
    case Functional::hessian: {
      one_element();
      const std::vector<N> g = gradient({&y, 1}, {&none, 1}, x, true);
      for (const N row : g) {
        for (const N block : jacobian_of(row, x, graph)) result.parts.push_back(block);
      }
      break;
    }
  }
  if (was_paused && y->is_source()) {
    if (is_overwritten(y)) throw Skip{};
    result.value = as_constant(y);
  }
  return result;
}

void Shadow::backward(N loss, bool keep) {
  std::uint32_t wrong = kNoError;
  if (is_overwritten(loss) || may_be_stale(loss)) throw Skip{};
  if (is_dead(loss) || is_stale(loss)) wrong |= kStaleVar;
  if (loss->dims.size() != 1) wrong |= kShapeError;
  if (!(loss->depends & kOnParameter)) wrong |= kNotDifferentiable;
  if (wrong) throw Fail{wrong};
  if (checkpoint_ >= 0) throw Skip{};  // it runs again
  State::Tape& tape = tape_of(loss->tape);
  if (shared_ && has_leaf(loss->tape, kParameters - 1)) throw Skip{};  // other threads' too
  Sweep sweep = start({&loss, 1}, {}, false);
  const std::vector<char> reached = check_versions(sweep, {&loss, 1});

  const Running* const nested = innermost_on(loss->tape);
  had_effect = had_effect || !callbacks_.empty();
  const auto each_leaf = [&](auto body) {
    for (int id = 0; id < node_count_; ++id) {
      const N n = node(id);
      if (is_current_leaf(n, loss->tape)) body(n, state.parameters[static_cast<std::size_t>(n->parameter)]);
    }
  };
  const auto consume = [&] {
    if (keep) return;
    if (nested) {
      drop_nodes(tape, nested->first, true);
      return;
    }
    ++tape.recording;
    tape.dropped_count = 0;
    tape.leaves.fill(nullptr);
  };
  std::array<State::Parameter::InBackward, kParameters> was_in_backward{};
  for (std::size_t p = 0; p < kParameters; ++p) was_in_backward[p] = state.parameters[p].in_backward;
  const auto leave = [&] {
    for (std::size_t p = 0; p < kParameters; ++p) state.parameters[p].in_backward = was_in_backward[p];
  };
  each_leaf([&](N leaf, State::Parameter& p) {
    const bool written = sweep.has(leaf) && reached[sweep.at(leaf)];
    p.in_backward = std::max(p.in_backward, written ? State::Parameter::written : State::Parameter::entered);
  });
  try {
    const N none = nullptr;
    run(sweep, {&loss, 1}, {&none, 1});
  } catch (const Fail&) {
    leave();
    // Forgotten: the gradients that this pass was writing, and no other pass is.
    each_leaf([&](N leaf, State::Parameter& p) {
      const bool written = sweep.has(leaf) && reached[sweep.at(leaf)];
      if (p.in_backward == State::Parameter::idle)
        p.grad = written ? State::Parameter::none : State::Parameter::unknown;
    });
    if (!nested) consume();
    throw;
  }
  leave();
  each_leaf([&](N leaf, State::Parameter& p) {
    const N u = sweep.has(leaf) ? sweep.cotangents[sweep.at(leaf)] : nullptr;
    if (!u) return;
    if (p.grad == State::Parameter::none) p.grad_elements.fill(0), p.grad_largest = 0;
    if (p.grad != State::Parameter::unknown) p.grad = State::Parameter::known;
    for (int i = 0; i < leaf->dims.size(); ++i)
      p.grad_elements[static_cast<std::size_t>(i)] += u->elements[i];
    p.grad_largest = std::max(p.grad_largest, u->largest);
    if (p.grad_largest > 1e4) throw Skip{};
  });
  consume();
}

// Callbacks ---------------------------------------------------------------------------------------------

N Shadow::hook(N x, Closure<Shadow> f, int id) {
  std::uint32_t wrong = kNoError;
  check_operand(x, x->tape, true, wrong);
  if (wrong) throw Fail{wrong};
  return alias(Node::hook, x, keep(std::move(f)), id);
}

N Shadow::custom(Closure<Shadow> f, Closure<Shadow> g, std::span<const N> xs, int id) {
  std::uint32_t wrong = kNoError;
  if (is_dead(xs[0])) throw Fail{kStaleVar};
  N value = nullptr;
  {
    const CallbackScope scope(*this, xs[0]->tape);
    const Paused paused(*this, xs[0]->tape);
    value = call(*this, f, xs)[0];
  }
  if (is_dead(xs[0]) || value->is_source()) throw Skip{};  // an input or a leaf itself
  for (const N x : xs) check_operand(x, xs[0]->tape, true, wrong);
  check_operand(value, xs[0]->tape, true, wrong);
  if (wrong) throw Fail{wrong};
  Node& n = new_node(Node::custom, value->dims, xs);
  n.is_float32 = value->is_float32;
  n.elements = value->elements;
  n.largest = std::max(n.largest, value->largest);
  if (!tape_of(n.tape).paused) n.depends |= value->depends;
  n.f = keep(std::move(g));
  n.attribute = id;
  return finish(n);
}

/// What y depends on of what was there before node `first`, and of parameters. Where functions were handed
/// over in between, what these captured may count too: then Skip, unless y depends on it anyway.
std::uint8_t Shadow::depends_outside(N y, int first, bool captured) const {
  std::vector<char> reached(static_cast<std::size_t>(node_count_ - first));
  std::vector<char> found(static_cast<std::size_t>(node_count_));
  reached[static_cast<std::size_t>(y->id - first)] = 1;
  std::uint8_t depends = 0;
  for (const bool alive : {true, false}) {
    for (int id = node_count_ - 1; id >= first && (alive || captured); --id) {
      if ((reached[static_cast<std::size_t>(id - first)] != 0) != alive) continue;
      for (const N v : node(id)->in) {
        const bool outside = v->id < first || v->parameter >= 0;
        if (v->id >= first && alive) reached[static_cast<std::size_t>(v->id - first)] = 1;
        if (!outside || !v->is_source()) continue;
        if (!alive && !found[static_cast<std::size_t>(v->id)]) throw Skip{};
        found[static_cast<std::size_t>(v->id)] = 1;
        depends |= v->depends & kOnSource;
      }
    }
  }
  return depends;
}

N Shadow::checkpoint(Closure<Shadow> f, std::span<const N> xs) {
  std::uint32_t wrong = kNoError;
  for (const N x : xs) {
    // Only the first one is looked at, unless the function uses the others.
    if (x->tape != xs[0]->tape || (x != xs[0] && (is_dead(x) || is_stale(x)))) throw Skip{};
    check_operand(x, xs[0]->tape, true, wrong);
  }
  if (wrong) throw Fail{wrong};
  if (tape_of(xs[0]->tape).paused) {
    const N y = call(*this, f, xs)[0];
    if (is_dead(y) || is_stale(y) || is_overwritten(y)) throw Skip{};
    return y->is_source() && tape_of(y->tape).paused ? as_constant(y) : y;
  }
  checkpoints_.push_back({checkpoint_, {}});
  const Restore inside(checkpoint_, static_cast<int>(checkpoints_.size()) - 1);
  const std::size_t closures = closures_.size(), checkpoints = checkpoints_.size();
  const int first = node_count_;
  N y = nullptr;
  {
    const CallbackScope scope(*this, xs[0]->tape);
    y = call(*this, f, xs)[0];
  }
  if (is_dead(y) || is_stale(y)) wrong |= kStaleVar;
  if (y->tape != xs[0]->tape) wrong |= kTapeMismatch;
  if (wrong) throw Fail{wrong};
  // When it runs again, other tapes may have ended or been cleared.
  for (int id = first; id < node_count_; ++id) {
    if (node(id)->tape != xs[0]->tape) throw Skip{};
  }
  if (y->id < first || !y->is_source() || y->kind == Node::value) return y;
  const bool captured = closures_.size() > closures || checkpoints_.size() > checkpoints;
  const std::uint8_t depends = depends_outside(y, first, captured);
  if (!depends) return as_constant(y);
  // A derivative goes through what f computes when it is called again, not through y.
  return alias(Node::renamed, y, nullptr, 0, depends);
}

}  // namespace fuzz
