// A roofline of two training steps on one thread, as CSV: what the machine can do, then what each op does and
// its share of the time. bench/plots draws docs/images/roofline.svg from it.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "training.hpp"

using namespace xgrad;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The least seconds of a call.
template <class Body>
double least(int calls, Body&& body) {
  double seconds = 1e9;
  for (int i = 0; i < calls; ++i) {
    const auto start = Clock::now();
    body();
    seconds = std::min(seconds, seconds_since(start));
  }
  return seconds;
}

/// Ops whose flops nobody counts are put down as elementwise: one for each value read and written.
constexpr double kElementwise = 1.0 / 8;

void line(const std::string& where, const std::string& what, double flops, double bytes, double seconds,
          double share) {
  std::printf("%s,%s,%.4g,%.4g,%.4g,%.4g\n", where.c_str(), what.c_str(), flops / bytes,
              1e-9 * flops / seconds, 1e-9 * bytes / seconds, share);
}

/// The rate of a large product.
void peak() {
  constexpr std::int64_t n = 2048;
  Generator random(1);
  Tape tape;
  const auto pause = tape.no_grad();
  const Var x = tape.constant(bench::random_parameter({n, n}, random).value<float>());
  const double values = n * n;
  line("machine", "peak", 2 * values * n, 12 * values, least(8, [&] { matmul(x, x); }), 0);
}

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
void triad(float* __restrict x, const float* __restrict y, const float* __restrict z, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) x[i] = y[i] + 0.5f * z[i];
}

/// The rate of a triad on three arrays that take up `bytes` together.
void bandwidth(const char* name, std::size_t bytes) {
  const std::size_t n = bytes / (3 * sizeof(float)), passes = std::max<std::size_t>(1, (1u << 27) / bytes);
  std::vector<float> x(n), y(n, 1), z(n, 1);
  const double seconds = least(10, [&] {
    for (std::size_t i = 0; i < passes; ++i) {
      triad(x.data(), y.data(), z.data(), n);
      asm volatile("" ::"r"(x.data()) : "memory");  // every pass counts
    }
  });
  line("machine", name, 2.0 * static_cast<double>(n * passes), 12.0 * static_cast<double>(n * passes),
       seconds, 0);
}

/// Half of a cache, which leaves room for everything else.
std::size_t half_of(int cache, std::size_t otherwise) {
  const long size = sysconf(cache);
  return (size > 0 ? static_cast<std::size_t>(size) : otherwise) / 2;
}

/// What an optimiser does for each parameter.
struct Update {
  const char* name;
  double flops, bytes;
};

template <class Optimizer>
void step(const std::string& name, std::vector<std::int64_t> widths, std::int64_t batch, int steps,
          const Update& update) {
  bench::Training<Optimizer> training(std::move(widths), batch);
  for (int i = 0; i < 3; ++i) training.step();
  Profile profile;
  double updating = 0;
  const auto start = Clock::now();
  for (int i = 0; i < steps; ++i) {
    {
      const auto on = training.tape.profile(&profile);
      training.differentiate();
    }
    const auto begin = Clock::now();
    training.optimizer.step();
    updating += seconds_since(begin);
  }
  const double total = seconds_since(start);
  double rest = total - updating, parameters = 0;
  for (const ProfileEntry& e : profile.entries()) {
    rest -= e.seconds;
    line(name, e.op + (e.phase == Phase::forward ? " forward" : " backward"),
         e.flops > 0 ? e.flops : kElementwise * e.bytes, e.bytes, e.seconds, e.seconds / total);
  }
  for (const Parameter& p : training.optimizer.parameters()) parameters += static_cast<double>(p.size());
  line(name, update.name, steps * update.flops * parameters, steps * update.bytes * parameters, updating,
       updating / total);
  std::printf("%s,between ops,,,,%.4g\n", name.c_str(), rest / total);
}

}  // namespace

int main() {
  set_num_threads(1);
  std::fprintf(stderr, "%s; kernels: %s\n", blas_summary().c_str(), kernel_isa());
  std::puts("where,what,flop per byte,GFLOP/s,GB/s,share of time");
  peak();
  bandwidth("L1", half_of(_SC_LEVEL1_DCACHE_SIZE, 32 << 10));
  bandwidth("L2", half_of(_SC_LEVEL2_CACHE_SIZE, 512 << 10));
  bandwidth("memory", std::size_t{192} << 20);
  step<optim::SGD>("784-128-10 batch 50 SGD", {784, 128, 10}, 50, 2000, {"SGD", 2, 12});
  step<optim::Adam>("784-1024-1024-10 batch 256 Adam", {784, 1024, 1024, 10}, 256, 30, {"Adam", 14, 28});
}
