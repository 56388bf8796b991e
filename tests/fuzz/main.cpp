// The program: random sequences of calls of the public API, against a shadow that computes the same without
// the library.
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/fuzz/runner.hpp"
#include "tests/replaced_new.hpp"

// An allocator that can be told to fail -------------------------------------------------------------------

namespace {
thread_local int allocations_left = -1;
}  // namespace

void xgrad::test::before_allocation() {
  if (allocations_left >= 0 && allocations_left-- == 0) throw std::bad_alloc();
}
void xgrad::test::note_block(void*, int) noexcept {}
// What is asked for without throwing never fails: the standard library's sorting does.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return std::malloc(size ? size : 1); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return std::malloc(size ? size : 1);
}
void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { std::free(p); }

int fuzz::arm_allocator(int after) noexcept { return std::exchange(allocations_left, after); }

// The program ---------------------------------------------------------------------------------------------

namespace {

using namespace fuzz;

struct Options {
  std::uint64_t sequences = 20000, seed = 0;
  int threads = 1;
  bool verbose = false, only = false;
};

[[noreturn]] void usage(const char* program) {
  std::cerr << "usage: " << program
            << " [--sequences N] [--seed S] [--threads T] [--verbose] [--only SEED]\n";
  std::exit(2);
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    const auto number = [&]() -> std::uint64_t {
      char* end = nullptr;
      if (++i == argc) usage(argv[0]);
      const std::uint64_t n = std::strtoull(argv[i], &end, 10);
      if (*end || end == argv[i]) usage(argv[0]);
      return n;
    };
    if (name == "--sequences") {
      options.sequences = number();
    } else if (name == "--seed") {
      options.seed = number();
    } else if (name == "--threads") {
      options.threads = static_cast<int>(number());
    } else if (name == "--only") {
      options.seed = number();
      options.only = true;
      options.sequences = 1;
    } else if (name == "--verbose") {
      options.verbose = true;
    } else {
      usage(argv[0]);
    }
  }
  if (options.threads < 1) usage(argv[0]);
  return options;
}

thread_local std::uint64_t running = 0;  // the seed of the sequence that this thread runs

void report_crash(int signal) {
  char text[80] = "crashed in sequence ";
  char digits[24], *end = digits + sizeof digits, *at = end;
  *--at = '\n';
  std::uint64_t n = running;
  do *--at = static_cast<char>('0' + n % 10);
  while (n /= 10);
  std::memcpy(text + std::strlen(text), at, static_cast<std::size_t>(end - at));
  std::signal(signal, SIG_DFL);
  if (write(2, text, std::strlen(text)) < 0) std::_Exit(3);
  std::raise(signal);
}

/// Runs every so manyth sequence, until one fails, which it reports.
void run_share(const Options& options, const RunOptions& run_options, int first, std::atomic<bool>& failed,
               std::atomic<std::uint64_t>& calls, std::mutex& output) {
  std::vector<char> crash_stack(std::size_t{64} * 1024);
  const stack_t stack{crash_stack.data(), 0, crash_stack.size()};
  sigaltstack(&stack, nullptr);
  Runner runner(run_options);
  for (auto k = static_cast<std::uint64_t>(first); k < options.sequences && !failed;
       k += static_cast<std::uint64_t>(options.threads)) {
    const std::uint64_t seed = options.seed + k;
    running = seed;
    if (options.verbose) std::cout << "sequence " << seed << std::endl;
    Outcome outcome = runner.run(seed);
    calls += outcome.calls.size();
    if (outcome.problem.empty()) continue;
    const std::lock_guard lock(output);
    if (failed.exchange(true)) break;
    std::cout << "sequence " << seed << " fails at call " << outcome.calls.size() << ": " << outcome.problem
              << std::endl;
    const Outcome small = runner.shrink(seed, outcome);
    const Outcome& shown = small.problem.empty() ? outcome : small;
    std::cout << text(shown.calls) << shown.problem << "\nrun --only " << seed << " --verbose" << std::endl;
    break;
  }
  const stack_t none{nullptr, SS_DISABLE, 0};
  sigaltstack(&none, nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  struct sigaction action {};
  action.sa_handler = report_crash;
  action.sa_flags = SA_ONSTACK;  // a stack may have overflown
  for (const int signal : {SIGSEGV, SIGABRT, SIGFPE, SIGBUS}) sigaction(signal, &action, nullptr);

  const Parameter shared = Real::own_parameter(kParameters - 1);
  RunOptions run_options;
  run_options.verbose = options.verbose;
  if (options.threads > 1) {
    run_options.shared = &shared;
    run_options.generator.shared_parameter = true;
  }
  std::atomic<bool> failed = false;
  std::atomic<std::uint64_t> calls = 0;
  std::mutex output;
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (int t = 0; t < options.threads; ++t) {
    threads.emplace_back([&, t] { run_share(options, run_options, t, failed, calls, output); });
  }
  for (std::thread& t : threads) t.join();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (failed) return 1;
  std::cout << options.sequences << " sequences, " << calls << " calls, " << seconds.count() << " s\n";
  return 0;
}
