// The mutation run: puts one fault after the other into the derivatives and reports those that the case
// table's checks do not notice. mutation [OP] looks at the derivative of one op alone, and tells every fault.
//
// Where a fault can be is found by running the rows once: each op that a vjp records, and each cotangent that
// it adds, is a point, told apart by the op and its attributes, whether the gradient is recorded, and its
// number. A fault changes one point: the sign, one operand in place of the result (a term or a factor
// dropped), or a cotangent that is not added at all. Then the rows that come to that point are run until a
// check fails. Faults that change no number with some attributes, a factor of 1 dropped, are idle, and do not
// count when they are noticed with others.
#include <algorithm>
#include <chrono>
#include <compare>
#include <cstdio>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "lib/tape/mutation.hpp"
#include "tests/cases/op_cases.hpp"
#include "tests/mutation/equivalent.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/registry.hpp"
#include "xgrad/ops/shape.hpp"
#include "xgrad/support/text.hpp"
#include "xgrad/tape/grad.hpp"

using namespace xgrad;
using namespace xgrad::cases;
using namespace xgrad::mutation;

namespace {

enum class Fault { negate, drop, first_operand, second_operand };

const char* text_of(Fault fault) {
  switch (fault) {
    case Fault::negate:
      return "negated";
    case Fault::drop:
      return "dropped";
    case Fault::first_operand:
      return "its first operand alone";
    default:
      return "its second operand alone";
  }
}

/// A place in a vjp.
struct Point {
  std::string op;  // whose derivative it is, with its attributes
  bool create_graph = false;
  std::string what;  // the op that is recorded there; empty: a cotangent that is added
  int number = 0;
  auto operator<=>(const Point&) const = default;
  std::string text() const {
    return detail::text(op, create_graph ? ", recorded: " : ": ", what.empty() ? "cotangent" : what,
                        " number ", number);
  }
};

std::string op_of(const Point& point) { return point.op.substr(0, point.op.find('(')); }

/// Whether x, perhaps repeated, can stand in place of y.
bool fits(const Var& x, const Var& y) {
  return x.dtype() == y.dtype() && broadcasts_to(x.shape(), y.shape());
}

/// Follows the vjps from point to point.
class Follower : public detail::Mutator {
 public:
  void begin(const OpInfo& op, const void* attributes, bool create_graph) override {
    at_ = {op.name, create_graph, {}, 0};
    if (op.describe) {
      std::ostringstream out;
      op.describe(attributes, out);
      at_.op += '(' + out.str() + ')';
    }
    ops_ = cotangents_ = 0;
  }
  Var recorded(const OpInfo& op, std::span<const Arg> x, const Var& result) override {
    at_.what = op.name;
    at_.number = ops_++;
    // The engine's own sums are not part of a vjp; a mask or nothing at all has no sign.
    if (at_.what == "accumulate" || !is_floating(result.dtype()) || result.size() == 0) return result;
    std::vector<Fault> faults{Fault::negate};
    if (x.size() > 1 && fits(*x[0], result)) faults.push_back(Fault::first_operand);
    if (x.size() > 1 && fits(*x[1], result)) faults.push_back(Fault::second_operand);
    const std::optional<Fault> fault = come_to(at_, faults);
    if (!fault) return result;
    if (*fault == Fault::negate) return replace(result, -result);
    return replace(result, broadcast_to(*x[*fault == Fault::first_operand ? 0 : 1], result.shape()));
  }
  Var added(const Var& v) override {
    at_.what.clear();
    at_.number = cotangents_++;
    if (v.size() == 0) return v;
    const std::optional<Fault> fault = come_to(at_, {Fault::negate, Fault::drop});
    if (!fault) return v;
    return replace(v, *fault == Fault::negate ? -v : Var());
  }

