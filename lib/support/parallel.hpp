// parallel_for: the pieces of one piece of work, on the library's threads.
#pragma once

#include <cstdint>
#include <type_traits>

namespace xgrad {

namespace detail {
void run_parallel(std::int64_t count, void (*body)(void* context, std::int64_t i), void* context);
}

/// Calls body(0) to body(count - 1), each once, on up to num_threads() threads, and returns when all are
/// done. With one thread, or one piece, or from inside another parallel_for, the caller does everything
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

}  // namespace xgrad
