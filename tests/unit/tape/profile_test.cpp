// Profile: counts, bytes and flops of steps that are known, and what is written about them.
#include "xgrad/tape/profile.hpp"

#include <optional>
#include <sstream>

#include "tests/unit/tape/helpers.hpp"
#include "xgrad/ops/activation.hpp"
#include "xgrad/ops/conv.hpp"
#include "xgrad/ops/linalg.hpp"
#include "xgrad/ops/shape.hpp"
#include "xgrad/tape/flow.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

ProfileEntry entry(const Profile& profile, std::string_view op, Phase phase) {
  for (const ProfileEntry& e : profile.entries()) {
    if (e.op == op && e.phase == phase) return e;
  }
  return {};
}

Array zeros(const Shape& shape) {
  return xt::zeros<double>(std::vector<std::size_t>(shape.begin(), shape.end()));
}

struct Throws {
  static constexpr const char* name = "throws";
  static constexpr bool constant = true;
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands, View, Write) const { throw Error("no"); }
};

/// Whether a text is one JSON value, by RFC 8259 to the letter.
class JsonCheck {
 public:
  explicit JsonCheck(std::string_view text) : rest_(text) {}
  bool ok() { return value() && (space(), rest_.empty()); }

 private:
  char peek() const { return rest_.empty() ? '\0' : rest_[0]; }
  bool take(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  void space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size())); }
  bool digits() {
    const std::size_t n = std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    rest_.remove_prefix(n);
    return n > 0;
  }
  bool number() {
    take("-");
    if (!take("0") && !digits()) return false;
    if (take(".") && !digits()) return false;
    if (!take("e") && !take("E")) return true;
    if (!take("+")) take("-");
    return digits();
  }
  bool string() {
    if (!take("\"")) return false;
    while (!take("\"")) {
      if (static_cast<unsigned char>(peek()) < 0x20) return false;
      if (!take("\\")) {
        rest_.remove_prefix(1);
      } else if (take("u")) {
        const std::size_t n = std::min(rest_.find_first_not_of("0123456789abcdefABCDEF"), rest_.size());
        if (n < 4) return false;
        rest_.remove_prefix(4);
      } else {
        if (rest_.empty() || std::string_view("\"\\/bfnrt").find(peek()) == std::string_view::npos)
          return false;
        rest_.remove_prefix(1);
      }
    }
    return true;
  }
  template <class Item>
  bool list(std::string_view close, Item&& item) {
    space();
    if (take(close)) return true;
    do {
      if (!item()) return false;
      space();
    } while (take(","));
    return take(close);
  }
  bool value() {
    space();
    if (take("{")) return list("}", [&] { return space(), string() && (space(), take(":")) && value(); });
    if (take("[")) return list("]", [&] { return value(); });
    if (peek() == '"') return string();
    return take("true") || take("false") || take("null") || number();
  }
  std::string_view rest_;
};

bool is_json(std::string_view text) { return JsonCheck(text).ok(); }

std::string trace_of(const Profile& profile) {
  std::ostringstream out;
  profile.write_trace(out);
  return out.str();
}

