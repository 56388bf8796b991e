// The shadow's expressions: nodes, the elementary functions, and the ops that are made of them.
#include <algorithm>
#include <cmath>

#include "tests/fuzz/shadow.hpp"

namespace fuzz {

double element(std::uint32_t seed, int i) {
  std::uint32_t h = seed * 0x9E3779B9u + static_cast<std::uint32_t>(i) * 0x85EBCA6Bu + 0x1234567u;
  h = (h ^ h >> 16) * 0x7FEB352Du;
  h = (h ^ h >> 15) * 0x846CA68Bu;
  h ^= h >> 16;
  const int k = static_cast<int>(h % 192) - 96;
  return (k >= 0 ? k + 1 : k) / 64.0;
}

// Nodes -------------------------------------------------------------------------------------------------

double* Shadow::new_elements(int count) {
  const auto n = static_cast<std::size_t>(count);
  if (elements_used_ + n > kElementChunk) ++element_chunk_, elements_used_ = 0;
  while (element_chunk_ >= elements_.size())
    elements_.push_back(std::make_unique_for_overwrite<double[]>(kElementChunk));
  double* const place = elements_[element_chunk_].get() + elements_used_;
  elements_used_ += n;
  return place;
}

Node& Shadow::new_node(Node::Kind kind, Dims dims, std::span<const N> in) {
  // It would take too long.
  if (node_count_ > nodes_before_ + 5000 || dims.size() > 100) throw Skip{};
  if (static_cast<std::size_t>(node_count_) == nodes_.size() * kChunk)
    nodes_.push_back(std::make_unique<Node[]>(kChunk));
  if (inputs_used_ + in.size() > kChunk) ++input_chunk_, inputs_used_ = 0;
  while (input_chunk_ >= inputs_.size()) inputs_.push_back(std::make_unique<N[]>(kChunk));
  N* const place = inputs_[input_chunk_].get() + inputs_used_;
  inputs_used_ += in.size();
  std::copy(in.begin(), in.end(), place);

  Node& n = *node(node_count_);
  n = Node{};
  n.kind = kind;
  n.dims = dims;
  n.id = node_count_++;
  n.checkpoint = checkpoint_;
  n.parameter = -1;
  n.approximate = approximate_;
  n.in = {place, in.size()};
  if (!in.empty()) {
    n.tape = in[0]->tape;
    n.is_float32 = in[0]->is_float32;
    n.recording = tape_of(n.tape).recording;
    for (const N v : in) {
      n.largest = std::max(n.largest, v->largest);
      if (!silent_ && !tape_of(n.tape).paused) n.depends |= v->depends;
    }
  }
  return n;
}

/// Called when the elements are there.
N Shadow::finish(Node& n) {
  for (int i = 0; i < n.dims.size(); ++i) {
    const double magnitude = std::abs(n.elements[i]);
    if (!(magnitude <= (n.is_float32 ? 1e2 : 1e4))) throw Skip{};  // too few digits would be left
    n.largest = std::max(n.largest, magnitude);
  }
  if (!n.is_source()) n.in = {};
  return &n;
}

N Shadow::value_node(int tape, const Type& type, std::uint8_t depends, const double* elements,
                     double largest) {
  Node& n = new_node(Node::value, type.dims, {});
  n.tape = tape;
  n.is_float32 = type.is_float32;
  n.recording = tape_of(tape).recording;
  n.depends = depends;
  n.elements = elements;
  n.largest = largest;
  return finish(n);
}

N Shadow::filled(N like, Dims dims, double value) {
  double* const elements = new_elements(dims.size());
  std::fill_n(elements, dims.size(), value);
  return value_node(like->tape, {dims, like->is_float32}, 0, elements, 0);
}

N Shadow::as_constant(N a) {
  const std::uint8_t depends = a->depends & kOpen;
  return value_node(a->tape, {a->dims, a->is_float32}, depends, a->elements, a->largest);
}

N Shadow::flat(N a) {
  return value_node(a->tape, {a->dims, a->is_float32}, kFlatly, a->elements, a->largest);
}

N Shadow::alias(Node::Kind kind, N a, const Closure<Shadow>* f, int attribute, std::uint8_t depends) {
  Node& n = new_node(kind, a->dims, {&a, 1});
  n.elements = a->elements;
  n.f = f;
  n.depends &= depends;
  n.attribute = attribute;
  return finish(n);
}

// Elementary functions ----------------------------------------------------------------------------------

namespace {

bool broadcast_dims(const Dims& a, const Dims& b, Dims& out) {
  out = {};
  const int rank = std::max(a.rank, b.rank);
  const auto extent = [rank](const Dims& d, int i) {
    const int k = i - (rank - d.rank);
    return k < 0 ? 1 : static_cast<int>(d.n[static_cast<std::size_t>(k)]);
  };
  for (int i = 0; i < rank; ++i) {
    const int p = extent(a, i), q = extent(b, i);
    if (p != q && p != 1 && q != 1) return false;
    out.push_back(p == 1 ? q : p);
  }
  return true;
}

/// Calls f(i, j) for every element i of `to` with the element j of `from`, which broadcasts to it.
template <class F>
void for_each_broadcast(const Dims& from, const Dims& to, F f) {
  const int size = to.size();
  if (from == to) {
    for (int i = 0; i < size; ++i) f(i, i);
    return;
  }
  for (int i = 0; i < size; ++i) {
    int rest = i, j = 0, stride = 1;
    for (int axis = to.rank - 1; axis >= 0; --axis) {
      const int extent = to.n[static_cast<std::size_t>(axis)], at = rest % extent;
      rest /= extent;
      const int k = axis - (to.rank - from.rank);
      if (k < 0) break;
      const int own = from.n[static_cast<std::size_t>(k)];
      if (own != 1) j += at * stride;
      stride *= own;
    }
    f(i, j);
  }
}

}  // namespace

template <class F>
N Shadow::zip(Node::Kind kind, N a, N b, F f) {
  Dims dims;
  broadcast_dims(a->dims, b->dims, dims);
  const N in[] = {a, b};
  Node& n = new_node(kind, dims, in);
  double* const elements = new_elements(dims.size());
  for_each_broadcast(a->dims, dims, [&](int i, int j) { elements[i] = a->elements[j]; });
  for_each_broadcast(b->dims, dims, [&](int i, int j) { elements[i] = f(elements[i], b->elements[j]); });
  n.elements = elements;
  return finish(n);
}

N Shadow::add(N a, N b) {
  return zip(Node::add, a, b, [](double x, double y) { return x + y; });
}
N Shadow::mul(N a, N b) {
  return zip(Node::mul, a, b, [](double x, double y) { return x * y; });
}

N Shadow::scale(N a, double factor) {
  Node& n = new_node(Node::scale, a->dims, {&a, 1});
  double* const elements = new_elements(a->dims.size());
  for (int i = 0; i < a->dims.size(); ++i) elements[i] = factor * a->elements[i];
  n.elements = elements;
  n.factor = factor;
  return finish(n);
}

N Shadow::unary(Node::Kind kind, N a) {
  Node& n = new_node(kind, a->dims, {&a, 1});
  double* const elements = new_elements(a->dims.size());
  for (int i = 0; i < a->dims.size(); ++i) {
    const double x = a->elements[i];
    if (kind == Node::relu && std::abs(x) < 1e-3) throw Skip{};  // too near the kink
    if (kind == Node::exp && x > 3) throw Skip{};
    if (a->is_float32 && std::abs(x) > 8) throw Skip{};  // its rounding errors would be multiplied
    elements[i] = kind == Node::exp    ? std::exp(x)
                  : kind == Node::tanh ? std::tanh(x)
                  : kind == Node::sin  ? std::sin(x)
                  : kind == Node::cos  ? std::cos(x)
                                       : std::max(x, 0.0);
  }
  n.elements = elements;
  return finish(n);
}

N Shadow::sum_to(N a, Dims dims) {
  if (a->dims == dims) return a;
  Node& n = new_node(Node::sum_to, dims, {&a, 1});
  double* const elements = new_elements(dims.size());
  std::fill_n(elements, dims.size(), 0.0);
  for_each_broadcast(dims, a->dims, [&](int i, int j) { elements[j] += a->elements[i]; });
  n.elements = elements;
  return finish(n);
}

N Shadow::broadcast(N a, Dims dims) {
  if (a->dims == dims) return a;
  Node& n = new_node(Node::broadcast, dims, {&a, 1});
  double* const elements = new_elements(dims.size());
  for_each_broadcast(a->dims, dims, [&](int i, int j) { elements[i] = a->elements[j]; });
  n.elements = elements;
  return finish(n);
}

N Shadow::reshape(N a, Dims dims) {
  Node& n = new_node(Node::reshape, dims, {&a, 1});
  n.elements = a->elements;
  return finish(n);
}

/// The product of two matrices, each transposed where a flag says so.
N Shadow::matmul(N a, N b, bool transpose_a, bool transpose_b) {
  const auto rows = [](N v, bool t) { return static_cast<int>(v->dims.n[t ? 1 : 0]); };
  const auto columns = [](N v, bool t) { return static_cast<int>(v->dims.n[t ? 0 : 1]); };
  const auto at = [](N v, bool t, int i, int j) {
    return v->elements[t ? j * v->dims.n[1] + i : i * v->dims.n[1] + j];
  };
  const int m = rows(a, transpose_a), k = columns(a, transpose_a), p = columns(b, transpose_b);
  Dims dims;
  dims.push_back(m);
  dims.push_back(p);
  const N in[] = {a, b};
  Node& n = new_node(Node::matmul, dims, in);
  double* const elements = new_elements(m * p);
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < p; ++j) {
      double total = 0;
      for (int l = 0; l < k; ++l) total += at(a, transpose_a, i, l) * at(b, transpose_b, l, j);
      elements[i * p + j] = total;
    }
  }
  n.elements = elements;
  n.attribute = transpose_a + 2 * transpose_b;
  return finish(n);
}

