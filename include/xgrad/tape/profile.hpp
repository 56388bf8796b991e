// Profile: where the time of a step goes, op by op.
//
//     Profile profile;
//     {
//       const auto on = tape.profile(&profile);
//       train_step();
//     }
//     profile.print(std::cout);
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "xgrad/tape/op.hpp"

namespace xgrad {

/// Whether an op was computed where the user called it, or for a derivative.
enum class Phase : std::uint8_t { forward, backward };

/// What one op did in one phase.
struct ProfileEntry {
  std::string op;
  Phase phase = Phase::forward;
  std::int64_t calls = 0;
  double seconds = 0;
  double bytes = 0;  ///< of operands read and results written; memory that a kernel works in is not counted
  double flops = 0;  ///< what the op's `flops` says, 0 when it has none
};

/// Sums up what the ops of a tape cost while it is attached to it (Tape::profile). Results that only rename
/// memory (reshape) are not computed, so they do not occur. Confined to the tape's thread.
class Profile {
 public:
  /// Keeps the first `trace_calls` calls one by one, for write_trace.
  explicit Profile(std::size_t trace_calls = 0) : trace_calls_(trace_calls) {}
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  /// What took longest first.
  std::vector<ProfileEntry> entries() const;
  /// How long it has been attached. What no op took was spent between them: in the tape, in the optimiser, on
  /// data.
  double seconds() const;

  /// Writes a table: one line for each op and phase, with its share of the time, then the time between ops.
  void print(std::ostream& out) const;
  /// Writes the calls that were kept as JSON for chrome://tracing or ui.perfetto.dev, each with the scope
  /// (Tape::scope) that it was recorded in, or whose derivative it is part of.
  void write_trace(std::ostream& out) const;
  /// Forgets everything so far.
  void clear();

 private:
  friend class Tape;
  friend struct detail::TapeState;
  using Clock = std::chrono::steady_clock;
  struct Call {
    const ProfileEntry* entry;
    const std::string* scope;
    Clock::time_point start, end;
    double bytes, flops;
  };
  void start();
  void stop();
  bool tracing() const { return calls_.size() < trace_calls_; }
  void add(const OpInfo& op, Phase phase, Call call);

  std::map<std::pair<std::string_view, Phase>, ProfileEntry> entries_;  // by the ops' own names
  std::size_t trace_calls_;
  std::vector<Call> calls_;
  std::set<std::string, std::less<>> scopes_;
  int attached_ = 0;
  Clock::time_point origin_{}, since_{};  // of the trace, and of the present attachment
  Clock::duration before_{};              // how long it was attached before that
};

}  // namespace xgrad
