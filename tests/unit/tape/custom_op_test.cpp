// The contract between the engine and an op: what a vjp may do, what it may not, and what happens when any
// part of an op throws.
#include <stdexcept>

#include "tests/unit/tape/helpers.hpp"
#include "xgrad/ops/custom.hpp"
#include "xgrad/ops/linalg.hpp"
#include "xgrad/ops/shape.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

/// x y; the vjp is written in one of several ways.
struct Product {
  enum Style { kNamedTwice, kMovedTwice, kCopied, kReadsValues, kPointlessWork };
  static constexpr const char* name = "product";
  static constexpr Reads reads[] = {reads_x(1), reads_x(0)};
  Style style;
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View y, Write write) const {
    for (std::int64_t i = 0; i < y.size(); ++i) {
      detail::put_element(y.as<double>()[i], x[0].as<double>()[i] * x[1].as<double>()[i], write);
    }
  }
  void vjp(Backward& b) const {
    Var u = b.dy() * b.x(1), v = b.dy() * b.x(0);
    switch (style) {
      case kNamedTwice: {
        const Var half = u * 0.5;
        b.dx(0) += half;
        b.dx(0) += half;
        b.dx(1) += v;
        break;
      }
      case kMovedTwice:
        b.dx(1) += std::move(v);
        b.dx(0) += std::move(u);
        break;
      case kCopied: {
        const Var half = u * 0.5;
        b.dx(0) += Var(half);  // a copy, as broadcast_to gives when there is nothing to do
        b.dx(1) += Var(v);
        b.dx(0) += half;
        break;
      }
      case kReadsValues:
        CHECK(b.x(0).size() == u.size());
        CHECK(values(u).size() == static_cast<std::size_t>(u.size()));  // computed in the middle of a vjp
        b.dx(0) += u;
        b.dx(1) += v;
        break;
      case kPointlessWork: {
        const Var unused = exp(u), unread = exp(unused);
        if (b.dx(0).needed()) b.dx(0) += u + 0 * u;
        b.dx(1) += v;
        b.dx(1) += v * 0;
        break;
      }
    }
  }
};

/// x0 + x1 + ..., with one cotangent for all, named once.
struct SumOp : SumOfOperands {
  static constexpr const char* name = "sum_op";
  static constexpr Reads reads[] = {kReadsNothing};
  void vjp(Backward& b) const {
    const Var t = b.dy() * 1.0;
    for (int i = 0; i < b.operand_count(); ++i) b.dx(i) += t;
  }
};

/// exp through its result.
struct ExpByResult {
  static constexpr const char* name = "exp_by_result";
  static constexpr Reads reads[] = {kReadsOutput};
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View y, Write write) const {
    for (std::int64_t i = 0; i < y.size(); ++i) {
      detail::put_element(y.as<double>()[i], std::exp(x[0].as<double>()[i]), write);
    }
  }
  void vjp(Backward& b) const { b.dx(0) += b.dy() * b.y(); }
};

/// Breaks the contract in one of several ways.
struct Broken : SumOfOperands {
  enum How {
    kReadsX,
    kReadsY,
    kFarOperand,
    kShape,
    kType,
    kOperand,
    kNegative,
    kForeign,
    kEmpty,
    kRepeatShape,
    kRepeatType
  };
  static constexpr const char* name = "broken";
  static constexpr Reads reads[] = {kReadsNothing};
  How how;
  explicit Broken(How h) : how(h) {}
  void vjp(Backward& b) const {
    switch (how) {
      case kReadsX:
        b.dx(0) += b.dy() * b.x(0);
        break;
      case kReadsY:
        b.dx(0) += b.dy() * b.y();
        break;
      case kFarOperand:
        b.dx(0) += b.dy() * b.x(40);
        break;
      case kShape:
        b.dx(0) += reshape(b.dy(), Shape{b.dy().size(), 1});
        break;
      case kType:
        b.dx(0) += b.dy().tape().constant(1, DType::float32);
        break;
      case kRepeatShape:
        b.dx(0).add_broadcast(b.dy().tape().constant(Array{1, 2, 3}));
        break;
      case kRepeatType:
        b.dx(0).add_broadcast(b.dy().tape().constant(1, DType::float32));
        break;
      case kOperand:
        b.dx(b.operand_count()) += b.dy();
        break;
      case kNegative:
        b.dx(-1) += b.dy();
        break;
      case kForeign: {
        Tape other;
        b.dx(0) += other.input(Array{1, 2});
        break;
      }
      case kEmpty:
        b.dx(0) += Var();
        break;
    }
  }
};

