// The library's threads.
#include "lib/support/parallel.hpp"

#include <pthread.h>

#include <atomic>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "xgrad/support/error.hpp"
#include "xgrad/support/text.hpp"
#include "xgrad/support/threads.hpp"

namespace xgrad {
namespace {

/// Whether this thread is inside parallel_for: an inner one then runs on this thread alone.
thread_local bool in_parallel = false;

/// Threads that sleep until there is work and share it with the caller. They start with the first work.
class Workers {
 public:
  explicit Workers(int threads) : wanted_(threads) {}
  ~Workers() {
    for (auto& t : threads_) t.request_stop();
    wake_.notify_all();
  }
  int wanted() const { return wanted_; }

  /// Runs body(context, 0) to body(context, count - 1). Does nothing and returns false when the caller is the
  /// only thread, or when another caller has the threads.
  bool run(std::int64_t count, void (*body)(void*, std::int64_t), void* context) {
    if (wanted_ == 1) return false;
    const std::unique_lock one_at_a_time(users_, std::try_to_lock);
    if (!one_at_a_time) return false;
    if (threads_.empty()) start();
    {
      const std::lock_guard lock(mutex_);
      job_ = {count, body, context};
      next_ = 0;
      ++round_;
      open_ = true;
    }
    wake_.notify_all();
    in_parallel = true;
    take_part(job_);
    in_parallel = false;
    // A thread that wakes only now finds nothing to do: the caller does not wait for it.
    std::unique_lock lock(mutex_);
    open_ = false;
    done_.wait(lock, [&] { return busy_ == 0; });
    return true;
  }

 private:
  struct Job {
    std::int64_t count;
    void (*body)(void*, std::int64_t);
    void* context;
  };

  /// Starts fewer threads when the system refuses one: results do not depend on their number.
  void start() {
    threads_.reserve(static_cast<std::size_t>(wanted_ - 1));
    try {
      while (static_cast<int>(threads_.size()) < wanted_ - 1) {
        threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
      }
    } catch (const std::system_error&) {
    }
  }

  /// Takes one index after the other until there are no more.
  void take_part(const Job& job) {
    for (std::int64_t i = next_++; i < job.count; i = next_++) job.body(job.context, i);
  }

  void work(const std::stop_token& stop) {
    in_parallel = true;
    std::unique_lock lock(mutex_);
    for (std::uint64_t seen = 0;;) {
      if (!wake_.wait(lock, stop, [&] { return open_ && round_ != seen; })) return;
      seen = round_;
      ++busy_;
      const Job job = job_;
      lock.unlock();
      take_part(job);
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  const int wanted_;
  std::mutex users_, mutex_;
  std::condition_variable_any wake_;
  std::condition_variable done_;
  Job job_{};
  std::atomic<std::int64_t> next_ = 0;
  std::uint64_t round_ = 0;
  bool open_ = false;
  int busy_ = 0;
  std::vector<std::jthread> threads_;  // last: joined before what they use is gone
};

int threads_from_environment() {
  const char* given = std::getenv("XGRAD_NUM_THREADS");
  if (!given) return 1;
  const std::string_view text = given;
  int n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size() || n < 1) {
    throw Error(detail::text("XGRAD_NUM_THREADS: expected a whole number from 1 up, found '", text, "'"));
  }
  return n;
}

std::unique_ptr<Workers>& workers();

/// A forked child has one thread, and the parent's locks in an unknown state. It gets workers of its own,
/// which start with its first work. It never destroys the parent's: their threads do not exist there.
void renew_in_child() {
  [[maybe_unused]] static Workers* parents;
  parents = workers().release();
  workers() = std::make_unique<Workers>(parents->wanted());
}

std::unique_ptr<Workers>& workers() {
  static std::unique_ptr<Workers> all = [] {
    auto first = std::make_unique<Workers>(threads_from_environment());
    pthread_atfork(nullptr, nullptr, renew_in_child);
    return first;
  }();
  return all;
}

}  // namespace

void detail::run_parallel(std::int64_t count, void (*body)(void*, std::int64_t), void* context) {
  if (count > 1 && !in_parallel && workers()->run(count, body, context)) return;
  for (std::int64_t i = 0; i < count; ++i) body(context, i);
}

void set_num_threads(int n) {
  if (n < 1) throw Error(detail::text("set_num_threads: ", n, " is less than 1"));
  workers() = std::make_unique<Workers>(n);
}

int num_threads() { return workers()->wanted(); }

}  // namespace xgrad
