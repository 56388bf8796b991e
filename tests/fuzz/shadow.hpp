// The shadow: what the calls of a sequence must give, computed without the library. Every value is an
// immutable expression of doubles; derivatives are expressions made by a reverse sweep over them. Beside the
// expressions lies what the documentation says of tapes, parameters, guards and marks.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "tests/fuzz/shadow_state.hpp"

namespace fuzz {

class Shadow {
 public:
  using Value = N;
  static constexpr bool kIsShadow = true;

  /// Begins a sequence. `shared`: the last parameter is other threads' too, and is only read.
  void begin(bool shared);
  /// Makes what follows a trial: `undo` puts everything back.
  void mark_state();
  void undo();

  State state;
  bool had_effect = false;  // the trial wrote what an error would not take back

  // What `perform` asks for; each throws Fail or Skip.
  N& named(int i);
  N empty() const { return nullptr; }
  void assign(int i, N v) { state.vars[static_cast<std::size_t>(i)] = v; }
  N enter(int tape, const Type& type, std::uint32_t seed, bool requires_grad);
  N leaf_on(int tape, int parameter);
  N op(Op what, int attribute, N& a, bool move_a, N* b, bool move_b);
  N constant_like(N like, double value);
  N input_like(N like, std::uint32_t seed);
  N leaf_like(N like, int parameter);
  void read(N v);
  N hook(N x, Closure<Shadow> f, int id);
  N custom(Closure<Shadow> f, Closure<Shadow> g, std::span<const N> xs, int id);
  N checkpoint(Closure<Shadow> f, std::span<const N> xs);
  std::vector<N> grad(std::span<const N> ys, std::span<const N> cotangents, std::span<const N> xs,
                      bool graph);
  Parts<Shadow> functional(Functional kind, const Closure<Shadow>& f, std::span<const N> xs,
                           std::span<const N> vs, bool graph);
  void backward(N loss, bool keep);
  [[noreturn]] void fail();
  static bool is_callback_error(const Fail& f) {
    if ((f.kinds & kCallbackError) && f.kinds != kCallbackError) throw Skip{};
    return f.kinds == kCallbackError;
  }
  using Failure = Fail;

  struct Paused {
    Shadow* shadow;
    int tape;
    Paused(Shadow& s, int t) : shadow(&s), tape(t) { ++s.tape_of(t).paused; }
    ~Paused() { --shadow->tape_of(tape).paused; }
    Paused(const Paused&) = delete;
    Paused& operator=(const Paused&) = delete;
  };
  Paused no_grad(N like);
  void escape(int i, N v);
  void rewind_inside(N like, Op what);
  void clear_inside(N like);
  void rewind_out(int mark);

  void zero_grad(int parameter);
  void sgd(int parameter);
  void write(int parameter, std::uint32_t seed);
  void halve(int parameter);
  void pack(std::span<const std::int8_t> parameters);
  void set_mark(int mark, int tape);
  void rewind(int mark, int tape);
  void clear(int tape);
  void begin_guard(int guard, GuardKind kind, int tape, int profile);
  void end_guard(int guard);
  void end_profile(int profile);
  void detect_nan(int tape, bool on);
  void new_tape(int tape);
  void end_tape(int tape);
  void print(int tape) const;

  // What the generator and the oracle ask for.
  bool is_stale(N v) const;
  void drop_nodes(State::Tape& tape, int from, bool is_open);
  bool may_be_stale(N v) const;
  bool is_dead(N v) const { return !state.tapes[static_cast<std::size_t>(v->tape)].alive; }
  /// What a Var's elements are now: a leaf shows what its parameter's memory holds.
  const double* elements_of(N v) const;
  bool is_overwritten(N v) const;
  State::Tape& tape_of(int tape) { return state.tapes[static_cast<std::size_t>(tape)]; }
  double* values_of(int parameter) {
    return state
        .memories[static_cast<std::size_t>(state.parameters[static_cast<std::size_t>(parameter)].memory)]
        .data();
  }
  bool has_leaf(int tape, int parameter) const;
  static int size_of(int parameter) { return kParameterTypes[parameter].dims.size(); }