/// Says that dx(1) reads x(0), but dx(0) does.
struct WrongReads : Product {
  static constexpr const char* name = "wrong_reads";
  static constexpr Reads reads[] = {kReadsNothing, reads_x(0) | reads_x(1)};
  bool direct;
  explicit WrongReads(bool d) : Product{kNamedTwice}, direct(d) {}
  void vjp(Backward& b) const {
    if (direct) {
      b.dx(0) += b.dy() * b.x(1);
    } else {
      const Var t = b.dy() * b.x(1);
      b.dx(0) += t;
    }
    b.dx(1) += b.dy() * b.x(0);
  }
};

struct NoVjp : SumOfOperands {
  static constexpr const char* name = "no_vjp";
};
struct Constant : SumOfOperands {
  static constexpr const char* name = "constant_op";
  static constexpr bool constant = true;
};

/// Fails where it is told to.
struct Failing : SumOfOperands {
  enum Where { kNowhere, kInfer, kEval, kVjp, kVjpEval, kVjpLate };
  static constexpr const char* name = "failing";
  static constexpr Reads reads[] = {reads_x(0)};
  Where where;
  explicit Failing(Where w) : where(w) {}
  TensorType infer(Operands x) const {
    if (where == kInfer) throw std::runtime_error("infer failed");
    return SumOfOperands::infer(x);
  }
  void eval(Operands x, View y, Write write) const {
    if (where == kEval) throw std::runtime_error("eval failed");
    SumOfOperands::eval(x, y, write);
  }
  void vjp(Backward& b) const {
    if (where == kVjp) throw std::runtime_error("vjp failed");
    const Var t = exp(b.dy() * b.x(0));
    if (where == kVjpEval) b.dx(0) += apply(Failing{kEval}, t);
    b.dx(0) += b.dy();
    if (where == kVjpLate) throw std::runtime_error("vjp failed late");
  }
};

/// x x, whose derivative is made by another gradient: on the tape that is being differentiated, which cannot
/// be, or on one of its own.
struct Nested : Product {
  static constexpr const char* name = "nested";
  static constexpr Reads reads[] = {reads_x(0)};
  enum How { kGrad, kBackward, kOwnTape };
  How how;
  explicit Nested(How h) : Product{kNamedTwice}, how(h) {}
  void eval(Operands x, View y, Write write) const {
    const ConstView twice[] = {x[0], x[0]};
    Product::eval(twice, y, write);
  }
  void vjp(Backward& b) const {
    if (how == kOwnTape) {
      Tape own;
      const Var x = own.input(b.x(0).array<double>());
      const Var g = grad(x * x, {x}, weighted(own.constant(b.dy().array<double>())))[0];
      b.dx(0) += b.dy().tape().constant(g.array<double>());
    } else if (how == kGrad) {
      const Var x = b.x(0);
      b.dx(0) += grad(x * x, {x}, weighted(b.dy()))[0];
    } else {
      backward(sum(b.x(0)));
    }
  }
};

/// The sum of its operands, and how often it was computed.
struct Counted : SumOfOperands {
  static constexpr const char* name = "counted";
  static constexpr Reads reads[] = {kReadsNothing};
  int* evaluations;
  explicit Counted(int* n) : evaluations(n) {}
  void eval(Operands x, View y, Write write) const {
    ++*evaluations;
    SumOfOperands::eval(x, y, write);
  }
  void vjp(Backward& b) const {
    for (int i = 0; i < b.operand_count(); ++i) b.dx(i) += apply(*this, b.dy());
  }
};

}  // namespace

