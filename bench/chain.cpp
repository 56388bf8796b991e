// What an op costs: chains of y = y * a + b, forward and backward, of several lengths and sizes.
#include <chrono>
#include <cstdio>
#include <vector>

#include "xgrad/xgrad.hpp"

using namespace xgrad;

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Seconds to record, differentiate and destroy `ops` ops on tensors of n floats, on a new tape.
double run(std::int64_t n, std::int64_t ops) {
  const xt::xarray<float> half(std::vector<std::size_t>{static_cast<std::size_t>(n)}, 0.5f);
  Parameter start({DType::float32, Shape{n}});
  const double begin = now();
  {
    Tape tape;
    const Var a = tape.constant(half);
    Var y = tape.leaf(start);
    for (std::int64_t i = 0; i < ops / 2; ++i) y = y * a + a;
    backward(sum(y));
  }
  return now() - begin;
}

}  // namespace

int main() {
  std::printf("%s\n%10s %10s %12s %10s\n", kernel_isa(), "floats", "ops", "seconds", "ns per op");
  const std::vector<std::pair<std::int64_t, std::int64_t>> sizes{{1, 62500},   {1, 125000},  {1, 250000},
                                                                 {1, 500000},  {1, 1000000}, {1, 2000000},
                                                                 {64, 100000}, {4096, 4000}, {1 << 20, 100}};
  for (const auto& [n, ops] : sizes) {
    double best = run(n, ops);
    for (int i = 0; i < 4; ++i) best = std::min(best, run(n, ops));
    std::printf("%10lld %10lld %12.6f %10.1f\n", static_cast<long long>(n), static_cast<long long>(ops), best,
                best / static_cast<double>(ops) * 1e9);
  }
}
