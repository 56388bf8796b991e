// What the sample tells of a run: progress, a file of metrics, the profile.
#include "report.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>

using xgrad::IoError;

Progress::Progress(bool quiet) : visible_(!quiet && isatty(STDOUT_FILENO)) {}

void Progress::show(int epoch, std::int64_t batch, std::int64_t batches) {
  constexpr int kWidth = 40;
  const int filled = static_cast<int>(kWidth * batch / batches);
  if (!visible_ || filled == shown_) return;
  shown_ = filled;
  char bar[kWidth + 1] = {};
  for (int i = 0; i < kWidth; ++i) bar[i] = i < filled ? '#' : '.';
  std::printf("\rEpoch %d [%s] %3d%%", epoch, bar, static_cast<int>(100 * batch / batches));
  std::fflush(stdout);
}

void Progress::clear() {
  if (visible_ && shown_ >= 0) std::printf("\r\033[K");
  shown_ = -1;
}

Metrics::Metrics(const std::filesystem::path& path) : path_(path.string()) {
  if (path.empty()) return;
  file_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file_ < 0) throw IoError("metrics: cannot write " + path_ + ": " + std::strerror(errno));
  write("epoch,train_loss,test_loss,test_accuracy,seconds,samples_per_second\n");
}

Metrics::~Metrics() {
  if (file_ >= 0) close(file_);
}

void Metrics::add(const Epoch& e) {
  if (file_ < 0) return;
  char line[256];
  std::snprintf(line, sizeof line, "%d,%.9g,%.9g,%.6g,%.6g,%.6g\n", e.number, e.train_loss, e.test_loss,
                e.test_accuracy, e.seconds, e.samples_per_second);
  write(line);
}

void Metrics::write(const std::string& line) {
  std::size_t done = 0;
  while (done < line.size()) {
    const ssize_t n = ::write(file_, line.data() + done, line.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const int reason = errno;
      // Take a half-written line back; on a device there is nothing to take back.
      if (done > 0 && ftruncate(file_, size_) != 0) errno = reason;
      throw IoError("metrics: cannot write " + path_ + ": " + std::strerror(reason));
    }
    done += static_cast<std::size_t>(n);
  }
  size_ += static_cast<std::int64_t>(line.size());
}

namespace {

constexpr std::size_t kTracedCalls = 100'000;  // 20 MB of JSON; viewers grow slow beyond

}  // namespace

Profiler::Profiler(bool print, const std::filesystem::path& trace)
    : print_(print), path_(trace.string()), profile_(trace.empty() ? 0 : kTracedCalls) {
  if (trace.empty()) return;
  trace_.open(trace);
  if (!trace_) throw IoError("trace: cannot write " + path_ + ": " + std::strerror(errno));
}

xgrad::Tape::Profiling Profiler::on(xgrad::Tape& tape) {
  return tape.profile(print_ || trace_.is_open() ? &profile_ : nullptr);
}

void Profiler::report() {
  if (print_) profile_.print(std::cout);
  if (!trace_.is_open()) return;
  profile_.write_trace(trace_);
  if (!trace_.flush()) throw IoError("trace: cannot write " + path_ + ": " + std::strerror(errno));
}

namespace {

std::filesystem::path beside(const std::filesystem::path& path) {
  auto temporary = path;
  temporary += ".part" + std::to_string(getpid());
  return temporary;
}

}  // namespace

void check_plot(const std::filesystem::path& path) {
  if (path.empty()) return;
  if (std::system("command -v gnuplot >/dev/null 2>&1") != 0) {
    throw IoError("plot: gnuplot is not installed (Debian: gnuplot-nox), and --plot needs it");
  }
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    throw IoError("plot: cannot write " + path.string() + ": " + std::strerror(errno));
  }
}

void draw_plot(const std::filesystem::path& path, const std::vector<Epoch>& epochs) {
  if (path.empty() || epochs.empty()) return;
  const auto temporary = beside(path);
  FILE* gnuplot = popen("gnuplot >/dev/null 2>&1", "w");
  if (!gnuplot) throw IoError("plot: cannot run gnuplot");
  std::string quoted;  // in gnuplot's single quotes a quote is doubled
  for (char c : temporary.string()) quoted += c == '\'' ? "''" : std::string(1, c);
  const bool svg = path.extension() == ".svg";
  std::fprintf(gnuplot, "set terminal %s\nset output '%s'\n",
               svg ? "svg size 800,500 font 'sans-serif,14' background '#ffffff'"
                   : "pngcairo size 1000,625 font 'sans-serif,13'",
               quoted.c_str());
  std::fputs(
      "set xlabel 'Epoch'\nset ylabel 'Loss'\nset grid lc rgb '#dddddd'\nset border 3\nset tics nomirror\n",
      gnuplot);
  std::fprintf(gnuplot, "set yrange [0:*]\nset xrange [%d:%d]\n", 0, epochs.back().number + 1);
  std::fputs("$loss << END\n", gnuplot);
  for (const Epoch& e : epochs) std::fprintf(gnuplot, "%d %.9g %.9g\n", e.number, e.train_loss, e.test_loss);
  std::fputs(
      "END\n"
      "plot $loss using 1:2 with linespoints pt 7 ps 0.4 lw 2 lc rgb '#c05020' title 'Training loss (with "
      "dropout)', "
      "$loss using 1:3 with linespoints pt 7 ps 0.4 lw 2 lc rgb '#2060a0' title 'Test loss'\n",
      gnuplot);
  const bool drawn = pclose(gnuplot) == 0;
  std::error_code error;
  if (drawn) std::filesystem::rename(temporary, path, error);
  if (!drawn || error) {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    throw IoError("plot: cannot write " + path.string() +
                  (error ? ": " + error.message() : ": gnuplot failed"));
  }
}