TEST_CASE("custom op: what nobody needs is not computed") {
  Tape tape;
  const Var x = tape.input(Array{1, 2}), c = tape.constant(Array{3, 4}), z = tape.input(Array{5, 6});
  int evaluations = 0;
  const Var y = sum(apply(Counted{&evaluations}, x, c, z));
  CHECK(evaluations == 1);
  (void)grad(y, {x});
  CHECK(evaluations == 2);
  (void)grad(y, {z, x}, recorded());
  CHECK(evaluations == 4);
  CHECK(values(grad(y, {tape.input(1.0)})[0]) == Values{0});
  CHECK(evaluations == 4);
}

TEST_CASE("custom op: a named Var handed to two operands") {
  Tape tape;
  const Var x = tape.input(Array{1, 2}), y = tape.input(Array{3, 4});
  const auto g = grad(sum(apply(SumOp{}, x, y) * x), {x, y});
  CHECK(values(g[0]) == Values{5, 8});
  CHECK(values(g[1]) == Values{1, 2});
  // Both cotangents are one buffer until somebody adds to one of them, in either order.
  const Var a = tanh(x), b = tanh(y);
  for (int order = 0; order < 2; ++order) {
    const Var more = order ? a * 2 + b * 3 : b * 3 + a * 2;
    const Var total = order ? apply(SumOp{}, a, b) + more : more + apply(SumOp{}, a, b);
    const auto d = grad(sum(total), {a, b});
    CHECK(values(d[0]) == Values{3, 3});
    CHECK(values(d[1]) == Values{4, 4});
  }
  CHECK(values(grad(sum(apply(SumOp{}, x, x, x)), {x})[0]) == Values{3, 3});
  const Var many[] = {x, y, x, y, x, y, x, y, x, y, x};  // more operands than fit on the stack
  const auto h = grad(sum(apply_all(SumOp{}, many)), {x, y});
  CHECK(values(h[0]) == Values{6, 6});
  CHECK(values(h[1]) == Values{5, 5});
}

TEST_CASE("custom op: however a vjp is written, the result is the same") {
  for (auto style : {Product::kNamedTwice, Product::kMovedTwice, Product::kCopied, Product::kReadsValues,
                     Product::kPointlessWork}) {
    CAPTURE(style);
    Tape tape;
    const Parameter p(Array{5, 7}, "p");
    const Var x = tape.input(Array{1, 2}), y = tape.leaf(p);
    const Var z =
        sum(apply(Product{style}, x, y) + apply(Product{style}, y, x) + apply(Product{style}, y, y));
    for (const bool graph : {false, true}) {
      const auto g = grad(z, {x, y}, recorded(graph));
      CHECK(values(g[0]) == Values{10, 14});
      CHECK(values(g[1]) == Values{12, 18});
      if (graph) CHECK(values(grad(sum(g[1]), {x, y})[1]) == Values{2, 2});
    }
    backward(z);
    CHECK(grad_of(p) == Values{12, 18});
    CHECK(tape.statistics().instructions == 0);
  }
}

TEST_CASE("custom op: the result read by its own derivative, to any order") {
  Tape tape;
  Var y = tape.input(Array{0.5, 1});
  const Var x = y;
  y = apply(ExpByResult{}, y);
  const Values expected = values(y);
  for (int order = 1; order <= 4; ++order) {
    y = grad(sum(y), {x}, recorded())[0];
    CHECK(difference(values(y), expected) < 1e-15);
  }
}

