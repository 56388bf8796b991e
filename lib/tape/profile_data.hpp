// What a Profile gathers, and the observer that gathers it.
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/tape/executor.hpp"
#include "lib/tape/recording.hpp"
#include "xgrad/tape/profile.hpp"

namespace xgrad::detail {

/// Owned by a Profile and by the tapes it is attached to, so that either may end first.
struct ProfileData {
  using Clock = std::chrono::steady_clock;
  struct Event {
    const ProfileEntry* entry;
    const std::string* scope;
    Clock::time_point start, end;
    double bytes, flops;
  };
  explicit ProfileData(std::size_t traced) : trace_calls(traced) {}

  void start();
  void stop();
  bool is_tracing() const { return events.size() < trace_calls; }
  void add(const OpInfo& op, Phase phase, Event event);

  std::map<std::pair<std::string_view, Phase>, ProfileEntry> entries;  // by the ops' own names
  std::size_t trace_calls;
  std::vector<Event> events;
  std::set<std::string, std::less<>> scopes;
  int attached = 0;
  Clock::time_point origin{}, since{};  // of the trace, and of the present attachment
  Clock::duration before{};             // how long it was attached before that
};

/// Measures calls for a profile.
class ProfileObserver final : public Observer {
 public:
  ProfileObserver(ProfileData& data, const Scopes& scopes) : data_(data), scopes_(scopes) {}
  void before(const Call& call) override;
  void after(const Call& call, Operands x, const View& y, Write write) override;
  void failed(const Call& call) noexcept override;

 private:
  struct Begun {  // kernels may call ops
    const Call* call;
    ProfileData::Clock::time_point start;
  };
  ProfileData& data_;
  const Scopes& scopes_;
  std::vector<Begun> begun_;
};

}  // namespace xgrad::detail
