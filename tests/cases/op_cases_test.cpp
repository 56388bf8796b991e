// Every test that ops have in common, made from the case table.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <regex>
#include <set>
#include <sstream>

#if __has_include(<xtensor/views/xstrided_view.hpp>)
#include <xtensor/views/xstrided_view.hpp>
#else
#include <xtensor/xstrided_view.hpp>
#endif

#include "tests/cases/op_cases.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/ops/registry.hpp"
#include "xgrad/tape/grad.hpp"
#include "xgrad/tensor/blas.hpp"

using namespace xgrad;
using namespace xgrad::cases;

namespace {

/// What ran, told when the program ends.
struct Tally {
  std::size_t rows = 0, checks = 0;
  ~Tally() {
    if (checks) std::printf("op cases (%s): %zu rows, %zu checks\n", kernel_isa(), rows, checks);
  }
} tally;

const std::vector<OpCase>& table() {
  static const std::vector<OpCase> rows = op_cases();
  tally.rows = rows.size();
  return rows;
}

/// One row with one set of operands.
struct Call {
  const OpCase& row;
  Arrays x;

  /// Counts a check, which fails when there is a problem to tell.
  void expect(const std::string& what, const std::string& problem) const {
    ++tally.checks;
    if (problem.empty()) return;
    std::string message = row.name + ", operands";
    for (const Array& a : x) message += ' ' + shape_of(a).text();
    message += ", " + what + ": " + problem;
    FAIL_CHECK(message);
  }
  std::size_t elements() const {
    std::size_t n = 0;
    for (const Array& a : x) n += a.size();
    return n;
  }
};

/// Calls body for every set of every row that can be differentiated at least `order` times.
template <class Body>
void for_each_call(int order, Body&& body) {
  for (const OpCase& row : table()) {
    for (std::size_t set = 0; row.order >= order && set < row.sets.size(); ++set) {
      const Call call{row, make_inputs(row, set)};
      try {
        body(call);
      } catch (const std::exception& e) {
        call.expect("thrown", e.what());
      }
    }
  }
}

/// The first entry that differs by more than `relative` of its own size and of `scale`; empty when all agree.
std::string difference(const Array& got, const Array& wanted, double relative, double scale = 1) {
  if (got.shape() != wanted.shape()) {
    return detail::text("shape ", shape_of(got), ", expected ", shape_of(wanted));
  }
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double a = got.data()[i], b = wanted.data()[i];
    const bool same = a == b || (std::isnan(a) && std::isnan(b));
    if (!same && !(std::abs(a - b) <= relative * std::max(std::abs(b), scale))) {
      return detail::text("element ", i, " is ", a, ", expected ", b, ", difference ", a - b);
    }
  }
  return {};
}

std::string difference(const Arrays& got, const Arrays& wanted, double relative, double scale = 1) {
  for (std::size_t k = 0; k < wanted.size(); ++k) {
    const std::string problem = difference(got[k], wanted[k], relative, scale);
    if (!problem.empty()) return detail::text("operand ", k, ", ", problem);
  }
  return {};
}

double largest(const Array& x) {
  double result = 0;
  for (double v : x) result = std::max(result, std::abs(v));
  return result;
}

Array values_of(const Var& v) {
  switch (v.dtype()) {
    case DType::float32:
      return xt::cast<double>(v.value<float>());
    case DType::boolean:
      return xt::cast<double>(v.value<bool>());
    case DType::int64:
      return xt::cast<double>(v.value<std::int64_t>());
    default:
      return v.array<double>();
  }
}

/// A fixed cotangent for a result.
Array weights_for(const Var& y) {
  Array w(detail::xt_shape(y.shape()));
  double k = 0;
  for (double& v : w) v = std::cos(k++);
  return w;
}

template <class T>
std::vector<Var> enter(Tape& tape, const Arrays& x, unsigned active = ~0u) {
  std::vector<Var> vars;
  for (std::size_t k = 0; k < x.size(); ++k) {
    const xt::xarray<T> value = xt::cast<T>(x[k]);
    vars.push_back(active >> k & 1 ? tape.input(value) : tape.constant(value));
  }
  return vars;
}