TEST_CASE("custom op: a vjp that breaks the contract is told so, and nothing else suffers") {
  struct Row {
    Broken::How how;
    const char* text;
  };
  for (const Row& row :
       {Row{Broken::kReadsX, "broken: vjp reads x(0), which its `reads` does not name"},
        Row{Broken::kReadsY, "broken: vjp reads y, which its `reads` does not name"},
        Row{Broken::kFarOperand, "broken: vjp names operand 40 of 1"},
        Row{Broken::kShape, "broken: vjp gives float64 [2, 1] for operand 0 of type float64 [2]"},
        Row{Broken::kRepeatShape, "broken: vjp gives float64 [3] for operand 0 of type float64 [2]"},
        Row{Broken::kRepeatType, "broken: vjp gives float32 [] for operand 0 of type float64 [2]"},
        Row{Broken::kType, "broken: vjp gives float32 [] for operand 0 of type float64 [2]"},
        Row{Broken::kOperand, "broken: vjp names operand 1 of 1"},
        Row{Broken::kNegative, "broken: vjp names operand -1 of 1"},
        Row{Broken::kForeign, "broken: vjp gives a value of another tape for operand 0"},
        Row{Broken::kEmpty, "variable: empty, it names no value"}}) {
    for (const bool graph : {false, true}) {
      Tape tape;
      const Var x = tape.input(Array{1, 2});
      const Var y = sum(exp(apply(Broken{row.how}, x * x)));
      const TapeStatistics before = tape.statistics();
      CHECK_THROWS_WITH((void)grad(y, {x}, recorded(graph)), row.text);
      CHECK_THROWS_AS((void)grad(y, {x}, recorded(graph)), Error);
      CHECK(same_counts(tape.statistics(), before));
      CHECK(values(grad(sum(x * x), {x})[0]) == Values{2, 4});
    }
  }
}

TEST_CASE("custom op: many operands, one of them read far to the right") {
  Tape tape;
  const Var x = tape.input(Array{1, 2});
  const std::vector<Var> many(50, x);
  const Var y = apply_all(Broken{Broken::kFarOperand}, many);
  CHECK_ERROR(grad(sum(y), {x}), Error, "broken: vjp reads x(40), which its `reads` does not name");
  CHECK_ERROR(apply_all(SumOp{}, std::span<const Var>()), ShapeError, "sum_op: no operands");
}

TEST_CASE("custom op: a value that was not kept is an error, never a wrong number") {
  for (const bool direct : {true, false}) {
    for (const bool graph : {false, true}) {
      CAPTURE(direct);
      CAPTURE(graph);
      Tape tape;
      const Var x = tape.input(Array{1, 2});
      Var hidden = tape.constant(Array{3, 4}) * 2;  // its handle goes, and `reads` does not keep it for dx(0)
      const Var y = sum(apply(WrongReads{direct}, x, hidden) * 1.0);
      hidden = Var();
      CHECK_THROWS_AS((void)grad(y, {x}, recorded(graph)), Error);
    }
    Tape tape;
    const Parameter p(Array{1, 2}, "p");
    Var hidden = tape.constant(Array{3, 4}) * 2;
    const Var y = sum(apply(WrongReads{direct}, tape.leaf(p) * 1.0, hidden));
    hidden = Var();
    CHECK_THROWS_AS(backward(y), Error);
    CHECK_FALSE(p.has_grad());
  }
}

TEST_CASE("custom op: no derivative, and a derivative of zero") {
  Tape tape;
  const Parameter p(Array{1, 2}, "p");
  const Var x = tape.input(Array{1, 2}), w = tape.leaf(p);
  const Var y = sum(apply(NoVjp{}, x * x));
  CHECK_ERROR(grad(y, {x}), NotDifferentiable, "no_vjp: has no derivative");
  CHECK(values(grad(y + sum(w), {w})[0]) == Values{1, 1});  // not on the way to w
  CHECK_ERROR(backward(sum(apply(NoVjp{}, w))), NotDifferentiable, "no_vjp: has no derivative");

  Tape other;
  const Var z = other.input(Array{1, 2}), c = apply(Constant{}, z);
  CHECK(values(c) == Values{1, 2});
  CHECK_FALSE(c.requires_grad());
  CHECK(other.statistics().instructions == 0);
  CHECK(values(grad(sum(c * z), {z})[0]) == Values{1, 2});
}

