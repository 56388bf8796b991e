// Random programs: graphs put together at random, whose gradients are compared with finite differences and,
// made in every way there is, with each other. A failure names its seed.
#include <functional>

#include "tests/tape/helpers.hpp"
#include "xgrad/ops/linalg.hpp"
#include "xgrad/ops/shape.hpp"
#include "xgrad/support/random.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

using Vars = std::vector<Var>;
using Step = std::function<Var(const Vars&)>;

/// A function of three tensors as a list of steps, each of values before it.
class Program {
 public:
  explicit Program(std::uint64_t seed) : random_(seed) {
    const std::vector<Shape> choices{{2, 3}, {3}, {3, 2}, {1, 3}, {2, 1}, {}, {2, 2, 2}, {4}};
    for (int i = 0; i < 3; ++i) {
      shapes_.push_back(choices[random_.below(static_cast<std::uint32_t>(choices.size()))]);
      Array value(xgrad::detail::xt_shape(shapes_.back()));
      for (double& v : value) v = random_.uniform(-1.5, 1.5);
      inputs_.push_back(value);
    }
    const std::size_t count = 4 + random_.below(20);
    for (int tries = 0; steps_.size() < count && tries < 1000; ++tries) add_step();
  }

  const std::vector<Array>& inputs() const { return inputs_; }
  const std::string& text() const { return text_; }

  /// The program's value. With `keep`, all intermediate results are put there; otherwise each is dropped with
  /// its last use.
  Var operator()(std::span<const Var> x, Vars* keep = nullptr) const {
    Vars values(x.begin(), x.end());
    for (std::size_t k = 0; k < steps_.size(); ++k) {
      values.push_back(steps_[k](values));
      for (std::size_t i = 0; !keep && i < values.size(); ++i) {
        if (last_use_[i] == static_cast<std::ptrdiff_t>(k)) values[i] = Var();
      }
    }
    // All that was left unused takes part, weighted so that no two parts cancel.
    Var total;
    for (std::size_t i = 3; i < values.size(); ++i) {
      if (last_use_[i] >= 0) continue;
      const Var part = sum(values[i]) * (1 + 0.1 * static_cast<double>(i));
      total = total ? total + part : part;
    }
    if (keep) *keep = std::move(values);
    return total;
  }

 private:
  std::size_t pick() {
    // Recent values more often: deep graphs, and some wide ones.
    const auto n = static_cast<std::uint32_t>(shapes_.size());
    return random_.below(2) ? random_.below(n) : n - 1 - random_.below(std::min(n, 3u));
  }

  void push(std::initializer_list<std::size_t> operands, Shape shape, std::string text, Step step) {
    if (shape.size() > 48 || shape.size() == 0 || shape.rank() > 4) return;
    last_use_.resize(shapes_.size() + 1, -1);
    for (std::size_t i : operands) last_use_[i] = static_cast<std::ptrdiff_t>(steps_.size());
    text_ += xgrad::detail::text("v", shapes_.size(), " = ", text);
    for (std::size_t i : operands) text_ += xgrad::detail::text(" v", i);
    text_ += xgrad::detail::text(" : ", shape, "\n");
    shapes_.push_back(shape);
    steps_.push_back(std::move(step));
  }

