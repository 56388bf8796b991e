// The shadow's derivatives: a reverse sweep over the expressions, and what is made of it.
#include <algorithm>

#include "tests/fuzz/shadow.hpp"

namespace fuzz {

/// While it lives, a callback runs: a pass that is under way is set aside.
struct Shadow::CallbackScope {
  Shadow& s;
  int tape, paused, silent;
  std::uint8_t approximate;
  CallbackScope(Shadow& shadow, int on)
      : s(shadow),
        tape(on),
        paused(std::exchange(s.tape_of(on).paused, 0)),
        silent(std::exchange(s.silent_, 0)),
        approximate(std::exchange(s.approximate_, std::uint8_t{0})) {
    s.callbacks_.push_back({tape, s.node_count_});
  }
  ~CallbackScope() {
    s.callbacks_.pop_back();
    s.tape_of(tape).paused = paused;
    s.silent_ = silent;
    s.approximate_ = approximate;
  }
  CallbackScope(const CallbackScope&) = delete;
  CallbackScope& operator=(const CallbackScope&) = delete;
};

namespace {
/// A value that is put back.
template <class T>
struct Restore {
  T& place;
  T old;
  Restore(T& p, T value) : place(p), old(std::exchange(p, value)) {}
  ~Restore() { place = old; }
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;
};
}  // namespace

const Closure<Shadow>* Shadow::keep(Closure<Shadow> f) {
  closures_.push_back(std::make_unique<const Closure<Shadow>>(std::move(f)));
  return closures_.back().get();
}

/// The innermost callback that a tape runs, or null.
const Shadow::Running* Shadow::innermost_on(int tape) const {
  const auto found = std::find_if(callbacks_.rbegin(), callbacks_.rend(), [&](const Running& r) { return r.tape == tape; });
  return found == callbacks_.rend() ? nullptr : &*found;
}

void Shadow::count(int id) {
  if (id < 0) return;
  const auto i = static_cast<std::size_t>(id);
  if (checkpoint_ >= 0) state.uncounted[i] = true;
  ++state.invocations[i];
}

// The sweep ---------------------------------------------------------------------------------------------

Shadow::Sweep Shadow::start(std::span<const N> ys, std::span<const N> xs, bool graph) {
  int first = node_count_, last = -1;
  for (const N x : xs) first = std::min(first, x->id);
  for (const N y : ys) last = std::max(last, y->id);
  if (xs.empty()) first = 0;  // every parameter
  Sweep sweep{first, {}, {}, graph, nullptr};
  const auto size = static_cast<std::size_t>(std::max(0, last + 1 - first));
  sweep.on_path.resize(size);
  sweep.cotangents.resize(size);
  for (const N x : xs) {
    if (x->id <= last) sweep.on_path[sweep.at(x)] = 1;
  }
  for (int id = first; id <= last; ++id) {
    const N n = node(id);
    char& on_path = sweep.on_path[sweep.at(n)];
    if (xs.empty()) {
      on_path = (n->depends & kOnParameter) != 0;
    } else {
      on_path = on_path || std::any_of(n->in.begin(), n->in.end(), [&](N v) { return sweep.has(v); });
    }
  }
  return sweep;
}

bool Shadow::is_modified(N leaf) const {
  return leaf->parameter >= 0 &&
         leaf->version != state.parameters[static_cast<std::size_t>(leaf->parameter)].version;
}

/// Whether the derivative of n reads the value of operand i: 0 no, 2 yes, 1 when the library may do either.
int Shadow::reads(const Sweep& sweep, N n, std::size_t i) const {
  int result = 0;
  switch (n->kind) {
    case Node::mul:
    case Node::matmul: {
      const N other = n->in[1 - i];
      result = sweep.has(other) ? 2 : other->is_source() ? 1 : 0;
      break;
    }
    case Node::sin:
    case Node::cos: result = 2; break;
    case Node::custom: result = 1; break;
    case Node::thrower: result = n->attribute == kProbe; break;
    default: break;
  }
  return n->approximate ? std::min(result, 1) : result;
}

/// The same for all its operands that were overwritten, where n is differentiated.
int Shadow::modified_reads(const Sweep& sweep, N n) const {
  int worst = 0;
  for (std::size_t i = 0; i < n->in.size(); ++i) {
    if (is_modified(n->in[i])) worst = std::max(worst, reads(sweep, n, i));
  }
  // A checkpointed function would see other values when it is called again.
  for (int c = n->checkpoint; c >= 0; c = checkpoints_[static_cast<std::size_t>(c)].parent) {
    for (const N leaf : checkpoints_[static_cast<std::size_t>(c)].leaves) {
      if (is_modified(leaf)) throw Skip{};
      if (leaf->memory != state.parameters[static_cast<std::size_t>(leaf->parameter)].memory) throw Skip{};  // TODO
    }
  }
  return worst;
}

/// Throws when the sweep will read a parameter's value that was overwritten. Returns what it reaches.
std::vector<char> Shadow::check_versions(const Sweep& sweep, std::span<const N> ys) {
  std::vector<char> reached(sweep.on_path.size());
  for (const N y : ys) {
    if (sweep.has(y)) reached[sweep.at(y)] = 1;
  }
  int worst = 0;
  bool target_ends = false;  // at an x whose own op is not differentiated, but may count as reached
  for (int k = static_cast<int>(reached.size()) - 1; k >= 0; --k) {
    if (!reached[static_cast<std::size_t>(k)]) continue;
    const N n = node(sweep.first + k);
    bool needed = false;
    for (const N v : n->in) {
      if (!sweep.has(v)) continue;
      needed = true;
      reached[sweep.at(v)] = 1;
    }
    if (needed) worst = std::max(worst, modified_reads(sweep, n));
    target_ends = target_ends || !needed;
  }
  if (worst == 2) throw Fail{kParameterModified};
  for (int id = 0; id < node_count_ && target_ends; ++id) {
    if (is_current_leaf(node(id), ys[0]->tape) && is_modified(node(id))) throw Skip{};
  }
  if (worst == 1) throw Skip{};
  return reached;
}

void Shadow::add_cotangent(Sweep& sweep, N to, N u) {
  if (!sweep.has(to)) return;
  N& sum = sweep.cotangents[sweep.at(to)];
  sum = sum ? add(sum, u) : u;
}

void Shadow::run(Sweep& sweep, std::span<const N> ys, std::span<const N> cotangents) {
  const Restore silent(silent_, sweep.graph ? 0 : 1);
  sweep.outer = running_;
  const Restore running(running_, static_cast<const Sweep*>(&sweep));
  const Restore paused(tape_of(ys[0]->tape).paused, 0);
  for (std::size_t k = 0; k < ys.size(); ++k) {
    if (!sweep.has(ys[k])) continue;
    N u = cotangents[k] ? cotangents[k] : filled(ys[k], ys[k]->dims, 1);
    if (!sweep.graph && u->depends) u = as_constant(u);
    add_cotangent(sweep, ys[k], u);
  }
  for (int k = static_cast<int>(sweep.on_path.size()) - 1; k >= 0; --k) {
    const N n = node(sweep.first + k);
    const N u = sweep.cotangents[static_cast<std::size_t>(k)];
    if (!u || std::none_of(n->in.begin(), n->in.end(), [&](N v) { return sweep.has(v); })) continue;
    const int modified = modified_reads(sweep, n);  // by a callback
    if (modified == 2) throw Fail{kParameterModified};
    if (modified == 1) throw Skip{};
    const Restore approximate(approximate_, static_cast<std::uint8_t>(n->approximate ? 2 : 0));
    pull_back(sweep, n, u);
  }
}

/// What a callback gave for the cotangent of an operand.
void Shadow::check_given(N v, N operand) {
  std::uint32_t wrong = kNoError;
  check_operand(v, operand->tape, true, wrong);
  if (!(v->dims == operand->dims) || v->is_float32 != operand->is_float32) wrong |= kShapeError;
  if (wrong) throw Fail{wrong};
}

/// Calls what the sweep found at n, with the pass set aside.
std::vector<N> Shadow::call_back(N n, std::span<const N> args) {
  std::vector<N> given;
  try {
    const CallbackScope scope(*this, n->tape);
    count(n->attribute);
    // A derivative that differentiates its own op calls itself for ever.
    if (callbacks_.size() > 8) throw Skip{};
    given = call(*this, *n->f, args);
  } catch (Fail& f) {
    if (is_dead(n)) f.kinds |= kPlainError;
    throw;
  }
  if (is_dead(n)) throw Fail{kPlainError};  // the callback ended its own tape
  return given;
}

void Shadow::pull_back(Sweep& sweep, N n, N u) {
  const N x = n->in[0];
  const N y = n->in.size() > 1 ? n->in[1] : nullptr;
  switch (n->kind) {
    case Node::value: break;
    case Node::add:
      add_cotangent(sweep, x, sum_to(u, x->dims));
      if (sweep.has(y)) add_cotangent(sweep, y, sum_to(u, y->dims));
      break;
    case Node::mul:
      if (sweep.has(x)) add_cotangent(sweep, x, sum_to(mul(u, y), x->dims));
      if (sweep.has(y)) add_cotangent(sweep, y, sum_to(mul(u, x), y->dims));
      break;
    case Node::scale: add_cotangent(sweep, x, scale(u, n->factor)); break;
    case Node::exp: add_cotangent(sweep, x, mul(u, n)); break;
    case Node::tanh: {
      const N slope = add(filled(u, n->dims, 1), scale(mul(n, n), -1));
      add_cotangent(sweep, x, mul(u, slope));
      break;
    }
    case Node::sin: add_cotangent(sweep, x, mul(u, unary(Node::cos, x))); break;
    case Node::cos: add_cotangent(sweep, x, scale(mul(u, unary(Node::sin, x)), -1)); break;
    case Node::relu: {
      double* const steps = new_elements(n->dims.size());
      for (int i = 0; i < n->dims.size(); ++i) steps[i] = n->elements[i] > 0 ? 1 : 0;
      add_cotangent(sweep, x, mul(u, value_node(n->tape, {n->dims, n->is_float32}, silent_ ? std::uint8_t{0} : kFlatly, steps, 1)));
      break;
    }
    case Node::sum_to: add_cotangent(sweep, x, broadcast(u, x->dims)); break;
    case Node::broadcast: add_cotangent(sweep, x, sum_to(u, x->dims)); break;
    case Node::reshape: add_cotangent(sweep, x, reshape(u, x->dims)); break;
    case Node::matmul: {
      const bool tx = n->attribute & 1, ty = n->attribute & 2;
      if (sweep.has(x)) add_cotangent(sweep, x, tx ? matmul(y, u, ty, true) : matmul(u, y, false, !ty));
      if (sweep.has(y)) add_cotangent(sweep, y, ty ? matmul(u, x, true, tx) : matmul(x, u, !tx, false));
      break;
    }
    case Node::renamed: add_cotangent(sweep, x, u); break;
    case Node::hook: {
      N given = call_back(n, {&u, 1})[0];
      if (given) {
        check_given(given, x);
        if (!sweep.graph && given->depends) given = as_constant(given);
      }
      add_cotangent(sweep, x, given ? given : u);
      break;
    }
    case Node::custom: {
      std::vector<N> args(n->in.begin(), n->in.end());
      args.push_back(n);
      args.push_back(u);
      const std::vector<N> given = call_back(n, args);
      for (std::size_t i = 0; i < given.size(); ++i) {
        if (!given[i] || !sweep.has(n->in[i])) continue;
        check_given(given[i], n->in[i]);
        add_cotangent(sweep, n->in[i], sweep.graph || !given[i]->depends ? given[i] : as_constant(given[i]));
      }
      break;
    }
    case Node::thrower:
      if (n->attribute == 2 || n->attribute == 3) fail();
      add_cotangent(sweep, x, u);
      break;
    case Node::stack:
      for (std::size_t k = 0; k < n->in.size(); ++k) {
        const N v = n->in[k];
        if (sweep.has(v)) add_cotangent(sweep, v, row(u, v->dims, static_cast<int>(k)));
      }
      break;
    case Node::row: {
      Dims leading;  // of x, before the row's own
      for (int i = 0; i < x->dims.rank - n->dims.rank; ++i) leading.push_back(x->dims.n[static_cast<std::size_t>(i)]);
      std::vector<N> rows(static_cast<std::size_t>(leading.size()), filled(u, n->dims, 0));
      rows[static_cast<std::size_t>(n->attribute)] = u;
      add_cotangent(sweep, x, stack(rows, leading));
      break;
    }
  }
}

/// The gradients, without the checks of `grad`.
std::vector<N> Shadow::gradient(std::span<const N> ys, std::span<const N> cotangents, std::span<const N> xs,
                                bool graph) {
  Sweep sweep = start(ys, xs, graph);
  check_versions(sweep, ys);
  const int sweep_begins = node_count_;
  run(sweep, ys, cotangents);
  std::vector<N> result;
  for (const N x : xs) {
    const bool reached = sweep.has(x) && sweep.cotangents[sweep.at(x)];
    const N g = reached ? sweep.cotangents[sweep.at(x)] : filled(x, x->dims, 0);
    // What a recorded gradient does not depend on, it depends on with derivative zero.
    if (graph && !g->depends && g->id < sweep_begins) const_cast<Node*>(g)->depends |= kOpen;
    result.push_back(graph && !g->depends ? flat(g) : g);
  }
  return result;
}

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
    x.push_back(v->is_source() ? v : value_node(tape, {v->dims, v->is_float32}, kOnInput, v->elements, v->largest));
  }
  const N y = call(*this, f, std::span<const N>(x))[0];
  if (is_dead(y) || y->tape != tape || is_stale(y) || is_dead(xs[0])) throw Skip{};
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
    case Functional::jacobian: result.parts = jacobian_of(y, x, graph); break;
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
    for (State::Parameter& p : state.parameters) {
      if (p.in_backward == State::Parameter::idle) p.grad = State::Parameter::unknown;  // TODO
    }
    each_leaf([&](N leaf, State::Parameter& p) {
      const bool written = sweep.has(leaf) && reached[sweep.at(leaf)];
      if (p.in_backward == State::Parameter::idle) p.grad = written ? State::Parameter::none : State::Parameter::unknown;
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
    for (int i = 0; i < leaf->dims.size(); ++i) p.grad_elements[static_cast<std::size_t>(i)] += u->elements[i];
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

/// What y depends on of what was there before node `first`, and of parameters. Where functions were handed over
/// in between, what these captured may count too: then Skip, unless y depends on it anyway.
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
    if (is_stale(x) && tape_of(x->tape).paused) throw Skip{};  // TODO
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
  if (y->id < first || !y->is_source() || y->kind == Node::value) return y;
  const bool captured = closures_.size() > closures || checkpoints_.size() > checkpoints;
  const std::uint8_t depends = depends_outside(y, first, captured);
  if (!depends) return as_constant(y);
  // A derivative goes through what f computes when it is called again, not through y.
  return alias(Node::renamed, y, nullptr, 0, depends);
}

}  // namespace fuzz
