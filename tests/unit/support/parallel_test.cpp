// parallel_for, parallel_chunks, set_num_threads, and what a forked child has of them.
#include "lib/support/parallel.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "xgrad/support/error.hpp"
#include "xgrad/support/threads.hpp"

using namespace xgrad;

namespace {

/// Sets the number of threads, and 1 again at the end.
struct Threads {
  explicit Threads(int n) { set_num_threads(n); }
  ~Threads() { set_num_threads(1); }
};

/// Whether parallel_for calls each index below `count` once, n times over.
bool each_once(std::int64_t count, int rounds = 1) {
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::atomic<int>> calls(static_cast<std::size_t>(count));
    std::atomic<bool> outside = false;
    parallel_for(count, [&](std::int64_t i) {
      if (i < 0 || i >= count) {
        outside = true;
      } else {
        ++calls[static_cast<std::size_t>(i)];
      }
    });
    if (outside) return false;
    for (const auto& c : calls) {
      if (c != 1) return false;
    }
  }
  return true;
}

}  // namespace

TEST_CASE("parallel_for: each index once (threads)") {
  for (int threads : {1, 2, 3, 8}) {
    CAPTURE(threads);
    const Threads set(threads);
    CHECK(num_threads() == threads);
    for (std::int64_t count : {0, 1, 2, 3, 7, 100, 1000}) CHECK(each_once(count, 20));
  }
}

TEST_CASE("parallel_for: what the calls wrote is there when it returns (threads)") {
  const Threads set(4);
  for (int round = 0; round < 500; ++round) {
    std::vector<std::int64_t> out(50, -1);  // not atomic
    parallel_for(50, [&](std::int64_t i) { out[static_cast<std::size_t>(i)] = i + round; });
    for (std::int64_t i = 0; i < 50; ++i) REQUIRE(out[static_cast<std::size_t>(i)] == i + round);
  }
}

TEST_CASE("parallel_for: inside another one (threads)") {
  const Threads set(3);
  std::vector<std::atomic<int>> calls(20 * 30 * 2);
  parallel_for(20, [&](std::int64_t i) {
    parallel_for(30, [&](std::int64_t j) {
      parallel_for(2, [&](std::int64_t k) { ++calls[static_cast<std::size_t>((i * 30 + j) * 2 + k)]; });
    });
  });
  for (const auto& c : calls) REQUIRE(c == 1);
  CHECK(each_once(100));
}

TEST_CASE("parallel_for: from several threads at once (threads)") {
  const Threads set(2);
  std::vector<int> ok(4);
  {
    std::vector<std::jthread> users;
    for (int& result : ok) users.emplace_back([&result] { result = each_once(64, 200); });
  }
  CHECK(ok == std::vector<int>(4, 1));
}

TEST_CASE("set_num_threads: again and again, up and down, and what it refuses (threads)") {
  for (int round = 0; round < 20; ++round) {
    const Threads set(1 + round % 4);
    CHECK(each_once(33));
  }
  CHECK(num_threads() == 1);
  CHECK_THROWS_WITH_AS(set_num_threads(0), "set_num_threads: 0 is less than 1", Error);
  CHECK_THROWS_WITH_AS(set_num_threads(-7), "set_num_threads: -7 is less than 1", Error);
  CHECK(num_threads() == 1);
  const Threads set(2);
  CHECK_THROWS_AS(set_num_threads(0), Error);
  CHECK(num_threads() == 2);
  CHECK(each_once(10));
}

TEST_CASE("parallel_chunks: cut at the same places for every number of threads (threads)") {
  for (std::int64_t n : {std::int64_t{0}, std::int64_t{1}, 2 * kGrain - 1, 2 * kGrain, 5 * kGrain + 7}) {
    for (std::int64_t each : {std::int64_t{1}, std::int64_t{100}, 3 * kGrain}) {
      if (each > 1 && n > 1) n = std::min<std::int64_t>(n, 1000);
      CAPTURE(n);
      CAPTURE(each);
      std::vector<std::pair<std::int64_t, std::int64_t>> one;
      for (int threads : {1, 2, 4}) {
        const Threads set(threads);
        std::mutex mutex;
        std::vector<std::pair<std::int64_t, std::int64_t>> chunks;
        parallel_chunks(n, each, [&](std::int64_t begin, std::int64_t count) {
          const std::lock_guard lock(mutex);
          chunks.emplace_back(begin, count);
        });
        std::sort(chunks.begin(), chunks.end());
        std::int64_t end = 0;
        for (const auto& [begin, count] : chunks) {
          CHECK(begin == end);
          end += count;
        }
        CHECK(end == n);
        CHECK((chunks.size() == 1) == (n < 2 || n * each < 2 * kGrain));
        if (threads == 1) one = chunks;
        CHECK(chunks == one);
      }
    }
  }
}

// Thread sanitizer does not support threads in the child of a process that has some.
#ifndef __SANITIZE_THREAD__
TEST_CASE("fork: a child has threads of its own") {
  const Threads set(3);
  REQUIRE(each_once(100));
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    bool ok = num_threads() == 3 && each_once(100, 20);
    set_num_threads(2);
    ok = ok && each_once(100, 20);
    _exit(ok ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(each_once(100, 20));
}
#endif

// tests/CMakeLists.txt runs this one by itself under several environments: the variable is read once.
TEST_CASE("threads: XGRAD_NUM_THREADS is the number at the start") {
  const char* given = std::getenv("XGRAD_NUM_THREADS");
  const std::string text = given ? given : "1";
  if (text == "two" || text == "0" || text == "4x" || text.empty()) {
    const std::string message = "XGRAD_NUM_THREADS: expected a whole number from 1 up, found '" + text + "'";
    CHECK_THROWS_WITH_AS(num_threads(), message.c_str(), Error);
    CHECK_THROWS_AS(each_once(10), Error);
    CHECK(each_once(1));
  } else if (text == "3") {
    CHECK(num_threads() == 3);
    CHECK(each_once(100, 20));
  }
}