TEST_CASE("custom op: infer and eval that throw leave the tape as it was") {
  Tape tape;
  const Parameter p(Array{1, 2}, "p");
  const Var x = tape.leaf(p), y = exp(x * 2);
  const TapeStatistics before = tape.statistics();
  for (int i = 0; i < 3; ++i) {
    CHECK_THROWS_WITH((void)apply(Failing{Failing::kInfer}, y), "infer failed");
    CHECK_THROWS_WITH((void)apply(Failing{Failing::kEval}, y), "eval failed");
    CHECK_THROWS_WITH((void)apply(Failing{Failing::kEval}, y * y, x), "eval failed");
    {
      const Tape::Pause pause = tape.no_grad();
      CHECK_THROWS_WITH((void)apply(Failing{Failing::kEval}, y), "eval failed");
    }
    CHECK(same_counts(tape.statistics(), before));
  }
  backward(sum(y));
  CHECK(p.has_grad());
}

TEST_CASE("custom op: a vjp that throws leaves tape and parameters in order") {
  struct Row {
    Failing::Where where;
    const char* text;
  };
  for (const Row& row : {Row{Failing::kVjp, "vjp failed"}, Row{Failing::kVjpEval, "eval failed"},
                         Row{Failing::kVjpLate, "vjp failed late"}}) {
    CAPTURE(row.text);
    Tape tape;
    Parameter first(Array{1, 2}, "first"), last(Array{3, 4}, "last");
    // Backward reaches `last` before the op that fails, and `first` after it.
    const auto loss = [&] { return sum(apply(Failing{row.where}, tape.leaf(first) * 2) * tape.leaf(last)); };

    SUBCASE("grad keeps the recording") {
      const Var l = loss(), w = tape.leaf(first);
      const TapeStatistics before = tape.statistics();
      for (const bool graph : {false, true, false}) {
        CHECK_THROWS_WITH((void)grad(l, {w}, recorded(graph)), row.text);
        CHECK(same_counts(tape.statistics(), before));
      }
      CHECK(values(grad(l, {tape.leaf(last)})[0]) == Values{2, 4});
    }
    SUBCASE("backward consumes it, as it would have") {
      CHECK_THROWS_WITH(backward(loss()), row.text);
      CHECK_FALSE(first.has_grad());
      CHECK_FALSE(last.has_grad());
      CHECK(tape.statistics().instructions == 0);
      CHECK(tape.statistics().slots == 0);
      CHECK(tape.statistics().bytes_in_use == 0);
    }
    SUBCASE("backward with keep_recording keeps it") {
      const Var l = loss();
      const TapeStatistics before = tape.statistics();
      CHECK_THROWS_WITH(backward(l, {.keep_recording = true}), row.text);
      CHECK(same_counts(tape.statistics(), before));
      CHECK_FALSE(last.has_grad());
    }
    SUBCASE("no half-made sum is taken for a gradient") {
      backward(sum(tape.leaf(first) + tape.leaf(last)));
      CHECK_THROWS_WITH(backward(loss()), row.text);
      if (last.has_grad()) CHECK(grad_of(last) == Values{1, 1});
      if (first.has_grad()) CHECK(grad_of(first) == Values{1, 1});
    }
    // And the tape goes on.
    first.zero_grad(), last.zero_grad();
    tape.clear();
    backward(sum(tape.leaf(first) * tape.leaf(last)));
    CHECK(grad_of(first) == Values{3, 4});
    CHECK(grad_of(last) == Values{1, 2});
  }
}

TEST_CASE("custom op: a gradient inside a derivative") {
  Tape tape;
  Parameter p(Array{3, 4}, "p");
  const Var x = tape.leaf(p);
  CHECK(values(grad(sum(apply(Nested{Nested::kGrad}, x) * x), {x})[0]) == Values{27, 48});
  CHECK(values(grad(sum(apply(Nested{Nested::kBackward}, x)), {x})[0]) == Values{0, 0});
  CHECK(grad_of(p) == Values{1, 1});
  p.zero_grad();
  const Var y = sum(apply(Nested{Nested::kOwnTape}, x) * x);
  CHECK(values(grad(y, {x})[0]) == Values{27, 48});
  backward(y);
  CHECK(grad_of(p) == Values{27, 48});
}