N Shadow::stack(std::span<const N> rows, Dims leading) {
  Dims dims = leading;
  if (leading.rank + rows[0]->dims.rank > 4 ||
      rows.size() * static_cast<std::size_t>(rows[0]->dims.size()) > 100)
    throw Skip{};
  for (int i = 0; i < rows[0]->dims.rank; ++i) dims.push_back(rows[0]->dims.n[static_cast<std::size_t>(i)]);
  Node& n = new_node(Node::stack, dims, rows);
  double* const elements = new_elements(dims.size());
  double* place = elements;
  for (const N row : rows) place = std::copy_n(row->elements, row->dims.size(), place);
  n.elements = elements;
  return finish(n);
}

N Shadow::row(N a, Dims dims, int k) {
  Node& n = new_node(Node::row, dims, {&a, 1});
  n.elements = a->elements + k * dims.size();
  n.attribute = k;
  return finish(n);
}

// Ops ---------------------------------------------------------------------------------------------------

/// Adds to `wrong` what is wrong with an operand of an op on a tape.
void Shadow::check_operand(N v, int tape, bool differentiable, std::uint32_t& wrong) {
  if (is_dead(v)) {
    wrong |= kStaleVar;
    return;
  }
  if (v->tape != tape) wrong |= kTapeMismatch;
  const bool derivative_flows = differentiable && !tape_of(tape).paused;
  if (is_stale(v) && (derivative_flows || v->tape != tape)) wrong |= kStaleVar;
  // Ops on a leaf whose parameter was written since: which value they see is nobody's business.
  if (is_overwritten(v) || (may_be_stale(v) && derivative_flows)) throw Skip{};
  if (v->parameter >= 0) {
    for (int k = checkpoint_; k >= 0; k = checkpoints_[static_cast<std::size_t>(k)].parent)
      checkpoints_[static_cast<std::size_t>(k)].leaves.push_back(v);
  }
}

