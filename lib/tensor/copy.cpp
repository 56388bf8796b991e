// Copies of tensors, cut into chunks for the threads.
#include "lib/tensor/copy.hpp"

#include "lib/support/parallel.hpp"
#include "lib/tensor/strided.hpp"
#include "xgrad/tensor/dispatch.hpp"

namespace xgrad::detail {

void copy(const ConstView& x, const View& y, Write write) {
  dispatch_all(y.dtype, [&]<class T>() {
    parallel_chunks(y.size(), [&](std::int64_t begin, std::int64_t n) {
      put_run(x.as<T>() + begin, 1, y.as<T>() + begin, n, write);
    });
  });
}

void copy_strided(const ConstView& x, std::int64_t offset, const std::array<std::int64_t, kMaxRank>& strides,
                  const View& y, Write write) {
  dispatch_all(x.dtype, [&]<class T>() {
    const T* in = x.as<T>() + offset;
    const LoopNest<1> nest(y.shape(), {strides});
    parallel_chunks(y.size(), [&](std::int64_t begin, std::int64_t count) {
      T* out = y.as<T>() + begin;
      nest.for_each_run(begin, count, [&](const auto& at, std::int64_t n, const auto& step) {
        put_run(in + at[0], step[0], out, n, write);
        out += n;
      });
    });
  });
}

}  // namespace xgrad::detail