Arrays gradients(const Var& y, std::span<const Var> x, bool create_graph = false) {
  const Array w = weights_for(y);
  Tape& tape = y.tape();
  const Var cotangent =
      y.dtype() == DType::float32 ? tape.constant(xt::xarray<float>(xt::cast<float>(w))) : tape.constant(w);
  Arrays result;
  for (const Var& g : grad(y, x, {.create_graph = create_graph, .cotangent = cotangent}))
    result.push_back(values_of(g));
  return result;
}

template <class T = double>
Arrays gradients(const TensorFunction& f, const Arrays& inputs, bool create_graph = false) {
  Tape tape;
  const std::vector<Var> x = enter<T>(tape, inputs);
  return gradients(f(x), x, create_graph);
}

GradcheckOptions check_options(const Call& call) { return {.fast = call.elements() > 30}; }

/// Has f of its other operands as the derivative in its last one: then f is computed straight into a
/// cotangent.
struct Probe {
  static constexpr const char* name = "probe";
  static constexpr Reads reads[] = {~kReadsOutput};
  const TensorFunction* f;
  TensorType infer(Operands x) const { return {x.back().dtype, x.back().shape()}; }
  void eval(Operands, View y, Write) const { std::fill_n(y.as<double>(), y.size(), 0.0); }
  void vjp(Backward& b) const {
    std::vector<Var> x;
    for (int i = 0; i + 1 < b.operand_count(); ++i) x.push_back(b.x(i));
    b.dx(b.operand_count() - 1) += (*f)(x);
  }
};

std::string problem_of(const GradcheckReport& report) { return report ? std::string() : report.text(); }

}  // namespace

TEST_SUITE_BEGIN("ops");

TEST_CASE("cases: values agree with naive references") {
  for_each_call(0, [](const Call& call) {
    Tape tape;
    call.expect("value", difference(values_of(call.row.f(enter<double>(tape, call.x))),
                                    call.row.reference(call.x), 1e-12));
  });
}

TEST_CASE("cases: float32 agrees with float64") {
  // Errors of single precision, 6e-8, add up over sums of hundreds of numbers.
  constexpr double kTolerance = 2e-6;
  for_each_call(0, [](const Call& call) {
    Tape tape;
    const std::vector<Var> x = enter<float>(tape, call.x), exact = enter<double>(tape, call.x);
    const Var y = call.row.f(x), wanted = call.row.f(exact);
    const bool kept = y.dtype() != DType::float64;
    call.expect("dtype", kept ? "" : name(y.dtype()));
    const Array value = values_of(wanted);
    call.expect("value", difference(values_of(y), value, kTolerance, largest(value)));
    if (call.row.order == 0) return;
    const Arrays g = gradients(y, x), wanted_g = gradients(wanted, exact);
    for (std::size_t k = 0; k < g.size(); ++k) {
      call.expect("gradient", difference(g[k], wanted_g[k], kTolerance, std::max(1.0, largest(wanted_g[k]))));
    }
  });
}

TEST_CASE("cases: first derivatives agree with finite differences") {
  for_each_call(1, [](const Call& call) {
    call.expect("gradcheck", problem_of(gradcheck(call.row.f, call.x, check_options(call))));
  });
}

TEST_CASE("cases: second derivatives agree with finite differences") {
  for_each_call(2, [](const Call& call) {
    call.expect("gradgradcheck", problem_of(gradgradcheck(call.row.f, call.x, check_options(call))));
  });
}

TEST_CASE("cases: a gradient that is recorded is the gradient") {
  for_each_call(1, [](const Call& call) {
    call.expect("create_graph",
                difference(gradients(call.row.f, call.x, true), gradients(call.row.f, call.x), 1e-13));
  });
}

