// Parallel loops on the library's threads. Where a loop is cut depends on its sizes alone, never on the
// number of threads, so results have the same bits for any number.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

namespace xgrad {

namespace detail {
void run_parallel(std::int64_t count, void (*body)(void* context, std::int64_t i), void* context);
}

/// Calls body(0) to body(count - 1), each once, on up to num_threads() threads, and returns when all are
/// done. With one thread, with a count of 1, and inside another parallel_for the caller makes all calls
/// itself. `body` must not throw.
template <class Body>
void parallel_for(std::int64_t count, Body&& body) {
  if (count == 1) {
    body(std::int64_t{0});
    return;
  }
  detail::run_parallel(
      count, [](void* b, std::int64_t i) { (*static_cast<std::remove_reference_t<Body>*>(b))(i); }, &body);
}

/// How many numbers a chunk of work has: about ten microseconds of the simplest map, so that waking a thread
/// pays. A multiple of every vector's length and of dropout's groups.
inline constexpr std::int64_t kGrain = 64 * 1024;

/// Calls body(begin, count) for chunks of n items of `each` numbers, as parallel_for does. Less than two
/// grains of work are one chunk.
template <class Body>
void parallel_chunks(std::int64_t n, std::int64_t each, Body&& body) {
  if (n < 2 || n * each < 2 * kGrain) {
    body(std::int64_t{0}, n);
    return;
  }
  const std::int64_t most = std::max<std::int64_t>(1, kGrain / each);
  parallel_for((n + most - 1) / most, [&](std::int64_t i) { body(i * most, std::min(most, n - i * most)); });
}
template <class Body>
void parallel_chunks(std::int64_t n, Body&& body) {
  parallel_chunks(n, 1, body);
}

}  // namespace xgrad
