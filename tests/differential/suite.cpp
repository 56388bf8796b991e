// The program of the differential suite: compares, reports, and fails for a difference that is not a listed
// exception, for an exception that is none, and when fewer than 99% of the cases agree.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>
#include <span>

#include "tests/differential/differential.hpp"
#include "xgrad/tape/grad.hpp"

namespace xgrad::differential {
namespace {

constexpr double kRelative = 1e-10, kPromised = 0.99;
constexpr double kCancelled = 1e-3;  // where terms cancel, their size counts: it is taken to be this or more
constexpr const char* kOrders[] = {"value", "first gradient", "second gradient"};

// What xgrad computes ------------------------------------------------------------------------------------

std::vector<Var> gradients(std::span<const Var> ys, std::span<const Var> x) {
  std::vector<Var> cotangents;
  for (const Var& y : ys) {
    const std::vector<double> w = weights(static_cast<std::size_t>(y.size()), cotangents.size());
    cotangents.push_back(y.tape().constant({DType::float64, y.shape()},
                                           [&](View v) { std::copy(w.begin(), w.end(), v.as<double>()); }));
  }
  return grad(ys, cotangents, x, true);
}

Derivatives derivatives(const cases::OpCase& row, const Arrays& operands,
                        const std::vector<std::size_t>& constants) {
  Derivatives result;
  try {
    Tape tape;
    std::vector<Var> x, active;
    for (const Array& operand : operands) {
      const bool constant = std::count(constants.begin(), constants.end(), x.size()) > 0;
      x.push_back(constant ? tape.constant(operand) : tape.input(operand));
      if (!constant) active.push_back(x.back());
    }
    std::vector<Var> ys{row.f(x)};
    result.orders.push_back(cases::values_of(ys));
    while (result.orders.size() < std::size(kOrders) && is_floating(ys[0].dtype())) {
      ys = gradients(ys, active);
      result.orders.push_back(cases::values_of(ys));
    }
  } catch (const Error& e) {
    result.missing = e.what();
  }
  return result;
}

// Comparing ----------------------------------------------------------------------------------------------

/// Equal to 1e-10 of the larger one, or of `scale`.
bool agree(double a, double b, double scale) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return true;
  return std::isfinite(a) && std::isfinite(b) &&
         std::abs(a - b) <= kRelative * std::max({std::abs(a), std::abs(b), scale});
}

/// The size of the largest finite number, 1 at most.
double scale_of(const Array& x) {
  double largest = kCancelled;
  for (double v : x) {
    if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
  }
  return std::min(1.0, largest);
}

/// The first difference in place `place` of `places` along axis 0; empty when there is none.
std::string difference(const Arrays& ours, const Arrays& theirs, std::size_t place, std::size_t places) {
  for (std::size_t k = 0; k < ours.size(); ++k) {
    if (ours[k].shape() != theirs[k].shape())
      return detail::text("shape ", shape_of(ours[k]), ", libtorch's ", shape_of(theirs[k]));
    const double scale = places == 1 ? scale_of(theirs[k]) : kCancelled;
    const std::size_t n = ours[k].size() / places;
    for (std::size_t i = place * n; i < (place + 1) * n; ++i) {
      const double a = ours[k].data()[i], b = theirs[k].data()[i];
      if (!agree(a, b, scale)) {
        return detail::text("tensor ", k, ", element ", i, " is ", a, ", libtorch's ", b, ", difference ",
                            a - b);
      }
    }
  }
  return {};
}

/// The operands' values in one place along axis 0.
std::string values_at(const Arrays& x, std::size_t place, std::size_t places) {
  std::string result;
  for (const Array& a : x) {
    const std::size_t n = a.size() / places;
    for (std::size_t i = place * n; i < (place + 1) * n; ++i) {
      result += detail::text(result.empty() ? "" : ", ", a.data()[i]);
    }
  }
  return result;
}

/// Whether the pattern, where `*` stands for anything, is the text.
bool matches(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] != '*')
    return !text.empty() && pattern[0] == text[0] && matches(pattern.substr(1), text.substr(1));
  return matches(pattern.substr(1), text) || (!text.empty() && matches(pattern, text.substr(1)));
}

class Suite {
 public:
  void run();
  /// Prints what there is to know; whether all is well.
  bool report() const;

 private:
  void compare(const cases::OpCase& row, const Peer& peer, const Input& input);
  void record(const std::string& row, const std::string& input, std::size_t order,
              const std::string& problem);
  std::string exception_for(const std::string& row, const std::string& input, std::size_t order);
  void fail(const std::string& row, const std::string& problem) { failures_.push_back(row + ": " + problem); }

  std::set<std::string> ops_;
  std::size_t rows_ = 0, cases_ = 0, agreements_ = 0;
  std::set<std::pair<const Exception*, std::string>> used_;  // with which of its patterns
  std::map<std::string, std::size_t> excepted_, not_comparable_;
  std::vector<std::string> failures_;
};

