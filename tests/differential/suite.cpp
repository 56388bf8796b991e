// The differential suite's program: compares, reports, and fails for a difference that is not a listed exception.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>

#include "tests/differential/differential.hpp"
#include "xgrad/tape/grad.hpp"

namespace xgrad::differential {
namespace {

constexpr double kRelative = 1e-10;
constexpr double kPromised = 0.99;
constexpr const char* kOrders[] = {"value", "first gradient", "second gradient"};

// What xgrad computes -------------------------------------------------------------------------------------

Array array_of(const Var& v) {
  switch (v.dtype()) {
    case DType::boolean:
      return xt::cast<double>(v.value<bool>());
    case DType::int64:
      return xt::cast<double>(v.value<std::int64_t>());
    default:
      return v.array<double>();
  }
}

Arrays arrays_of(std::span<const Var> x) {
  Arrays result;
  for (const Var& v : x) result.push_back(array_of(v));
  return result;
}

std::vector<Var> gradients(std::span<const Var> ys, std::span<const Var> x) {
  std::vector<Var> cotangents;
  for (const Var& y : ys) {
    const std::vector<double> w = weights(static_cast<std::size_t>(y.size()), cotangents.size());
    cotangents.push_back(y.tape().constant({DType::float64, y.shape()}, [&](View v) {
      std::copy(w.begin(), w.end(), v.as<double>());
    }));
  }
  return grad(ys, cotangents, x, true);
}

Derivatives derivatives(const cases::OpCase& row, const Arrays& operands, const std::vector<std::size_t>& constants) {
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
    result.orders.push_back(arrays_of(ys));
    while (result.orders.size() < 3 && is_floating(ys[0].dtype())) {
      ys = gradients(ys, active);
      result.orders.push_back(arrays_of(ys));
    }
  } catch (const Error& e) {
    result.missing = e.what();
  }
  return result;
}

// Comparing -----------------------------------------------------------------------------------------------

/// Equal to 1e-10 of the larger one; of the tensor's largest number, up to 1, where terms cancel.
bool agree(double a, double b, double scale) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return true;
  return std::isfinite(a) && std::isfinite(b) &&
         std::abs(a - b) <= kRelative * std::max({std::abs(a), std::abs(b), scale, 1e-3});
}

double scale_of(const Array& x) {
  double largest = 0;
  for (double v : x) {
    if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
  }
  return std::min(1.0, largest);
}

/// The first difference; empty when there is none.
std::string difference(const Arrays& ours, const Arrays& theirs) {
  for (std::size_t k = 0; k < ours.size(); ++k) {
    if (ours[k].shape() != theirs[k].shape())
      return detail::text("shape ", shape_of(ours[k]), ", libtorch's ", shape_of(theirs[k]));
    const double scale = scale_of(theirs[k]);
    for (std::size_t i = 0; i < ours[k].size(); ++i) {
      const double a = ours[k].data()[i], b = theirs[k].data()[i];
      if (!agree(a, b, scale)) return detail::text("of operand ", k, ", element ", i, ": ", a, ", libtorch's ", b);
    }
  }
  return {};
}

std::string element_difference(const Arrays& ours, const Arrays& theirs, std::size_t i) {
  for (std::size_t k = 0; k < ours.size(); ++k) {
    const double a = ours[k].data()[i], b = theirs[k].data()[i];
    if (!agree(a, b, 0)) return detail::text("of operand ", k, ": ", a, ", libtorch's ", b);
  }
  return {};
}

class Suite {
 public:
  void run();
  int report() const;

 private:
  using Case = std::tuple<std::string, std::string, int>;
  void compare(const cases::OpCase& row, const Peer& peer, const Input& input);
  void record(const std::string& row, const std::string& input, int order, const std::string& problem);

  std::map<Case, const Exception*> allowed_;
  std::map<const Exception*, std::set<Case>> occurred_;
  std::size_t rows_ = 0, cases_ = 0, agreements_ = 0;
  std::vector<std::string> failures_, not_comparable_;
};

void Suite::record(const std::string& row, const std::string& input, int order, const std::string& problem) {
  ++cases_;
  if (problem.empty()) {
    ++agreements_;
    return;
  }
  failures_.push_back(row + " | " + input + " | " + kOrders[order] + " | " + problem);
}

void Suite::compare(const cases::OpCase& row, const Peer& peer, const Input& input) {
  const Derivatives theirs = peer.derivatives(input.x), ours = derivatives(row, input.x, peer.constants);
  if (!theirs.missing.empty()) not_comparable_.push_back(row.name + " | " + input.name + " | " + kOrders[theirs.orders.size()] + " | " + theirs.missing);
  const std::size_t count = theirs.missing.empty() && ours.missing.empty() ? std::min(ours.orders.size(), theirs.orders.size()) : theirs.orders.size();
  for (std::size_t order = 0; order < count; ++order) {
    const int o = static_cast<int>(order);
    if (order >= ours.orders.size()) {
      record(row.name, input.name, o, ours.missing);
    } else if (!input.elementwise) {
      record(row.name, input.name, o, difference(ours.orders[order], theirs.orders[order]));
    } else {
      for (std::size_t i = 0; i < input.x[0].size(); ++i) {
        std::string name = detail::text("x = ", input.x[0](i));
        if (input.x.size() > 1) name += detail::text(", y = ", input.x[1](i));
        record(row.name, name, o, element_difference(ours.orders[order], theirs.orders[order], i));
      }
    }
  }
}

void Suite::run() {
  std::map<std::string, Peer> peers;
  for (auto* family : {elementwise_peers, tensor_peers, network_peers}) {
    for (Peer& p : family()) {
      const std::string row = p.row;
      if (!peers.emplace(row, std::move(p)).second) failures_.push_back(row + ": has two peers");
    }
  }
  std::set<std::string> alone, seen;
  for (const Alone& row : rows_alone()) alone.insert(row.row);
  for (const cases::OpCase& row : cases::op_cases()) {
    seen.insert(row.name);
    const auto peer = peers.find(row.name);
    if (peer == peers.end()) {
      if (!alone.count(row.name)) failures_.push_back(row.name + ": neither a peer nor a reason for none");
      continue;
    }
    ++rows_;
    for (std::size_t set = 0; set < row.sets.size(); ++set) {
      Input input{"", cases::make_inputs(row, set)};
      for (const Array& x : input.x) input.name += (input.name.empty() ? "" : " ") + shape_of(x).text();
      compare(row, peer->second, input);
    }
    for (const Input& input : further_inputs(row)) compare(row, peer->second, input);
  }
  for (const auto& [name, p] : peers) {
    if (!seen.count(name)) failures_.push_back(name + ": a peer without a row");
  }
}

int Suite::report() const {
  for (const std::string& f : failures_) std::printf("F %s\n", f.c_str());
  for (const std::string& f : not_comparable_) std::printf("N %s\n", f.c_str());
  std::printf("%zu rows, %zu cases, %zu agree (%.3f%%)\n", rows_, cases_, agreements_, 100.0 * double(agreements_) / double(cases_));
  return failures_.empty() ? 0 : 1;
}

}  // namespace
}  // namespace xgrad::differential

int main() {
  xgrad::differential::Suite suite;
  suite.run();
  return suite.report();
}
