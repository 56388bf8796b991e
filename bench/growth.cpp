// How the cost of a training step grows with depth, width, batch and threads: SGD on dense layers of one
// width, with ReLU between them. bench/plots draws docs/images/growth.svg from it.
#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "measure.hpp"

using namespace xgrad;

namespace {

struct Size {
  std::size_t layers = 4;
  std::int64_t width = 128, batch = 64;
  int threads = 1;
};

void point(const std::string& axis, std::int64_t value, const Size& size) {
  bench::workload(axis + '/' + std::to_string(value), [=](benchmark::State& state) {
    set_num_threads(size.threads);
    bench::train<optim::SGD>(state, std::vector(size.layers + 1, size.width), size.batch);
  });
}

}  // namespace

int main(int argc, char** argv) {
  for (int n = 1; n <= 32; n *= 2) point("depth", n, {.layers = static_cast<std::size_t>(n)});
  for (int n = 32; n <= 2048; n *= 2) point("width", n, {.width = n});
  for (int n = 1; n <= 1024; n *= 2) point("batch", n, {.batch = n});
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  for (int n = 1; n < cores; n *= 2) point("threads", n, {.width = 1024, .batch = 256, .threads = n});
  point("threads", cores, {.width = 1024, .batch = 256, .threads = cores});
  return bench::run(argc, argv);
}
