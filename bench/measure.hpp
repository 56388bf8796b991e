// What the benchmark programs have in common: how a workload is registered, timed and reported.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "training.hpp"

namespace bench {

/// Runs the body until its tape has all the memory it needs, then as often as Google Benchmark says. The
/// counter `seconds` is for one of the pieces that the body does.
template <class Body>
void measure(benchmark::State& state, double pieces, Body&& body) {
  using benchmark::Counter;
  for (int i = 0; i < 2; ++i) body();
  for (auto _ : state) body();
  state.counters["seconds"] = Counter(pieces, Counter::kIsIterationInvariantRate | Counter::kInvert);
}

/// Repetitions are also summed up by their least: what else the machine does only ever adds to a time.
template <class Function>
void workload(const std::string& name, Function function) {
  benchmark::RegisterBenchmark(name.c_str(), function)
      ->UseRealTime()
      ->ComputeStatistics("least", [](const std::vector<double>& x) { return *std::ranges::min_element(x); });
}

/// Steps of training, with the products' GFLOP/s.
template <class Optimizer>
void train(benchmark::State& state, std::vector<std::int64_t> widths, std::int64_t batch) {
  Training<Optimizer> training(std::move(widths), batch);
  measure(state, 1, [&] { training.step(); });
  state.counters["GFLOP/s"] =
      benchmark::Counter(1e-9 * training.flops(), benchmark::Counter::kIsIterationInvariantRate);
}

/// What main does when all workloads are registered.
inline int run(int argc, char** argv) {
  benchmark::AddCustomContext("kernels", xgrad::kernel_isa());
  benchmark::AddCustomContext("BLAS", xgrad::blas_summary());
  benchmark::AddCustomContext("threads", std::to_string(xgrad::num_threads()));
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

}  // namespace bench