TEST_CASE("cases: ops without derivative have a gradient of zero") {
  for_each_call(0, [](const Call& call) {
    Tape tape;
    const std::vector<Var> x = enter<double>(tape, call.x);
    const Var y = call.row.f(x);
    if (call.row.order > 0 || !is_floating(y.dtype())) return;
    for (const Array& g : gradients(y, x)) call.expect("gradient", largest(g) == 0 ? "" : "not zero");
  });
}

TEST_CASE("cases: operands that are constants do not change the others' gradients") {
  for_each_call(1, [](const Call& call) {
    const Arrays all = gradients(call.row.f, call.x);
    const unsigned last = (1u << std::min<std::size_t>(call.x.size(), 4)) - 1;
    for (unsigned active = 1; active < last; ++active) {
      Tape tape;
      const std::vector<Var> x = enter<double>(tape, call.x, active);
      std::vector<Var> active_x;
      Arrays wanted;
      for (std::size_t k = 0; k < x.size(); ++k) {
        if (active >> k & 1) active_x.push_back(x[k]), wanted.push_back(all[k]);
      }
      const Arrays g = gradients(call.row.f(x), active_x);
      call.expect(detail::text("active operands ", active), difference(g, wanted, 0));
    }
  });
}

TEST_CASE("cases: a cotangent that is added to a sum is added right") {
  for_each_call(1, [](const Call& call) {
    const TensorFunction twice = [&](Vars x) { return 3 * call.row.f(x) + call.row.f(x); };
    Arrays wanted = gradients(call.row.f, call.x);
    for (Array& g : wanted) g *= 4;
    call.expect("used twice", difference(gradients(twice, call.x), wanted, 1e-13, 4));
  });
}

TEST_CASE("cases: ops write over what a cotangent held, and add to it") {
  for_each_call(0, [](const Call& call) {
    Tape tape;
    const auto operands = [&] { return enter<double>(tape, call.x, 0); };
    const Var y = call.row.f(operands());
    if (!is_floating(y.dtype())) return;
    const Array value = values_of(y);
    Parameter p(Array(xt::zeros_like(value)));
    for (double times : {1, 2, 3, 1}) {
      if (times == 1) p.zero_grad();
      std::vector<Var> x = operands();
      x.push_back(tape.leaf(p));
      backward(sum(apply_all(Probe{&call.row.f}, x)));
      const Array g = p.grad<double>();
      call.expect(detail::text("written ", times, " times"),
                  difference(g, times * value, times == 1 ? 0 : 1e-13, times));
    }
  });
}

TEST_CASE("cases: gradients of parameters add up over two backwards") {
  for_each_call(1, [](const Call& call) {
    const Arrays once = gradients(call.row.f, call.x);
    std::vector<Parameter> parameters;
    for (const Array& x : call.x) parameters.emplace_back(x);
    Tape tape;
    for (double times : {1, 2}) {
      std::vector<Var> x;
      for (const Parameter& p : parameters) x.push_back(tape.leaf(p));
      const Var y = call.row.f(x);
      backward(sum(y * tape.constant(weights_for(y))));
      for (std::size_t k = 0; k < x.size(); ++k) {
        const Array g =
            parameters[k].has_grad() ? Array(parameters[k].grad<double>()) : Array(xt::zeros_like(once[k]));
        call.expect(detail::text("backward ", times), difference(g, times * once[k], 1e-13, times));
      }
    }
  });
}

