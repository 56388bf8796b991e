// What each row of the case table costs, on its largest set of operands in float32 and one thread: the call,
// and the call with its backward pass. A filter picks rows: bench_ops --benchmark_filter='^matmul'
#include <benchmark/benchmark.h>

#include <algorithm>
#include <list>

#include "tests/cases/op_cases.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/tape/grad.hpp"
#include "xgrad/tensor/blas.hpp"

using namespace xgrad;

namespace {

/// A row with the operands of its largest set.
struct Subject {
  cases::OpCase row;
  std::vector<xt::xarray<float>> operands;
  std::int64_t elements = 0;

  explicit Subject(const cases::OpCase& from) : row(from) {
    std::size_t largest = 0;
    const auto size = [&](std::size_t set) {
      std::int64_t total = 0;
      for (const Shape& shape : row.sets[set]) total += shape.size();
      return total;
    };
    for (std::size_t set = 1; set < row.sets.size(); ++set) {
      if (size(set) > size(largest)) largest = set;
    }
    elements = size(largest);
    for (const naive::Array& x : cases::make_inputs(row, largest)) operands.push_back(xt::cast<float>(x));
  }
};

void forward(benchmark::State& state, const Subject& subject) {
  Tape tape;
  const Tape::Pause pause = tape.no_grad();
  std::vector<Var> x;
  for (const auto& operand : subject.operands) x.push_back(tape.constant(operand));
  for (auto _ : state) {
    const Var y = subject.row.f(x);
    benchmark::DoNotOptimize(y.view().data);
  }
  state.SetItemsProcessed(state.iterations() * subject.elements);
}

/// The gradient of the result's sum with respect to all operands, which are parameters.
void forward_and_backward(benchmark::State& state, const Subject& subject) {
  std::vector<Parameter> parameters;
  for (const auto& operand : subject.operands) parameters.emplace_back(operand);
  Tape tape;
  std::vector<Var> x(parameters.size());
  for (auto _ : state) {
    std::transform(parameters.begin(), parameters.end(), x.begin(),
                   [&](const Parameter& p) { return tape.leaf(p); });
    backward(sum(subject.row.f(x)));
  }
  state.SetItemsProcessed(state.iterations() * subject.elements);
}

}  // namespace

int main(int argc, char** argv) {
  std::list<Subject> subjects;
  for (const cases::OpCase& row : cases::op_cases()) {
    const Subject& subject = subjects.emplace_back(row);
    benchmark::RegisterBenchmark((row.name + "/forward").c_str(),
                                 [&](benchmark::State& state) { forward(state, subject); });
    if (row.order == 0) continue;
    benchmark::RegisterBenchmark((row.name + "/both").c_str(),
                                 [&](benchmark::State& state) { forward_and_backward(state, subject); });
  }
  benchmark::AddCustomContext("kernels", kernel_isa());
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
