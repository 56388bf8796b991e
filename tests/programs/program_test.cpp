// Property tests: what holds for random programs. XGRAD_RANDOM_PROGRAMS says how many, XGRAD_RANDOM_SEED the
// first one's seed; a failure names the seed and shows the smallest program that fails likewise.
#include "tests/programs/program.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "tests/cases/checks.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/tape/op.hpp"

using namespace xgrad;
using namespace xgrad::programs;

namespace {

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// The rows that can be differentiated twice.
std::vector<const OpCase*> rows() {
  std::vector<const OpCase*> result;
  for (const OpCase& row : cases::table()) {
    if (row.order >= 2) result.push_back(&row);
  }
  return result;
}

bool fails(const Program& program) { return !problem_of(program).empty(); }

/// Squares, but with three times x for a derivative.
struct WrongSquare {
  static constexpr const char* name = "wrong_square";
  static constexpr Reads reads[] = {reads_x(0)};
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View y, Write write) const {
    for (std::int64_t i = 0; i < y.size(); ++i) {
      const double v = x[0].as<double>()[i];
      y.as<double>()[i] = v * v + (write == Write::assign ? 0 : y.as<double>()[i]);
    }
  }
  void vjp(Backward& b) const { b.dx(0) += b.dy() * (3 * b.x(0)); }
};

}  // namespace

TEST_CASE("random programs: every way to the gradient agrees with the others and with finite differences") {
  const std::vector<const OpCase*> all = rows();
  const std::uint64_t first = number_from("XGRAD_RANDOM_SEED", 0),
                      count = number_from("XGRAD_RANDOM_PROGRAMS", 150);
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const Program program = Program::random(seed, all);
    ++cases::tally.programs;
    cases::tally.steps += program.size();
    if (!fails(program)) continue;
    const Program smallest = shrink(program, fails);
    FAIL_CHECK("seed ", seed, ": ", problem_of(smallest), ", in\n", smallest.text());
  }
}

TEST_CASE("random programs: a wrong derivative is found, and the program that shows it shrunk to that step") {
  const OpCase wrong{.name = "wrong_square",
                     .f = [](cases::Vars x) { return apply(WrongSquare{}, x[0]); },
                     .reference = {},
                     .sets = {{{4}}, {{2, 3}}}};
  std::vector<const OpCase*> all = rows();
  all.resize(8);
  all.push_back(&wrong);
  std::size_t found = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const Program program = Program::random(seed, all);
    if (!fails(program)) continue;  // without it, or what it computes is cut off
    const Program smallest = shrink(program, fails);
    found += program.size() > 1;
    CAPTURE(seed);
    CHECK(smallest.size() == 1);
    CHECK(smallest.text().find("v3 = wrong_square") == 0);
  }
  CHECK(found > 3);
}
