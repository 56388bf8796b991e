// The case table itself: its errors, and whether it is complete.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "tests/cases/checks.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/ops/registry.hpp"
#include "xgrad/tape/grad.hpp"

using namespace xgrad;
using namespace xgrad::cases;

TEST_SUITE_BEGIN("ops");

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
      x.push_back(tape.input(weights_for(values_of(results.back()))));
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
  for (const auto& header : std::filesystem::directory_iterator(XGRAD_TEST_SOURCE_DIR "/include/xgrad/ops")) {
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
