#include "lib/support/parallel.hpp"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "xgrad/support/error.hpp"
#include "xgrad/support/text.hpp"
#include "xgrad/support/threads.hpp"

namespace xgrad {
namespace {

/// Threads that sleep until there is work, and share its pieces with the caller.
class Workers {
 public:
  explicit Workers(int count) {
    for (int i = 0; i < count; ++i) {
      threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
    }
  }
  ~Workers() {
    for (auto& t : threads_) t.request_stop();
    wake_.notify_all();
  }

  /// False when another thread's work is under way; nothing is done then.
  bool run(std::int64_t count, void (*body)(void*, std::int64_t), void* context) {
    const std::unique_lock one_at_a_time(users_, std::try_to_lock);
    if (!one_at_a_time) return false;
    {
      const std::lock_guard lock(mutex_);
      job_ = {count, body, context};
      next_ = 0;
      ++round_;
      busy_ = static_cast<int>(threads_.size());
    }
    wake_.notify_all();
    take_pieces(job_);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return busy_ == 0; });
    return true;
  }

 private:
  struct Job {
    std::int64_t count;
    void (*body)(void*, std::int64_t);
    void* context;
  };

  void take_pieces(const Job& job) {
    for (std::int64_t i = next_++; i < job.count; i = next_++) job.body(job.context, i);
  }

  void work(const std::stop_token& stop);

  std::mutex users_, mutex_;
  std::condition_variable_any wake_;
  std::condition_variable done_;
  Job job_{};
  std::atomic<std::int64_t> next_ = 0;
  std::uint64_t round_ = 0;
  int busy_ = 0;
  std::vector<std::jthread> threads_;  // last: joined before what they use is gone
};

thread_local bool is_worker = false;

void Workers::work(const std::stop_token& stop) {
  is_worker = true;
  for (std::uint64_t seen = 0;;) {
    std::unique_lock lock(mutex_);
    if (!wake_.wait(lock, stop, [&] { return round_ != seen; })) return;
    seen = round_;
    const Job job = job_;
    lock.unlock();
    take_pieces(job);
    lock.lock();
    if (--busy_ == 0) done_.notify_one();
  }
}

std::unique_ptr<Workers> workers;
int thread_count = 1;

}  // namespace

void detail::run_parallel(std::int64_t count, void (*body)(void*, std::int64_t), void* context) {
  if (workers && count > 1 && !is_worker) {
    is_worker = true;  // what the pieces call stays on its thread
    const bool shared = workers->run(count, body, context);
    is_worker = false;
    if (shared) return;
  }
  for (std::int64_t i = 0; i < count; ++i) body(context, i);
}

void set_num_threads(int n) {
  if (n < 1) throw Error(detail::text("set_num_threads: ", n, " is less than 1"));
  workers.reset();
  if (n > 1) workers = std::make_unique<Workers>(n - 1);
  thread_count = n;
}

int num_threads() { return thread_count; }

}  // namespace xgrad