  void add_step() {
    const std::size_t a = pick(), b = random_.below(5) == 0 ? a : pick();
    const Shape s = shapes_[a], t = shapes_[b];
    switch (random_.below(11)) {
      case 0:
      case 1: {
        const Broadcast both = broadcast(s, t);
        if (both.ok) push({a, b}, both.shape, "add", [=](const Vars& v) { return v[a] + v[b]; });
        break;
      }
      case 2: {
        const Broadcast both = broadcast(s, t);
        if (both.ok) push({a, b}, both.shape, "sub", [=](const Vars& v) { return v[a] - v[b]; });
        break;
      }
      case 3:
      case 4: {
        const Broadcast both = broadcast(s, t);
        if (both.ok) push({a, b}, both.shape, "mul", [=](const Vars& v) { return tanh(v[a]) * v[b]; });
        break;
      }
      case 5:
        push({a}, s, "tanh", [=](const Vars& v) { return tanh(v[a]); });
        break;
      case 6: {
        const Shape to = random_.below(2) ? Shape{s.size()}
                         : s.size() % 2   ? Shape{1, s.size(), 1}
                                          : Shape{2, s.size() / 2};
        push({a}, to, "reshape", [=](const Vars& v) { return reshape(v[a], to); });
        break;
      }
      case 7: {
        Shape smaller, larger{2};
        for (int i = static_cast<int>(random_.below(2)); i < s.rank(); ++i)
          smaller.push_back(random_.below(2) ? 1 : s[i]);
        for (std::int64_t n : s) larger.push_back(n == 1 ? 3 : n);
        if (random_.below(2)) {
          if (broadcasts_to(smaller, s))
            push({a}, smaller, "sum_to", [=](const Vars& v) { return sum_to(v[a], smaller); });
        } else {
          push({a}, larger, "broadcast_to", [=](const Vars& v) { return broadcast_to(v[a], larger); });
        }
        break;
      }
      case 8: {
        if (s.rank() != 2 || t.rank() != 2) break;
        for (unsigned flags = 0; flags < 4; ++flags) {
          const bool p = flags & 1, q = flags & 2;
          if (s[p ? 0 : 1] != t[q ? 1 : 0]) continue;
          push({a, b}, Shape{s[p ? 1 : 0], t[q ? 0 : 1]}, xgrad::detail::text("matmul ", p, q),
               [=](const Vars& v) { return matmul(tanh(v[a]), v[b], p, q); });
          break;
        }
        break;
      }
      case 9: {
        if (s.rank() == 0 || s.rank() != t.rank()) break;
        const int axis = static_cast<int>(random_.below(static_cast<std::uint32_t>(s.rank())));
        bool fits = true;
        for (int i = 0; i < s.rank(); ++i) fits = fits && (i == axis || s[i] == t[i]);
        Shape joined = s;
        joined.set(axis, s[axis] + t[axis]);
        if (fits)
          push({a, b}, joined, xgrad::detail::text("concat ", axis), [=](const Vars& v) {
            return concat({v[a], v[b]}, axis);
          });
        break;
      }
      default: {
        if (s.rank() == 0) break;
        const int axis = static_cast<int>(random_.below(static_cast<std::uint32_t>(s.rank())));
        const auto n = static_cast<std::uint32_t>(s[axis]);
        const std::int64_t start = random_.below(n), step = random_.below(2) ? 1 + random_.below(2) : -1;
        Shape cut = s;
        cut.set(axis, step > 0 ? (n - start + step - 1) / step : start + 1);
        push({a}, cut, xgrad::detail::text("slice ", axis, ' ', start, ' ', step),
             [=](const Vars& v) { return slice(v[a], axis, start, {}, step); });
        break;
      }
    }
  }

  Generator random_;
  std::vector<Shape> shapes_;
  std::vector<Array> inputs_;
  std::vector<Step> steps_;
  std::vector<std::ptrdiff_t> last_use_;  // the step that uses a value last, -1 when none does
  std::string text_;
};

Vars enter(Tape& tape, const std::vector<Array>& inputs) {
  Vars x;
  for (const Array& value : inputs) x.push_back(tape.input(value));
  return x;
}

Values together(const Vars& all) {
  Values result;
  for (const Var& v : all) {
    for (double d : values(v)) result.push_back(d);
  }
  return result;
}

struct Point {
  std::vector<Array> inputs, direction;
  std::vector<Array> moved(double step) const {
    std::vector<Array> result;
    for (std::size_t k = 0; k < inputs.size(); ++k) result.push_back(inputs[k] + step * direction[k]);
    return result;
  }
};

