#include "xgrad/tape/profile.hpp"

#include <algorithm>
#include <cstdio>
#include <ostream>

#include "lib/tape/state.hpp"

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

void detail::TapeState::evaluate_profiled(const OpInfo& op, const void* attributes, Operands x, const View& y,
                                          Write write, void* workspace) {
  Profile::Call call{};
  call.start = Profile::Clock::now();
  op.eval(attributes, x, y, write, workspace);
  call.end = Profile::Clock::now();
  for (const ConstView& v : x) call.bytes += bytes_of(v);
  call.bytes += bytes_of(y) * (write == Write::accumulate ? 2 : 1);
  if (op.flops) call.flops = op.flops(attributes, x, y.shape());
  if (profile->tracing()) {
    const std::uint32_t id = differentiated ? slots[differentiated->output].id : next_id;
    call.scope = &*profile->scopes_.insert(scopes.path_at(id)).first;
  }
  profile->add(op, differentiated ? Phase::backward : Phase::forward, call);
}

void Profile::add(const OpInfo& op, Phase phase, Call call) {
  ProfileEntry& entry = entries_[{op.name, phase}];
  if (entry.calls++ == 0) entry.op = op.name, entry.phase = phase;
  entry.seconds += seconds_of(call.end - call.start);
  entry.bytes += call.bytes;
  entry.flops += call.flops;
  call.entry = &entry;
  if (tracing()) calls_.push_back(call);
}

void Profile::start() {
  if (attached_++ > 0) return;
  since_ = Clock::now();
  if (origin_ == Clock::time_point{}) origin_ = since_;
}

void Profile::stop() {
  if (--attached_ == 0) before_ += Clock::now() - since_;
}

void Profile::clear() {
  entries_.clear();
  calls_.clear();
  scopes_.clear();
  before_ = {};
  since_ = origin_ = attached_ ? Clock::now() : Clock::time_point{};
}

double Profile::seconds() const {
  return seconds_of(before_ + (attached_ ? Clock::now() - since_ : Clock::duration{}));
}

std::vector<ProfileEntry> Profile::entries() const {
  std::vector<ProfileEntry> all;
  for (const auto& [key, entry] : entries_) all.push_back(entry);
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
  std::int64_t left_out = -static_cast<std::int64_t>(calls_.size());
  for (const auto& [key, entry] : entries_) left_out += entry.calls;
  out << "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"calls left out\":" << left_out
      << "},\"traceEvents\":[";
  const char* separator = "\n";
  for (const Call& call : calls_) {
    out << std::exchange(separator, ",\n") << "{\"name\":" << quoted(call.entry->op) << ",\"cat\":\""
        << name_of(call.entry->phase) << "\",\"ph\":\"X\",\"pid\":1,\"tid\":1"
        << format(",\"ts\":%.3f,\"dur\":%.3f", 1e6 * seconds_of(call.start - origin_),
                  1e6 * seconds_of(call.end - call.start))
        << ",\"args\":{\"scope\":" << quoted(*call.scope) << format(",\"bytes\":%.0f", call.bytes)
        << (call.flops > 0 ? format(",\"flops\":%.0f}}", call.flops) : "}}");
  }
  out << "\n]}\n";
}

}  // namespace xgrad
