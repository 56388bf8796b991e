// Profile: where the time of a step goes, op by op.
//
//     Profile profile;
//     {
//       const auto on = tape.profile(&profile);
//       train_step();
//     }
//     profile.print(std::cout);
#pragma once

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

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

namespace detail {
struct ProfileData;
}

/// Sums up what the ops of a tape cost while it is attached to it (Tape::profile). Results that only rename
/// memory (reshape) are not computed, so they do not occur. Confined to the tape's thread.
class Profile {
 public:
  /// Keeps the first `trace_calls` calls one by one, for write_trace.
  explicit Profile(std::size_t trace_calls = 0);
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
  std::shared_ptr<detail::ProfileData> data_;  // shared with the tapes it is attached to
};

}  // namespace xgrad
