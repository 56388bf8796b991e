// The shadow's derivatives: a reverse sweep over the expressions.
#include <algorithm>

#include "tests/fuzz/shadow_scopes.hpp"

namespace fuzz {

const Closure<Shadow>* Shadow::keep(Closure<Shadow> f) {
  closures_.push_back(std::make_unique<const Closure<Shadow>>(std::move(f)));
  return closures_.back().get();
}

/// The innermost callback that a tape runs, or null.
const Shadow::Running* Shadow::innermost_on(int tape) const {
  const auto found =
      std::find_if(callbacks_.rbegin(), callbacks_.rend(), [&](const Running& r) { return r.tape == tape; });
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
    const bool leads = xs.empty()
                           ? (n->depends & kOnParameter) != 0
                           : std::any_of(n->in.begin(), n->in.end(), [&](N v) { return sweep.has(v); });
    if (leads) sweep.on_path[sweep.at(n)] = 1;
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
    case Node::cos:
      result = 2;
      break;
    case Node::custom:
      result = 1;
      break;
    case Node::thrower:
      result = n->attribute == kProbe;
      break;
    default:
      break;
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
  }
  if (worst == 2) throw Fail{kParameterModified};
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
    case Node::value:
      break;
    case Node::add:
      add_cotangent(sweep, x, sum_to(u, x->dims));
      if (sweep.has(y)) add_cotangent(sweep, y, sum_to(u, y->dims));
      break;
    case Node::mul:
      if (sweep.has(x)) add_cotangent(sweep, x, sum_to(mul(u, y), x->dims));
      if (sweep.has(y)) add_cotangent(sweep, y, sum_to(mul(u, x), y->dims));
      break;
    case Node::scale:
      add_cotangent(sweep, x, scale(u, n->factor));
      break;
    case Node::exp:
      add_cotangent(sweep, x, mul(u, n));
      break;
    case Node::tanh: {
      const N slope = add(filled(u, n->dims, 1), scale(mul(n, n), -1));
      add_cotangent(sweep, x, mul(u, slope));
      break;
    }
    case Node::sin:
      add_cotangent(sweep, x, mul(u, unary(Node::cos, x)));
      break;
    case Node::cos:
      add_cotangent(sweep, x, scale(mul(u, unary(Node::sin, x)), -1));
      break;
    case Node::relu: {
      double* const steps = new_elements(n->dims.size());
      for (int i = 0; i < n->dims.size(); ++i) steps[i] = n->elements[i] > 0 ? 1 : 0;
      add_cotangent(sweep, x,
                    mul(u, value_node(n->tape, {n->dims, n->is_float32}, silent_ ? std::uint8_t{0} : kFlatly,
                                      steps, 1)));
      break;
    }
    case Node::sum_to:
      add_cotangent(sweep, x, broadcast(u, x->dims));
      break;
    case Node::broadcast:
      add_cotangent(sweep, x, sum_to(u, x->dims));
      break;
    case Node::reshape:
      add_cotangent(sweep, x, reshape(u, x->dims));
      break;
    case Node::matmul: {
      const bool tx = n->attribute & 1, ty = n->attribute & 2;
      if (sweep.has(x)) add_cotangent(sweep, x, tx ? matmul(y, u, ty, true) : matmul(u, y, false, !ty));
      if (sweep.has(y)) add_cotangent(sweep, y, ty ? matmul(u, x, true, tx) : matmul(x, u, !tx, false));
      break;
    }
    case Node::renamed:
      add_cotangent(sweep, x, u);
      break;
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
      for (int i = 0; i < x->dims.rank - n->dims.rank; ++i)
        leading.push_back(x->dims.n[static_cast<std::size_t>(i)]);
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
  run(sweep, ys, cotangents);
  std::vector<N> result;
  for (const N x : xs) {
    const bool reached = sweep.has(x) && sweep.cotangents[sweep.at(x)];
    const N g = reached ? sweep.cotangents[sweep.at(x)] : filled(x, x->dims, 0);
    // What a recorded gradient does not depend on, it depends on with derivative zero.
    result.push_back(graph && !(g->depends & ~kOpen) ? flat(g) : g);
  }
  return result;
}

}  // namespace fuzz