double dot(const Values& a, const std::vector<Array>& b) {
  double total = 0;
  std::size_t i = 0;
  for (const Array& part : b) {
    for (double d : part) total += a[i++] * d;
  }
  return total;
}

}  // namespace

TEST_CASE("random programs: every way to the gradient agrees with the others and with finite differences") {
  constexpr double kExact = 1e-12;
  for (std::uint64_t seed = 0; seed < 600; ++seed) {
    const Program f(seed);
    CAPTURE(seed);
    INFO(f.text());
    Point at{f.inputs(), {}};
    Generator random(seed + 1'000'000);
    for (const Array& x : f.inputs()) {
      Array direction(x.shape());
      for (double& d : direction) d = random.normal();
      at.direction.push_back(direction);
    }

    // The plain gradient, handles dropped as they go.
    Tape tape;
    const Vars x = enter(tape, f.inputs());
    const Var y = f(x);
    if (!y) continue;
    const Values plain = together(grad(y, x));
    REQUIRE(same_bits(together(grad(y, x)), plain));

    // All intermediate results kept, some of them asked for.
    Vars kept;
    const Var z = f(x, &kept);
    REQUIRE(z.item<double>() == y.item<double>());
    REQUIRE(same_bits(together(grad(z, x)), plain));
    Vars more(x);
    for (std::size_t i = 3; i < kept.size(); i += 2) more.push_back(kept[i]);
    Vars all = grad(z, more);
    all.resize(x.size());
    REQUIRE(difference(together(all), plain) < kExact);

    // Recorded, and differentiated again along the direction.
    const Vars g = grad(y, x, recorded());
    REQUIRE(difference(together(g), plain) < kExact);
    Var slope;
    for (std::size_t k = 0; k < x.size(); ++k) {
      const Var part = sum(g[k] * tape.constant(at.direction[k]));
      slope = slope ? slope + part : part;
    }
    const Values second = together(grad(slope, x));

    // Into parameters: twice, and consuming.
    std::vector<Parameter> parameters;
    Tape training;
    Vars leaves;
    for (const Array& value : f.inputs()) leaves.push_back(training.leaf(parameters.emplace_back(value)));
    const auto gathered = [&] {
      Values result;
      for (const Parameter& p : parameters) {
        const Values part = p.has_grad() ? grad_of(p) : Values(static_cast<std::size_t>(p.size()), 0);
        result.insert(result.end(), part.begin(), part.end());
      }
      return result;
    };
    Var loss = f(leaves);
    if (!loss.requires_grad()) continue;
    backward(loss, {.keep_recording = true});
    const Values once = gathered();
    REQUIRE(difference(once, plain) < kExact);
    for (Parameter& p : parameters) p.zero_grad();
    backward(loss);
    REQUIRE(same_bits(gathered(), once));
    leaves.clear();
    loss = Var();
    REQUIRE(training.statistics().slots == 0);
    REQUIRE(training.statistics().bytes_in_use == 0);

    // Finite differences along the direction, of the value and of the gradient.
    const double eps = 1e-5;
    const auto value = [&](double step) {
      Tape fresh;
      const Tape::Pause pause = fresh.no_grad();
      return f(enter(fresh, at.moved(step))).item<double>();
    };
    const double numeric = (value(eps) - value(-eps)) / (2 * eps), analytic = dot(plain, at.direction);
    REQUIRE(analytic == doctest::Approx(numeric).epsilon(1e-6).scale(10 + std::abs(y.item<double>())));
    const auto gradient = [&](double step) {
      Tape fresh;
      const Vars moved = enter(fresh, at.moved(step));
      return together(grad(f(moved), moved));
    };
    const Values above = gradient(eps), below = gradient(-eps);
    double size = 10;
    for (double d : second) size = std::max(size, std::abs(d));
    for (std::size_t i = 0; i < second.size(); ++i) {
      REQUIRE(second[i] == doctest::Approx((above[i] - below[i]) / (2 * eps)).epsilon(1e-5).scale(size));
    }
  }
}