N Shadow::op(Op what, int attribute, N& a, bool move_a, N* b, bool move_b) {
  const N x = a, y = b ? *b : nullptr;
  // What has nothing to do need not look at a stale Var.
  const bool renames = what == Op::identity || (what == Op::broadcast && x->dims == kShapes[attribute]);
  if (renames && is_stale(x)) throw Skip{};
  std::uint32_t wrong = kNoError;
  check_operand(x, x->tape, what != Op::stop && what != Op::sign, wrong);
  if (y) check_operand(y, x->tape, true, wrong);
  const std::uint8_t approximate = approximate_;
  if (what >= Op::cubic || what == Op::blend) approximate_ = std::max<std::uint8_t>(approximate, 1);
  const N result = node_of(what, attribute, x, y, wrong);
  approximate_ = approximate;
  if (wrong) throw Fail{wrong};
  if (move_a) a = nullptr;
  if (move_b) *b = nullptr;
  return result;
}

/// The result of an op, or null when something is wrong.
N Shadow::node_of(Op what, int attribute, N a, N b, std::uint32_t& wrong) {
  if (is_binary(what)) {
    if (a->is_float32 != b->is_float32) wrong |= kDTypeError;
    Dims dims;
    if (what == Op::matmul) {
      if (a->dims.rank == 0 || b->dims.rank == 0) wrong |= kShapeError;
      const bool flags = attribute && (a->dims.rank != 2 || b->dims.rank != 2);
      if (flags || a->dims.rank > 2 || b->dims.rank > 2) throw Skip{};
    } else if (!broadcast_dims(a->dims, b->dims, dims) || (what == Op::blend && !(a->dims == b->dims))) {
      wrong |= kShapeError;
    }
    if (what == Op::matmul && a->dims.rank && b->dims.rank) {
      const int inner_a = a->dims.n[a->dims.rank == 1 || attribute & 1 ? 0 : 1];
      const int inner_b = b->dims.n[attribute & 2 ? 1 : 0];
      if (inner_a != inner_b) wrong |= kShapeError;
    }
  }
  if (what == Op::reshape && a->dims.size() != kShapes[attribute].size()) wrong |= kShapeError;
  if (what == Op::broadcast) {
    Dims dims;
    if (!broadcast_dims(a->dims, kShapes[attribute], dims) || !(dims == kShapes[attribute]))
      wrong |= kShapeError;
  }
  if (what == Op::sum && attribute && a->dims.rank == 0) wrong |= kShapeError;
  if (what == Op::thrower && attribute == 1) wrong |= wrong ? 0u : kCallbackError;
  if (wrong) return nullptr;

  switch (what) {
    case Op::add:
      return add(a, b);
    case Op::sub:
      return add(a, scale(b, -1));
    case Op::mul:
      return mul(a, b);
    case Op::matmul:
      return matrix_product(a, b, attribute & 1, attribute & 2);
    case Op::blend:
      return add(mul(a, b), unary(Node::sin, a));
    case Op::neg:
      return scale(a, -1);
    case Op::scale:
      return scale(a, element(static_cast<std::uint32_t>(attribute), 0));
    case Op::exp:
      return unary(Node::exp, a);
    case Op::tanh:
      return unary(Node::tanh, a);
    case Op::sin:
      return unary(Node::sin, a);
    case Op::relu:
      return unary(Node::relu, a);
    case Op::sign: {
      double* const signs = new_elements(a->dims.size());
      for (int i = 0; i < a->dims.size(); ++i) {
        if (std::abs(a->elements[i]) < 1e-3) throw Skip{};
        signs[i] = a->elements[i] > 0 ? 1 : -1;
      }
      std::uint8_t depends = a->is_source() ? kFlatly : a->depends;
      if (silent_ || tape_of(a->tape).paused) depends = 0;
      return value_node(a->tape, {a->dims, a->is_float32}, depends, signs, 1);
    }
    case Op::log:
      // Only made to be not finite.
      if (!tape_of(a->tape).nan_check) throw Skip{};
      if (std::all_of(a->elements, a->elements + a->dims.size(), [](double x) { return x >= 0; }))
        throw Skip{};
      wrong |= kNonFinite;
      return nullptr;
    case Op::sum: {
      Dims kept = a->dims, left;
      if (attribute == 0) return a->dims.rank == 0 ? alias(Node::reshape, a, nullptr, 0) : sum_to(a, {});
      const int axis = attribute == 1 ? 0 : a->dims.rank - 1;
      for (int i = 0; i < a->dims.rank; ++i) {
        if (i != axis) left.push_back(a->dims.n[static_cast<std::size_t>(i)]);
      }
      kept.n[static_cast<std::size_t>(axis)] = 1;
      return reshape(sum_to(a, kept), left);
    }
    case Op::reshape:
      if (a->dims == kShapes[attribute]) throw Skip{};  // itself or another name
      return reshape(a, kShapes[attribute]);
    case Op::broadcast:
      if (a->dims == kShapes[attribute]) {
        return node_of(Op::identity, 0, a, nullptr, wrong);
      }
      return broadcast(a, kShapes[attribute]);
    case Op::stop:
      return as_constant(a);
    case Op::identity:
      return a->is_source() && tape_of(a->tape).paused ? as_constant(a) : a;
    case Op::cubic:
    case Op::nested_cubic:
      return mul(mul(a, a), a);
    case Op::total:
      return a->dims.rank == 0 ? alias(Node::renamed, a, nullptr, 0) : sum_to(a, {});
    case Op::slope:
      return add(unary(Node::sin, a), mul(a, unary(Node::cos, a)));
    case Op::thrower:
      return alias(Node::thrower, a, nullptr, attribute);
    case Op::probe:
      return alias(Node::thrower, a, nullptr, kProbe);
  }
  throw Skip{};
}

N Shadow::matrix_product(N a, N b, bool transpose_a, bool transpose_b) {
  const bool row_vector = a->dims.rank == 1, column_vector = b->dims.rank == 1;
  if (!row_vector && !column_vector) return matmul(a, b, transpose_a, transpose_b);
  Dims left, dims;
  if (row_vector) {
    dims.push_back(1), dims.push_back(a->dims.n[0]);
    a = reshape(a, dims);
  } else {
    left.push_back(a->dims.n[0]);
  }
  if (column_vector) {
    dims = b->dims;
    dims.push_back(1);
    b = reshape(b, dims);
  } else {
    left.push_back(b->dims.n[1]);
  }
  return reshape(matmul(a, b, false, false), left);
}

}  // namespace fuzz