 private:
  struct CallbackScope;
  struct Running {
    int tape, first;
  };
  struct Made {
    int parent = -1;
    std::vector<N> leaves;
  };
  /// Which inputs a sweep needs and what it found, by the nodes' ids from `first` on.
  struct Sweep {
    int first;
    std::vector<char> on_path;
    std::vector<N> cotangents;
    bool graph;
    const Sweep* outer;  // that is set aside for this one
    bool has(N v) const {
      return v->id >= first && v->id < first + static_cast<int>(on_path.size()) && on_path[at(v)];
    }
    std::size_t at(N v) const { return static_cast<std::size_t>(v->id - first); }
  };

  // Elementary functions, without any check (shadow_values.cpp).
  Node& new_node(Node::Kind kind, Dims dims, std::span<const N> in);
  N finish(Node& node);
  double* new_elements(int count);
  N value_node(int tape, const Type& type, std::uint8_t depends, const double* elements, double largest);
  N filled(N like, Dims dims, double value);
  N add(N a, N b);
  N mul(N a, N b);
  N scale(N a, double factor);
  N unary(Node::Kind kind, N a);
  N sum_to(N a, Dims dims);
  N broadcast(N a, Dims dims);
  N reshape(N a, Dims dims);
  N matmul(N a, N b, bool transpose_a, bool transpose_b);
  N matrix_product(N a, N b, bool transpose_a, bool transpose_b);
  N alias(Node::Kind kind, N a, const Closure<Shadow>* f, int attribute, std::uint8_t depends = 0xFF);
  N as_constant(N a);
  N flat(N a);
  N stack(std::span<const N> rows, Dims leading);
  N row(N a, Dims dims, int k);
  template <class F>
  N zip(Node::Kind kind, N a, N b, F f);
  N node_of(Op what, int attribute, N a, N b, std::uint32_t& wrong);

  // Derivatives (shadow_derivatives.cpp).
  void check_given(N v, N operand);
  void check_operand(N v, int tape, bool differentiable, std::uint32_t& wrong);
  Sweep start(std::span<const N> ys, std::span<const N> xs, bool graph);
  std::vector<char> check_versions(const Sweep& sweep, std::span<const N> ys);
  int modified_reads(const Sweep& sweep, N n) const;
  std::vector<N> call_back(N n, std::span<const N> args);
  int reads(const Sweep& sweep, N n, std::size_t i) const;
  void run(Sweep& sweep, std::span<const N> ys, std::span<const N> cotangents);
  void pull_back(Sweep& sweep, N n, N u);
  void add_cotangent(Sweep& sweep, N to, N u);
  std::vector<N> gradient(std::span<const N> ys, std::span<const N> cotangents, std::span<const N> xs,
                          bool graph);
  std::vector<N> jacobian_of(N y, std::span<const N> xs, bool graph);
  std::uint8_t depends_outside(N y, int first, bool captured) const;
  const Running* innermost_on(int tape) const;
  void count(int id);
  bool is_modified(N leaf) const;
  const Closure<Shadow>* keep(Closure<Shadow> f);

  bool is_current_leaf(N n, int tape) const;
  Node* node(int id) const {
    return &nodes_[static_cast<std::size_t>(id) / kChunk][static_cast<std::size_t>(id) % kChunk];
  }
  static constexpr std::size_t kChunk = 1024, kElementChunk = 8192;
  std::vector<std::unique_ptr<Node[]>> nodes_;
  int node_count_ = 0;
  std::vector<std::unique_ptr<double[]>> elements_;
  std::size_t element_chunk_ = 0, elements_used_ = 0;
  std::vector<std::unique_ptr<N[]>> inputs_;  // chunks, like the elements
  std::size_t input_chunk_ = 0, inputs_used_ = 0;
  std::vector<std::unique_ptr<const Closure<Shadow>>> closures_;
  std::vector<Made> checkpoints_;

  State before_;
  int nodes_before_ = 0;
  std::size_t closures_before_ = 0, checkpoints_before_ = 0;

  bool shared_ = false;
  int silent_ = 0;                // in the arithmetic of a pass that records no graph
  std::uint8_t approximate_ = 0;  // the nodes that are made stand for other elementary functions
  int checkpoint_ = -1;
  const Sweep* running_ = nullptr;
  std::vector<Running> callbacks_;  // those that are running: on which tape, from which node on
};

}  // namespace fuzz