std::size_t count(std::string_view text, std::string_view word) {
  std::size_t n = 0;
  for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("profile: calls, bytes and flops of a step, forward and backward") {
  const Parameter w(zeros({3, 4}), "w"), b(zeros({4}), "b");
  Tape tape;
  Profile profile;
  const auto step = [&] {
    const Var x = tape.constant(zeros({5, 3}));
    backward(sum(relu(linear(x, tape.leaf(w), tape.leaf(b)))));
  };
  step();  // not attached
  CHECK(profile.entries().empty());
  CHECK(profile.seconds() == 0);
  {
    const auto on = tape.profile(&profile);
    step();
    step();
  }
  step();
  const ProfileEntry linear = entry(profile, "linear", Phase::forward);
  CHECK(linear.calls == 2);
  CHECK(linear.bytes == 2 * 8 * (5 * 3 + 3 * 4 + 4 + 5 * 4));
  CHECK(linear.flops == 2 * 2 * 5 * 3 * 4);
  CHECK(linear.seconds > 0);
  const ProfileEntry relu = entry(profile, "relu", Phase::forward);
  CHECK(relu.calls == 2);
  CHECK(relu.bytes == 2 * 8 * (20 + 20));
  CHECK(relu.flops == 0);
  // Only w needs a product: it is added to the gradient that is there, which is read and written.
  const ProfileEntry product = entry(profile, "matmul", Phase::backward);
  CHECK(product.calls == 2);
  CHECK(product.bytes == 2 * 8 * (15 + 20 + 2 * 12));
  CHECK(product.flops == 2 * 2 * 5 * 3 * 4);
  CHECK(entry(profile, "linear", Phase::backward).calls == 0);
  double in_ops = 0;
  for (const ProfileEntry& e : profile.entries()) in_ops += e.seconds;
  CHECK(in_ops > 0);
  CHECK(in_ops <= profile.seconds());
  for (std::size_t i = 1; i < profile.entries().size(); ++i)
    CHECK(profile.entries()[i - 1].seconds >= profile.entries()[i].seconds);
  profile.clear();
  CHECK(profile.entries().empty());
  CHECK(profile.seconds() == 0);
}

TEST_CASE("profile: flops of products and convolutions") {
  Tape tape;
  Profile profile;
  const auto on = tape.profile(&profile);
  const auto flops = [&](const char* op, Phase phase) {
    const double n = entry(profile, op, phase).flops;
    return n;
  };
  (void)matmul(tape.constant(zeros({7, 2, 3})), tape.constant(zeros({7, 3, 5})));
  CHECK(flops("matmul", Phase::forward) == 2 * 7 * 2 * 3 * 5);
  (void)matmul(tape.constant(zeros({3, 2})), tape.constant(zeros({5, 3})), true, true);
  CHECK(flops("matmul", Phase::forward) == 2 * 7 * 2 * 3 * 5 + 2 * 2 * 3 * 5);
  // 2 images of 4 x 6 x 5, 6 outputs in 2 groups, windows of 3 x 2: 4 x 4 places.
  const Var x = tape.input(zeros({2, 4, 6, 5})), k = tape.input(zeros({6, 2, 3, 2}));
  const Var y = conv2d(x, k, {}, {.groups = 2});
  REQUIRE(y.shape() == Shape{2, 6, 4, 4});
  const double once = 2.0 * (2 * 6 * 4 * 4) * (2 * 3 * 2);
  CHECK(flops("conv2d", Phase::forward) == once);
  (void)grad(sum(y), {x, k});
  CHECK(flops("conv_transpose2d", Phase::backward) == once);
  CHECK(flops("conv2d_weight_grad", Phase::backward) == once);
}

TEST_CASE("profile: sums of cotangents, renamed memory, recomputed parts") {
  Tape tape;
  Profile profile;
  const auto on = tape.profile(&profile);
  const Var x = tape.input(Array{1, 2, 3});
  (void)grad(sum(x * 2.0 + x), {x});
  CHECK(entry(profile, "accumulate", Phase::backward).calls == 1);
  CHECK(entry(profile, "accumulate", Phase::backward).bytes == 3 * 8 * 3);
  (void)reshape(x, Shape{3, 1});
  CHECK(entry(profile, "reshape", Phase::forward).calls == 0);
  profile.clear();
  const Var y = checkpoint([](std::span<const Var> xs) { return tanh(xs[0]); }, {x});
  CHECK(entry(profile, "tanh", Phase::forward).calls == 1);
  (void)grad(sum(y), {x});
  CHECK(entry(profile, "tanh", Phase::forward).calls == 1);
  CHECK(entry(profile, "tanh", Phase::backward).calls == 1);
}

TEST_CASE("profile: attached, nested, handed on") {
  Tape tape, other;
  Profile outer, inner;
  const auto use = [](Tape& t) { (void)exp(t.constant(Array{1})); };
  const auto calls = [](const Profile& p) { return entry(p, "exp", Phase::forward).calls; };
  {
    auto on = tape.profile(&outer);
    const auto moved = std::move(on);
    use(tape);
    {
      const auto instead = tape.profile(&inner);
      use(tape), use(tape);
      const auto none = tape.profile(nullptr);
      use(tape);
    }
    use(tape);
    use(other);
    const auto both = other.profile(&outer);
    use(other);
  }
  use(tape);
  CHECK(calls(outer) == 3);
  CHECK(calls(inner) == 2);
  const double seconds = outer.seconds();
  CHECK(seconds > 0);
  CHECK(outer.seconds() == seconds);  // the clock stands
}

TEST_CASE("profile: an op that throws leaves the profile as it was") {
  Tape tape;
  Profile profile;
  const auto on = tape.profile(&profile);
  CHECK_THROWS_AS((void)apply(Throws{}, tape.constant(Array{1})), Error);
  CHECK(profile.entries().empty());
}

TEST_CASE("profile: the table") {
  Tape tape;
  Profile profile;
  std::ostringstream empty;
  profile.print(empty);
  CHECK(count(empty.str(), "\n") == 3);
  {
    const auto on = tape.profile(&profile);
    const Var a = tape.input(zeros({40, 40}));
    (void)grad(sum(matmul(exp(a), a)), {a});
  }
  std::ostringstream out;
  profile.print(out);
  const std::string table = out.str();
  CAPTURE(table);
  CHECK(table.starts_with("op "));
  CHECK(count(table, "\n") == 1 + profile.entries().size() + 2);
  for (const char* word :
       {"us/call", "GB/s", "GFLOP/s", "exp ", "matmul ", "forward", "backward", "between ops", "total"})
    CHECK(count(table, word) > 0);
  // What has no flops has a blank column.
  std::istringstream lines(table);
  std::string line;
  while (std::getline(lines, line)) {
    if (line.starts_with("matmul")) CHECK(line.size() == table.find('\n'));
    if (line.starts_with("exp")) CHECK(line.size() == table.find('\n') - 10);
  }
}

TEST_CASE("profile: the trace is JSON, with scopes, as many calls as asked for") {
  for (const char* text : {"{}", " [1, -2.5e+3, \"a\\u00e9\\n\", true, null, {\"b\": []}] "})
    CHECK(is_json(text));
  for (const char* text :
       {"", "{", "[1,]", "{\"a\"}", "\"\n\"", "01", "1 2", "{a:1}", "\"\\x\"", "nan", "[1}"})
    CHECK_FALSE(is_json(text));

  Profile all(1000), few(2), none;
  CHECK(is_json(trace_of(none)));
  for (Profile* profile : {&all, &few, &none}) {
    Tape tape;
    const auto on = tape.profile(profile);
    const Var x = tape.input(zeros({2, 2}));
    Var y;
    {
      const auto outer = tape.scope("net \"1\"\\\t");
      const auto scope = tape.scope("first");
      y = matmul(x, x);
    }
    (void)grad(sum(y), {x});
  }  // the profile outlives the tape
  const std::string trace = trace_of(all);
  CAPTURE(trace);
  CHECK(is_json(trace));
  std::int64_t calls = 0;
  for (const ProfileEntry& e : all.entries()) calls += e.calls;
  CHECK(std::int64_t(count(trace, "\"ph\":\"X\"")) == calls);
  CHECK(count(trace, "\"calls left out\":0") == 1);
  const std::string scope = "\"scope\":\"net \\\"1\\\"\\\\\\u0009/first\"";
  CHECK(count(trace, scope) == 4);  // the product, its cotangent repeated, and both of its derivatives
  CHECK(count(trace, scope + ",\"bytes\":96,\"flops\":16}") >= 1);
  CHECK(count(trace, "\"name\":\"sum\",\"cat\":\"forward\"") == 1);
  CHECK(is_json(trace_of(few)));
  CHECK(count(trace_of(few), "\"ph\":\"X\"") == 2);
  CHECK(count(trace_of(few), "\"calls left out\":" + std::to_string(calls - 2)) == 1);
  CHECK(count(trace_of(none), "\"ph\":\"X\"") == 0);
}
