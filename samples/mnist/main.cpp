// Trains the notebook's network on MNIST. The model and one training step are train_step() and what is above
// it; the rest is the program around them.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

#include "options.hpp"
#include "report.hpp"
#include "xgrad/xgrad.hpp"

using namespace xgrad;

namespace {

constexpr int kBadInput = 2, kInterrupted = 130;

volatile std::sig_atomic_t interrupted = 0;

/// Two dense layers with ReLU and dropout between them: logits for images.
struct Network {
  nn::Dense hidden;
  nn::ReLU activation;
  nn::Dropout dropout;
  nn::Dense output;

  Network(const Options& o, std::int64_t features, std::int64_t classes, Generator& random)
      : hidden(features, o.hidden, random, dense_options(o)),
        dropout(o.dropout, random),
        output(o.hidden, classes, random, dense_options(o)) {}

  Var operator()(const Var& x) { return output(dropout(activation(hidden(x)))); }
  void visit(nn::Visitor& v) { v("hidden", hidden), v("dropout", dropout), v("output", output); }

 private:
  static nn::DenseOptions dense_options(const Options& o) {
    nn::DenseOptions dense;
    if (o.init == "notebook") dense.weight = nn::Init::normal(0.01), dense.bias = nn::Init::constant(0.01);
    if (o.init == "glorot") dense.weight = nn::Init::glorot();
    dense.l2 = o.reg;
    return dense;
  }
};

Var loss_of(const Options& o, const Var& logits, const Var& labels) {
  if (o.loss == "fused") return softmax_cross_entropy(logits, labels);
  return categorical_cross_entropy(softmax(logits), labels);
}

/// Rows of a data set as two constants on a tape: images scaled to [0, 1], and labels.
struct Batch {
  Var images, labels;
  Batch(Tape& tape, const data::ImageSet& set, const data::MinMax& range,
        std::span<const std::int32_t> rows) {
    const auto n = std::ssize(rows);
    images = tape.constant({DType::float32, Shape{n, set.features()}}, [&](View out) {
      data::gather_scaled(set.pixels, set.features(), rows, range, out);
    });
    labels = tape.constant({DType::int64, Shape{n}},
                           [&](View out) { data::gather_labels(set.labels, rows, out); });
  }
};

template <class Optimizer>
double train_step(const Options& o, Tape& tape, Network& network, Optimizer& optimizer, const Batch& batch) {
  const Var loss = loss_of(o, network(batch.images), batch.labels);
  const Var penalty = nn::penalty(network, tape);
  optimizer.zero_grad();
  backward(penalty.defined() ? loss + penalty : loss);
  optimizer.step();
  return static_cast<double>(loss.item<float>());
}

/// Mean loss and share of right answers on a data set, without dropout.
void evaluate(const Options& o, Tape& tape, Network& network, const data::ImageSet& set,
              const data::MinMax& range, Epoch& epoch) {
  const auto pause = tape.no_grad();
  nn::set_training(network, false);
  double loss = 0;
  std::int64_t right = 0;
  for (const auto rows : data::Batches(set.size(), 500)) {
    const Batch batch(tape, set, range, rows);
    const Var logits = network(batch.images);
    loss += static_cast<double>(loss_of(o, logits, batch.labels).item<float>()) *
            static_cast<double>(rows.size());
    const float* row = logits.view().as<float>();
    const std::int64_t classes = logits.shape()[1];
    for (std::int32_t r : rows) {
      right += std::max_element(row, row + classes) - row == set.labels[static_cast<std::size_t>(r)];
      row += classes;
    }
  }
  nn::set_training(network, true);
  const auto count = static_cast<double>(set.size());
  epoch.test_loss = loss / count;
  epoch.test_accuracy = static_cast<double>(right) / count;
}

data::Mnist load(const Options& o) {
  if (!o.data.empty()) return data::load_mnist(o.data);
  if (const auto folder = data::find_mnist()) return data::load_mnist(*folder);
  std::string looked;
  for (const auto& folder : data::mnist_folders()) looked += (looked.empty() ? "" : " or ") + folder.string();
  std::fprintf(stderr,
               "mnist: no MNIST in %s (scripts/mnist downloads it when it can); training on 10000 drawn "
               "digits instead\n",
               looked.c_str());
  return {data::draw_digits(8000, 1), data::draw_digits(2000, 2)};
}

void print_header(const Options& o, const data::Mnist& mnist) {
  std::printf("BLAS: %s; kernels: %s; threads: %d\n", blas_summary().c_str(), kernel_isa(), o.threads);
  std::printf(
      "MNIST set\n----\nNumber of training samples = %lld\nNumber of features = %lld\nNumber of output "
      "labels = %d\n",
      static_cast<long long>(mnist.train.size()), static_cast<long long>(mnist.train.features()),
      mnist.classes);
  std::fflush(stdout);
}

template <class Optimizer>
int train(const Options& o, Network& network, Optimizer optimizer, const data::Mnist& mnist,
          Generator order) {
  const auto range = data::MinMax::fit(mnist.train.pixels);
  data::Batches batches(mnist.train.size(), o.batch_size);
  Metrics metrics(o.metrics);
  Profiler profiler(o.profile, o.trace);
  Progress progress(o.quiet);
  std::vector<Epoch> epochs;
  Tape tape;
  std::int64_t done = 0;
  for (int number = 1; number <= o.epochs && !interrupted; ++number) {
    batches.shuffle(order);
    const auto start = std::chrono::steady_clock::now();
    double loss = 0;
    {
      const auto profiling = profiler.on(tape);
      for (done = 0; done < batches.size() && !interrupted; ++done) {
        progress.show(number, done, batches.size());
        loss += train_step(o, tape, network, optimizer, Batch(tape, mnist.train, range, batches[done]));
      }
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    progress.clear();
    if (done < batches.size()) break;  // an epoch that was not finished is not reported

    Epoch epoch{number,  loss / static_cast<double>(done),
                0,       0,
                seconds, static_cast<double>(mnist.train.size()) / seconds};
    evaluate(o, tape, network, mnist.test, range, epoch);
    epochs.push_back(epoch);
    if (!o.quiet) {
      std::printf("Epoch %d: training loss = %f test loss = %f test accuracy = %.4f (%.2f s)\n", number,
                  epoch.train_loss, epoch.test_loss, epoch.test_accuracy, epoch.seconds);
      std::fflush(stdout);
    }
    metrics.add(epoch);
  }
  profiler.report();
  draw_plot(o.plot, epochs);
  if (!interrupted) return EXIT_SUCCESS;
  std::fprintf(stderr, "mnist: interrupted after %zu epochs and %lld of %lld batches\n", epochs.size(),
               static_cast<long long>(done % batches.size()), static_cast<long long>(batches.size()));
  return kInterrupted;
}

int run(const Options& o) {
  set_num_threads(o.threads);
  check_plot(o.plot);
  const data::Mnist mnist = load(o);
  if (!o.quiet) print_header(o, mnist);
  // A sequence of its own for the order of the images, so that another size or loss does not change it.
  Generator weights(o.seed), order = weights.split();
  Network network(o, mnist.train.features(), mnist.classes, weights);
  const auto parameters = [&] { return nn::parameters(network); };
  if (o.optimizer == "adam") return train(o, network, optim::Adam(parameters(), {.lr = o.lr}), mnist, order);
  return train(o, network, optim::SGD(parameters(), {.lr = o.lr}), mnist, order);
}

void stop(int) { interrupted = 1; }

}  // namespace

int main(int argc, char** argv) {
  struct sigaction action = {};
  action.sa_handler = stop;
  action.sa_flags = SA_RESETHAND;  // a second Ctrl-C ends at once
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  try {
    Options options;
    return parse_options(argc, argv, options) ? run(options) : EXIT_SUCCESS;
  } catch (const UsageError& error) {
    std::fprintf(stderr, "mnist: %s; --help lists the options\n", error.what());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mnist: %s\n", error.what());
  }
  return kBadInput;
}
