// The sample's command line.
#include "options.hpp"

#include <cmath>
#include <cstdio>
#include <cxxopts.hpp>
#include <initializer_list>
#include <sstream>

#include "xgrad/support/threads.hpp"

namespace {

void require(bool ok, const std::string& message) {
  if (!ok) throw UsageError(message);
}

template <class T>
T number(const cxxopts::ParseResult& given, const std::string& name, T low, T high) {
  const auto text = given[name].as<std::string>();
  std::istringstream in(text);
  T value{};
  in >> value;
  std::ostringstream range;
  range << "--" << name << ": expected a number from " << low << " to " << high << ", found '" << text << "'";
  const bool negative = text.find('-') == 0;
  require(!in.fail() && in.peek() == EOF && value >= low && value <= high && !(negative && low >= T(0)),
          range.str());
  return value;
}

std::string choice(const cxxopts::ParseResult& given, const std::string& name,
                   std::initializer_list<const char*> choices) {
  const auto text = given[name].as<std::string>();
  std::string list;
  for (const char* c : choices) {
    if (text == c) return text;
    list += (list.empty() ? "" : ", ") + std::string(c);
  }
  throw UsageError("--" + name + ": expected one of " + list + ", found '" + text + "'");
}

}  // namespace

bool parse_options(int argc, char** argv, Options& options) {
  cxxopts::Options spec(
      "mnist",
      "Trains the notebook's network on MNIST: dense, ReLU, dropout, dense, softmax, cross entropy.\n");
  const auto text = [](const std::string& fallback) {
    return cxxopts::value<std::string>()->default_value(fallback);
  };
  spec.add_options()(
      "data", "folder with the four IDX files, plain or .gz; without it $XGRAD_DATA, then the cache folder",
      cxxopts::value<std::string>(), "DIR")("epochs", "passes over the training set", text("100"), "N")(
      "batch-size", "images per step", text("50"), "N")("hidden", "units of the hidden layer", text("128"),
                                                        "N")("lr", "learning rate", text("0.01"), "X")(
      "dropout", "probability of dropping a hidden unit", text("0.5"), "P")(
      "reg", "strength of the L2 penalty on the weights", text("0"), "X")(
      "init", "initial weights: notebook (N(0, 0.01), bias 0.01), glorot or kaiming", text("notebook"),
      "NAME")("optimizer", "sgd or adam", text("sgd"), "NAME")(
      "loss", "fused (softmax cross entropy) or composed (softmax, then cross entropy)", text("fused"),
      "NAME")("seed", "of weights, dropout and the order of the images", text("0"), "N")(
      "threads", "threads for large work; the results do not depend on it",
      text(std::to_string(xgrad::num_threads())),
      "N")("metrics", "write one line per epoch as CSV", cxxopts::value<std::string>(), "FILE")(
      "plot", "draw both loss curves with gnuplot, as .svg or .png", cxxopts::value<std::string>(), "FILE")(
      "profile", "print where the time of the training loop went: each op's time, GB/s and GFLOP/s")(
      "trace", "write the first calls of ops as JSON for chrome://tracing or ui.perfetto.dev",
      cxxopts::value<std::string>(),
      "FILE")("quiet", "print nothing but errors and the profile")("help", "print this");
  try {
    const auto given = spec.parse(argc, argv);
    if (given.count("help")) {
      std::fputs(spec.help().c_str(), stdout);
      return false;
    }
    require(given.unmatched().empty(),
            given.unmatched().empty() ? "" : "unexpected argument '" + given.unmatched()[0] + "'");
    const auto path = [&](const char* name) -> std::filesystem::path {
      if (!given.count(name)) return {};
      const auto value = given[name].as<std::string>();
      require(!value.empty(), std::string("--") + name + ": expected a path, found ''");
      return value;
    };
    options.data = path("data");
    options.epochs = number<int>(given, "epochs", 1, 1000000);
    options.batch_size = number<std::int64_t>(given, "batch-size", 1, 1000000);
    options.hidden = number<std::int64_t>(given, "hidden", 1, 1000000);
    options.lr = number<double>(given, "lr", 0, 1e6);
    options.dropout = number<double>(given, "dropout", 0, 1);
    require(options.dropout < 1, "--dropout: expected a number below 1, found '1'");
    options.reg = number<double>(given, "reg", 0, 1e6);
    options.init = choice(given, "init", {"notebook", "glorot", "kaiming"});
    options.optimizer = choice(given, "optimizer", {"sgd", "adam"});
    options.loss = choice(given, "loss", {"fused", "composed"});
    options.seed = number<std::uint64_t>(given, "seed", 0, UINT64_MAX);
    options.threads = number<int>(given, "threads", 1, 1024);
    options.metrics = path("metrics");
    options.plot = path("plot");
    options.trace = path("trace");
    const auto extension = options.plot.extension();
    require(options.plot.empty() || extension == ".svg" || extension == ".png",
            "--plot: expected a file that ends in .svg or .png, found '" + options.plot.string() + "'");
    options.profile = given.count("profile") > 0;
    options.quiet = given.count("quiet") > 0;
  } catch (const cxxopts::exceptions::exception& error) {
    throw UsageError(error.what());
  }
  return true;
}
