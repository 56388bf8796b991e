// Runs sequences: performs each call on the shadow and with the library, and compares.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tests/fuzz/generator.hpp"
#include "tests/fuzz/real.hpp"

namespace fuzz {

struct RunOptions {
  GeneratorOptions generator;
  const Parameter* shared = nullptr;
  bool verbose = false;  // every call before it is performed
};

/// What a sequence came to.
struct Outcome {
  Sequence calls;       // that were performed
  std::string problem;  // empty when all agreed
};

class Runner {
 public:
  explicit Runner(const RunOptions& options) : options_(options) {}
  /// A random sequence.
  Outcome run(std::uint64_t seed);
  /// A given one; calls that make no sense any more are left out.
  Outcome replay(std::uint64_t seed, const Sequence& sequence);
  /// Drops calls, and steps of functions, for as long as the sequence still fails.
  Outcome shrink(std::uint64_t seed, Outcome failed);

 private:
  void begin();
  /// Performs a call; false when it makes no sense. Sets `problem_`.
  bool perform_call(const Call& call);
  std::uint32_t perform_really(const Call& call);
  void after_success(const Call& call);
  void after_error(const Call& call, std::uint32_t kind);
  void compare(int name);
  void compare_all();
  void compare_parameters();
  void compare_invocations();
  void end(std::uint64_t seed);
  template <class... Parts>
  void complain(const Parts&... parts);

  RunOptions options_;
  Shadow shadow_;
  std::unique_ptr<Real> real_;
  std::string what_;  // of the last error
  std::string problem_;
  std::array<std::uint64_t, kParameters> first_versions_{};
};

}  // namespace fuzz