/// The reason of the exception that names a case, if one does.
std::string Suite::exception_for(const std::string& row, const std::string& input, std::size_t order) {
  for (const Exception& e : exceptions()) {
    if (e.row != row || std::count(e.orders.begin(), e.orders.end(), order) == 0) continue;
    for (const std::string& pattern : e.inputs) {
      if (!matches(pattern, input)) continue;
      used_.emplace(&e, pattern);
      return e.reason;
    }
  }
  return {};
}

void Suite::record(const std::string& row, const std::string& input, std::size_t order,
                   const std::string& problem) {
  ++cases_;
  const std::string reason = exception_for(row, input, order);
  const std::string name = row + ", " + kOrders[order];
  if (problem.empty()) {
    ++agreements_;
    if (!reason.empty()) fail(name + " for " + input, "is listed as an exception, but agrees");
  } else if (reason.empty()) {
    fail(name + " for " + input, problem);
  } else {
    ++excepted_[name + ": " + reason];
  }
}

void Suite::compare(const cases::OpCase& row, const Peer& peer, const Input& input) {
  const Derivatives theirs = peer.derivatives(input.x), ours = derivatives(row, input.x, peer.constants);
  if (!theirs.missing.empty())
    ++not_comparable_[row.name + ", " + kOrders[theirs.orders.size()] + ": " + theirs.missing];
  if (!ours.missing.empty() && ours.orders.size() < theirs.orders.size())
    fail(row.name + " for " + input.name, ours.missing);
  for (std::size_t order = 0; order < std::min(ours.orders.size(), theirs.orders.size()); ++order) {
    const std::size_t places = input.separate ? input.x[0].shape(0) : 1;
    for (std::size_t place = 0; place < places; ++place) {
      record(row.name, input.separate ? values_at(input.x, place, places) : input.name, order,
             difference(ours.orders[order], theirs.orders[order], place, places));
    }
  }
}

void Suite::run() {
  std::map<std::string, Peer> peers;
  for (auto* family : {elementwise_peers, tensor_peers, network_peers}) {
    for (Peer& p : family()) {
      const std::string row = p.row;
      if (!peers.emplace(row, std::move(p)).second) fail(row, "has two counterparts");
    }
  }
  std::set<std::string> alone, seen;
  for (const Alone& row : rows_alone()) alone.insert(row.row);
  for (const cases::OpCase& row : cases::op_cases()) {
    seen.insert(row.name);
    const auto peer = peers.find(row.name);
    if (peer == peers.end() && row.gradient) continue;  // a convention of xgrad's at a kink, tested as such
    if ((peer == peers.end()) != (alone.count(row.name) == 1))
      fail(row.name, "needs either a counterpart or a reason to have none");
    if (peer == peers.end()) continue;
    ++rows_;
    ops_.insert(row.name.substr(0, row.name.find(' ')));
    for (std::size_t set = 0; set < row.sets.size(); ++set) {
      Input input{"", cases::make_inputs(row, set)};
      for (const Array& x : input.x) input.name += (input.name.empty() ? "" : " ") + shape_of(x).text();
      compare(row, peer->second, input);
    }
    for (const Input& input : further_inputs(row)) compare(row, peer->second, input);
  }
  for (const auto& [name, p] : peers) {
    if (seen.count(name) == 0) fail(name, "is not in the case table");
  }
  for (const Exception& e : exceptions()) {
    for (const std::string& pattern : e.inputs) {
      if (used_.count({&e, pattern}) == 0) fail(e.row, "the exception for " + pattern + " names no case");
    }
  }
  if (static_cast<double>(agreements_) < kPromised * static_cast<double>(cases_))
    fail("agreement", detail::text("below ", 100 * kPromised, "%"));
}

bool Suite::report() const {
  const auto list = [](const char* title, const std::map<std::string, std::size_t>& counts) {
    std::printf("\n%s\n", title);
    for (const auto& [what, count] : counts) std::printf("  %5zu  %s\n", count, what.c_str());
  };
  list("Exceptions:", excepted_);
  list("Not comparable, for libtorch throws:", not_comparable_);
  std::printf("\nRows that libtorch has nothing for:\n");
  for (const Alone& row : rows_alone()) std::printf("  %s: %s\n", row.row.c_str(), row.reason.c_str());
  for (const std::string& failure : failures_) std::printf("\nFAILED %s", failure.c_str());
  std::printf("\n%zu ops (%zu rows) beside libtorch %s: %zu cases, %zu agree (%.2f%%), %zu failures\n",
              ops_.size(), rows_, libtorch_version().c_str(), cases_, agreements_,
              100 * static_cast<double>(agreements_) / static_cast<double>(cases_), failures_.size());
  return failures_.empty();
}

}  // namespace
}  // namespace xgrad::differential

int main() {
  xgrad::differential::Suite suite;
  suite.run();
  return suite.report() ? 0 : 1;
}