 private:
  /// What is to be done at a point, given what could be.
  virtual std::optional<Fault> come_to(const Point& point, const std::vector<Fault>& faults) = 0;
  /// Gives what takes the place of v, given the faulty one, which is empty for nothing.
  virtual Var replace(const Var& v, const Var& faulty) = 0;
  Point at_;
  int ops_ = 0, cotangents_ = 0;
};

/// What is checked of one row with one set of operands.
struct Check {
  enum Kind { kFirst, kRecorded, kSecond, kThird };
  const OpCase* row;
  std::size_t set;
  Kind kind;

  bool passes() const {
    const Arrays x = make_inputs(*row, set);
    std::size_t elements = 0;
    for (const Array& a : x) elements += a.size();
    const GradcheckOptions options{.fast = elements > 30};
    switch (kind) {
      case kFirst:
        if (row->gradient) return is_documented(x);
        return static_cast<bool>(gradcheck(row->f, x, options));
      case kSecond:
        return static_cast<bool>(gradgradcheck(row->f, x, options));
      case kThird:
        return recorded_is_plain(gradient_of(row->f), x) &&
               gradgradcheck(gradient_of(row->f), x, {.fast = true});
      default:
        return recorded_is_plain(row->f, x);
    }
  }

 private:
  bool is_documented(const Arrays& x) const {
    return agree(gradient(row->f, x, false), row->gradient(x, weights_for(row->reference(x))));
  }
  static bool recorded_is_plain(const TensorFunction& f, const Arrays& x) {
    return agree(gradient(f, x, true), gradient(f, x, false));
  }
  static Arrays gradient(const TensorFunction& f, const Arrays& inputs, bool create_graph) {
    Tape tape;
    std::vector<Var> x;
    for (const Array& a : inputs) x.push_back(tape.input(a));
    const Var y = f(x), u = tape.constant(weights_for(y.array<double>()));
    Arrays result;
    for (const Var& g : grad(y, x, {.create_graph = create_graph, .cotangent = u}))
      result.push_back(g.array<double>());
    return result;
  }
  static bool agree(const Arrays& x, const Arrays& y) {
    return std::equal(x.begin(), x.end(), y.begin(),
                      [](const Array& a, const Array& b) { return xt::allclose(a, b, 1e-10, 1e-10); });
  }
};

using Places = std::map<Point, std::map<Fault, std::vector<Check>>>;

/// Notes where faults can be, and which check comes there.
class Scout : public Follower {
 public:
  Places places;
  Check check{};

 private:
  std::optional<Fault> come_to(const Point& point, const std::vector<Fault>& faults) override {
    for (Fault fault : faults) {
      std::vector<Check>& checks = places[point][fault];
      const bool known = !checks.empty() && checks.back().row == check.row &&
                         checks.back().set == check.set && checks.back().kind == check.kind;
      if (!known) checks.push_back(check);
    }
    return {};
  }
  Var replace(const Var& v, const Var&) override { return v; }
};

/// Puts one fault in one place.
class Mutant : public Follower {
 public:
  Mutant(const Point& point, Fault fault) : point_(point), fault_(fault) {}

 private:
  std::optional<Fault> come_to(const Point& point, const std::vector<Fault>& faults) override {
    if (point != point_ || std::find(faults.begin(), faults.end(), fault_) == faults.end()) return {};
    return fault_;
  }
  Var replace(const Var&, const Var& faulty) override { return faulty; }
  const Point& point_;
  Fault fault_;
};

/// Looks whether a fault would change a number, and changes none.
class Comparison : public Mutant {
 public:
  using Mutant::Mutant;
  bool idle = true;