TEST_CASE("cases: operands may be any xtensor expression") {
  const auto stepped = [](const Array& x, auto&& use) {
    xt::dynamic_shape<std::size_t> shape(x.shape().begin(), x.shape().end());
    for (std::size_t& extent : shape) extent *= 3;
    Array wide(shape, std::numeric_limits<double>::quiet_NaN());
    auto view = xt::strided_view(
        wide, xt::xstrided_slice_vector(x.dimension(), xt::range(1, xt::placeholders::_, 3)));
    xt::noalias(view) = x;
    return use(view);
  };
  const auto column_major = [](const Array& x, auto&& use) {
    return use(xt::xarray<double, xt::layout_type::column_major>(x));
  };
  const auto transposed = [](const Array& x, auto&& use) {
    const Array turned = xt::transpose(x);
    return use(xt::transpose(turned));
  };
  const auto expression = [](const Array& x, auto&& use) { return use(0.5 * x + 0.5 * x); };

  for_each_call(0, [&](const Call& call) {
    const auto check = [&](const char* what, const auto& as) {
      Tape tape;
      std::vector<Var> x, plain = enter<double>(tape, call.x);
      for (const Array& a : call.x) x.push_back(as(a, [&](const auto& e) { return tape.input(e); }));
      const Var y = call.row.f(x), wanted = call.row.f(plain);
      call.expect(what, difference(values_of(y), values_of(wanted), 0));
      if (call.row.order > 0) call.expect(what, difference(gradients(y, x), gradients(wanted, plain), 0));
    };
    check("a view in steps", stepped);
    check("a column-major array", column_major);
    check("a transposed array", transposed);
    check("an expression", expression);
  });
}

TEST_CASE("cases: errors have the documented type and text") {
  for (const OpCase& row : table()) {
    const Call call{row, {}};
    for (const ErrorCase& error : row.errors) {
      Tape tape;
      std::string problem = "nothing was thrown";
      try {
        error.call(tape, row.f);
      } catch (const Error& e) {
        problem = e.what() != error.text ? e.what() : error.has_type(e) ? "" : "another type of error";
      }
      call.expect("error \"" + error.text + '"', problem);
      call.expect("recorded after an error", tape.statistics().instructions ? "an instruction" : "");
    }
  }
}

TEST_CASE("cases: every registered op is in a row") {
  // What a row records, its first and its second derivative included. Ops whose derivative is zero are not
  // recorded: a row bears their name.
  std::set<std::string> seen;
  for_each_call(0, [&](const Call& call) {
    if (call.row.order == 0) seen.insert(call.row.name);
    Tape tape;
    std::vector<Var> x = enter<double>(tape, call.x);
    std::vector<Var> results{call.row.f(x)};
    for (int order = 1; order <= call.row.order; ++order) {
      x.push_back(tape.input(weights_for(results.back())));
      const auto g = grad(results.back(), x, {.create_graph = true, .cotangent = x.back()});
      results.insert(results.end(), g.begin(), g.end() - 1);
      Var total = tape.input(0.0);
      for (std::size_t k = results.size() - g.size() + 1; k < results.size(); ++k)
        total = total + sum(results[k]);
      results.push_back(total);
    }
    std::stringstream recording;
    tape.print(recording);
    static const std::regex instruction(R"(%\d+ = (\w+)\(.*)");
    std::smatch match;
    for (std::string line; std::getline(recording, line);) {
      if (std::regex_match(line, match, instruction)) seen.insert(match[1]);
    }
  });
  for (const OpInfo* op : registered_ops()) {
    ++tally.checks;
    CHECK_MESSAGE(seen.count(op->name) == 1, op->name, " is in no row of the case table");
  }
}

TEST_CASE("cases: every public function has a row") {
  std::set<std::string> named;
  for (const OpCase& row : table()) named.insert(row.name.substr(0, row.name.find(' ')));
  const std::regex declaration(R"(^(?:inline )?Var (operator.|\w+)\()");
  std::size_t found = 0;
  for (const auto& header : std::filesystem::directory_iterator(XGRAD_TEST_OPS_HEADERS)) {
    std::ifstream in(header.path());
    std::smatch match;
    for (std::string line; std::getline(in, line);) {
      if (!std::regex_search(line, match, declaration)) continue;
      ++found, ++tally.checks;
      CHECK_MESSAGE(named.count(match[1]) == 1, match[1], " of ", header.path().filename().string(),
                    " has no row");
    }
  }
  CHECK(found > 50);
}

TEST_SUITE_END();
