// Profile: what ops cost, as a table and as a trace.
#include "xgrad/tape/profile.hpp"

#include <algorithm>
#include <cstdio>
#include <ostream>

#include "lib/tape/profile_data.hpp"

namespace xgrad {
namespace {

template <class Duration>
double seconds_of(Duration d) {
  return std::chrono::duration<double>(d).count();
}

double bytes_of(const ConstView& v) {
  return static_cast<double>(v.size()) * static_cast<double>(size_of(v.dtype));
}

const char* name_of(Phase phase) { return phase == Phase::forward ? "forward" : "backward"; }

template <class... Values>
std::string format(const char* how, Values... values) {
  char line[256];
  std::snprintf(line, sizeof line, how, values...);
  return line;
}

/// A JSON string; bytes of UTF-8 stay what they are.
std::string quoted(std::string_view s) {
  std::string result = "\"";
  for (const char c : s) {
    if (c == '"' || c == '\\') result += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      result += format("\\u%04x", static_cast<unsigned>(c));
    } else {
      result += c;
    }
  }
  return result + '"';
}

}  // namespace

namespace detail {

void ProfileObserver::before(const Call& call) { begun_.push_back({&call, ProfileData::Clock::now()}); }

void ProfileObserver::failed(const Call& call) noexcept {
  if (!begun_.empty() && begun_.back().call == &call) begun_.pop_back();
}

void ProfileObserver::after(const Call& call, Operands x, const View& y, Write write) {
  const auto end = ProfileData::Clock::now();
  if (begun_.empty() || begun_.back().call != &call) return;  // attached while the call ran
  ProfileData::Event event{};
  event.start = begun_.back().start;
  event.end = end;
  begun_.pop_back();
  for (const ConstView& v : x) event.bytes += bytes_of(v);
  event.bytes += bytes_of(y) * (write == Write::accumulate ? 2 : 1);
  if (call.op->flops) event.flops = call.op->flops(call.attributes, x, y.shape());
  const Call* derivative_of = call.derivative_of;
  if (data_.is_tracing()) {
    event.scope = &*data_.scopes.insert(scopes_.path((derivative_of ? *derivative_of : call).scope)).first;
  }
  data_.add(*call.op, derivative_of ? Phase::backward : Phase::forward, event);
}

void ProfileData::add(const OpInfo& op, Phase phase, Event event) {
  ProfileEntry& entry = entries[{op.name, phase}];
  if (entry.calls++ == 0) entry.op = op.name, entry.phase = phase;
  entry.seconds += seconds_of(event.end - event.start);
  entry.bytes += event.bytes;
  entry.flops += event.flops;
  event.entry = &entry;
  if (is_tracing()) events.push_back(event);
}

void ProfileData::start() {
  if (attached++ > 0) return;
  since = Clock::now();
  if (origin == Clock::time_point{}) origin = since;
}

void ProfileData::stop() {
  if (--attached == 0) before += Clock::now() - since;
}

}  // namespace detail

Profile::Profile(std::size_t trace_calls) : data_(std::make_shared<detail::ProfileData>(trace_calls)) {}

void Profile::clear() {
  detail::ProfileData& d = *data_;
  d.entries.clear();
  d.events.clear();
  d.scopes.clear();
  d.before = {};
  d.since = d.origin =
      d.attached ? detail::ProfileData::Clock::now() : detail::ProfileData::Clock::time_point{};
}

double Profile::seconds() const {
  using Clock = detail::ProfileData::Clock;
  return seconds_of(data_->before + (data_->attached ? Clock::now() - data_->since : Clock::duration{}));
}

std::vector<ProfileEntry> Profile::entries() const {
  std::vector<ProfileEntry> all;
  for (const auto& [key, entry] : data_->entries) all.push_back(entry);
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
  return all;
}

void Profile::print(std::ostream& out) const {
  const double total = seconds();
  const std::vector<ProfileEntry> all = entries();
  int width = static_cast<int>(std::string_view("between ops").size());
  for (const ProfileEntry& e : all) width = std::max(width, static_cast<int>(e.op.size()));
  const auto time = [&](const std::string& what, const char* phase, std::int64_t calls, double seconds) {
    std::string count = calls ? std::to_string(calls) : "";
    count.insert(0, 10 - std::min<std::size_t>(10, count.size()), ' ');
    out << what << std::string(static_cast<std::size_t>(width) - what.size(), ' ')
        << format("  %-8s%s%12.3f%8.1f", phase, count.c_str(), 1e3 * seconds,
                  total > 0 ? 100 * seconds / total : 0);
  };
  out << format("%-*s  %-8s%10s%12s%8s%10s%8s%10s\n", width, "op", "phase", "calls", "ms", "%", "us/call",
                "GB/s", "GFLOP/s");
  double between = total;
  std::int64_t calls = 0;
  for (const ProfileEntry& e : all) {
    between -= e.seconds;
    calls += e.calls;
    const double nanoseconds = std::max(1e9 * e.seconds, 1.0);  // a clock may stand still
    time(e.op, name_of(e.phase), e.calls, e.seconds);
    out << format("%10.2f%8.2f", 1e6 * e.seconds / static_cast<double>(e.calls), e.bytes / nanoseconds)
        << (e.flops > 0 ? format("%10.2f\n", e.flops / nanoseconds) : "\n");
  }
  time("between ops", "", 0, std::max(between, 0.0));
  out << '\n';
  time("total", "", calls, total);
  out << '\n';
}

void Profile::write_trace(std::ostream& out) const {
  std::int64_t left_out = -static_cast<std::int64_t>(data_->events.size());
  for (const auto& [key, entry] : data_->entries) left_out += entry.calls;
  out << "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"calls left out\":" << left_out
      << "},\"traceEvents\":[";
  const char* separator = "\n";
  for (const detail::ProfileData::Event& call : data_->events) {
    out << std::exchange(separator, ",\n") << "{\"name\":" << quoted(call.entry->op) << ",\"cat\":\""
        << name_of(call.entry->phase) << "\",\"ph\":\"X\",\"pid\":1,\"tid\":1"
        << format(",\"ts\":%.3f,\"dur\":%.3f", 1e6 * seconds_of(call.start - data_->origin),
                  1e6 * seconds_of(call.end - call.start))
        << ",\"args\":{\"scope\":" << quoted(*call.scope) << format(",\"bytes\":%.0f", call.bytes)
        << (call.flops > 0 ? format(",\"flops\":%.0f}}", call.flops) : "}}");
  }
  out << "\n]}\n";
}

}  // namespace xgrad