 private:
  Var replace(const Var& v, const Var& faulty) override {
    const Array a = v.array<double>();
    const Array b = faulty.defined() ? faulty.array<double>() : Array(xt::zeros_like(a));
    idle = idle && std::equal(a.begin(), a.end(), b.begin(), [](double x, double y) { return x == y; });
    return v;
  }
};

bool passes(Follower& follower, const Check& check) {
  detail::mutator = &follower;
  bool passed = false;
  try {
    passed = check.passes();
  } catch (const std::exception&) {
    // a fault that throws is noticed
  }
  detail::mutator = nullptr;
  return passed;
}

Places scout(const std::vector<OpCase>& rows) {
  Scout scout;
  for (const OpCase& row : rows) {
    for (std::size_t set = 0; row.order > 0 && set < row.sets.size(); ++set) {
      for (const Check::Kind kind : {Check::kFirst, Check::kRecorded, Check::kSecond, Check::kThird}) {
        if (row.order < 2 && kind >= Check::kSecond) continue;
        scout.check = {&row, set, kind};
        if (!passes(scout, scout.check)) {
          std::printf("%s, set %zu: a check fails without a fault\n", row.name.c_str(), set);
          std::exit(2);
        }
      }
    }
  }
  return std::move(scout.places);
}

/// A fault in one place, and what became of it.
struct Result {
  const Point* point;
  Fault fault;
  const OpCase* killer;  // null: it survives
  bool idle;

  /// The same fault whatever the attributes.
  Point anywhere() const {
    Point p = *point;
    p.op = op_of(p);
    return p;
  }
};

Result try_out(const Point& point, Fault fault, const std::vector<Check>& checks) {
  Mutant mutant(point, fault);
  for (const Check& check : checks) {
    if (!passes(mutant, check)) return {&point, fault, check.row, false};
  }
  Comparison comparison(point, fault);
  for (const Check& check : checks) passes(comparison, check);
  return {&point, fault, nullptr, comparison.idle};
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view only = argc > 1 ? argv[1] : "";
  const auto start = std::chrono::steady_clock::now();
  const std::vector<OpCase> rows = op_cases();
  const Places places = scout(rows);

  std::vector<Result> results;
  std::set<std::string> ops;
  std::set<std::pair<Point, Fault>> killed_somewhere;
  for (const auto& [point, faults] : places) {
    if (!only.empty() && op_of(point) != only) continue;
    ops.insert(op_of(point));
    for (const auto& [fault, checks] : faults) {
      results.push_back(try_out(point, fault, checks));
      if (results.back().killer) killed_somewhere.emplace(results.back().anywhere(), fault);
    }
  }

  std::size_t killed = 0, idle = 0, equivalent = 0, survived = 0;
  std::set<const Equivalent*> stale;
  for (const Equivalent& e : kEquivalent) stale.insert(&e);
  for (const Result& r : results) {
    const std::string text = r.point->text() + ", " + text_of(r.fault);
    const Equivalent* const listed =
        find_equivalent(op_of(*r.point), r.point->what, r.point->number, text_of(r.fault));
    if (r.killer) {
      ++killed;
      if (!only.empty()) std::printf("killed: %s, by %s\n", text.c_str(), r.killer->name.c_str());
    } else if (r.idle && killed_somewhere.count({r.anywhere(), r.fault})) {
      ++idle;
      if (!only.empty()) std::printf("idle: %s\n", text.c_str());
    } else if (listed != std::end(kEquivalent)) {
      ++equivalent;
      stale.erase(listed);
      std::printf("equivalent: %s: %s\n", text.c_str(), listed->reason.data());
    } else {
      ++survived;
      std::printf("SURVIVED%s: %s\n", r.idle ? ", idle" : "", text.c_str());
    }
  }
  for (const OpInfo* op : registered_ops()) {
    if (!only.empty() || !op->vjp || ops.count(op->name)) continue;
    ++survived;
    std::printf("SURVIVED all: no row differentiates %s\n", op->name);
  }
  for (const Equivalent* e : stale) {
    if (!only.empty() && e->op != only) continue;
    ++survived;
    std::printf("SURVIVED no more, to be taken off the list: %s, %s number %d, %s\n", e->op.data(),
                e->what.data(), e->number, e->fault.data());
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf(
      "%zu mutants of the derivatives of %zu ops: %zu killed, %zu idle, %zu equivalent, %zu survived (%.0f "
      "s)\n",
      results.size(), ops.size(), killed, idle, equivalent, survived, seconds.count());
  return survived == 0 && !results.empty() ? 0 : 1;
}
