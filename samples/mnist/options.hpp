// The command line of the MNIST sample.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>

struct Options {
  std::filesystem::path data;  // empty: look for it
  int epochs = 100;
  std::int64_t batch_size = 50;
  std::int64_t hidden = 128;
  double lr = 0.01;
  double dropout = 0.5;
  double reg = 0;
  std::string init = "notebook";
  std::string optimizer = "sgd";
  std::string loss = "fused";
  std::uint64_t seed = 0;
  int threads = 1;
  std::filesystem::path metrics, plot, trace;
  bool profile = false, quiet = false;
};

/// A mistake on the command line: one line that names the option.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// False when --help was asked for and has been printed. @throws UsageError
bool parse_options(int argc, char** argv, Options& options);
