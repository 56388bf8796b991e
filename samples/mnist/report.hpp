// What a training run shows and leaves: the progress bar, the metrics file, the profile,
// the plot.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "xgrad/xgrad.hpp"

/// The figures of one epoch.
struct Epoch {
  int number;
  double train_loss, test_loss, test_accuracy;
  double seconds;  // of the training loop alone
  double samples_per_second;
};

/// A bar on the terminal; nothing where the output is not a terminal.
class Progress {
 public:
  explicit Progress(bool quiet);
  void show(int epoch, std::int64_t batch, std::int64_t batches);
  void clear();

 private:
  bool visible_;
  int shown_ = -1;
};

/// A CSV file to which each epoch is written whole or not at all.
class Metrics {
 public:
  /// Creates the file and writes the header, when a path is given. @throws xgrad::IoError
  explicit Metrics(const std::filesystem::path& path);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;
  void add(const Epoch& epoch);

 private:
  void write(const std::string& line);
  std::string path_;
  int file_ = -1;
  std::int64_t size_ = 0;
};

/// What `--profile` and `--trace` ask for; by themselves, nothing is measured.
class Profiler {
 public:
  /// Creates the file for the trace, when a path is given. @throws xgrad::IoError
  Profiler(bool print, const std::filesystem::path& trace);
  /// Measures what the tape does while the result lives.
  [[nodiscard]] xgrad::Tape::Profiling on(xgrad::Tape& tape);
  /// Prints the table and writes the trace. @throws xgrad::IoError
  void report();

 private:
  bool print_;
  std::string path_;
  std::ofstream trace_;
  xgrad::Profile profile_;
};

/// @throws xgrad::IoError when gnuplot is not there or the folder cannot be written: to be found out before
/// training.
void check_plot(const std::filesystem::path& path);
/// Draws the loss curves; the file appears whole or not at all. @throws xgrad::IoError
void draw_plot(const std::filesystem::path& path, const std::vector<Epoch>& epochs);
