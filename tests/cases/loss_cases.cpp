// Rows of the case table: losses and cross entropies.
#include "xgrad/ops/loss.hpp"

#include <cmath>
#include <numeric>

#include "tests/cases/op_cases.hpp"
#include "xgrad/ops/elementwise.hpp"

namespace xgrad::cases {
namespace {

using Values = naive::Values;

// Cross entropies ---------------------------------------------------------------------------------------

/// What a row's cross entropy is made of: -sum(t w log(p)) for every row, and what the mean divides by.
struct RowLosses {
  Values losses;
  double total;
  Array mean() const { return Array(std::accumulate(losses.begin(), losses.end(), 0.0) / total); }
  Array sum() const { return Array(std::accumulate(losses.begin(), losses.end(), 0.0)); }
  Array none() const {
    return naive::generate({losses.size()}, [&](const naive::Index& i) { return losses[i[0]]; });
  }
};

/// Rows of probabilities against targets t(row, column), after smoothing, with class weights w(column).
template <class Target, class Weight>
RowLosses rows_of(const Array& p, Target&& t, Weight&& w) {
  RowLosses result{{}, static_cast<double>(p.shape(0))};
  for (std::size_t r = 0; r < p.shape(0); ++r) {
    double loss = 0;
    for (std::size_t c = 0; c < p.shape(1); ++c) loss -= t(r, c) * w(c) * std::log(p(r, c));
    result.losses.push_back(loss);
  }
  return result;
}

double one(std::size_t) { return 1; }

RowLosses with_targets(const Array& p, const Array& t) {
  return rows_of(
      p, [&](std::size_t r, std::size_t c) { return t(r, c); }, one);
}

std::size_t label_of(std::size_t row, const Array& p) {
  return static_cast<std::size_t>(naive::label(row, static_cast<std::int64_t>(p.shape(1))));
}

RowLosses with_labels(const Array& p) {
  return rows_of(
      p, [&](std::size_t r, std::size_t c) { return label_of(r, p) == c ? 1.0 : 0.0; }, one);
}

constexpr std::int64_t kIgnored = 1;
constexpr double kSmoothing = 0.2;

/// Of labels where kIgnored is ignored, smoothed, with class weights.
RowLosses with_all_options(const Array& p, const Array& weights) {
  const auto kept = [&](std::size_t r) { return label_of(r, p) != kIgnored; };
  const auto smooth = [&](std::size_t r, std::size_t c) {
    const double spread = kSmoothing / static_cast<double>(p.shape(1));
    return !kept(r) ? 0.0 : label_of(r, p) == c ? 1 - kSmoothing + spread : spread;
  };
  RowLosses result = rows_of(p, smooth, [&](std::size_t c) { return weights(c); });
  result.total = 0;
  for (std::size_t r = 0; r < p.shape(0); ++r) result.total += kept(r) ? weights(label_of(r, p)) : 0;
  return result;
}

CrossEntropyOptions all_options(const Var& weights, Reduction reduction) {
  return {.class_weights = weights,
          .ignore_index = kIgnored,
          .label_smoothing = kSmoothing,
          .reduction = reduction};
}

Array softmax(const Array& logits) { return naive::along(logits, 1, naive::softmax); }
Array identity(const Array& p) { return p; }
Array exponential(const Array& log_p) { return naive::map(log_p, std::exp); }

Var row_labels(const Var& x) { return labels(x.tape(), {x.shape()[0]}, x.shape()[1]); }

const std::vector<Shapes> one_operand = {{{4, 5}}, {{1, 1}}, {{3, 23}}, {{50, 10}}};
const std::vector<Shapes> two_operands = {
    {{3, 4}, {3, 4}}, {{1, 1}, {1, 1}}, {{3, 23}, {3, 23}}, {{50, 10}, {50, 10}}};
const std::vector<Shapes> with_weights = {{{4, 5}, {5}}, {{3, 23}, {23}}, {{50, 10}, {10}}};

using CrossEntropy = Var(const Var&, const Var&, const CrossEntropyOptions&);

std::vector<ErrorCase> target_errors(const std::string& name, CrossEntropy* f) {
  const auto with_dtype = [f](const Shape& x, const Shape& t, DType dtype) {
    return [=](Tape& tape) { f(ones(tape, x), ones(tape, t, dtype), {}); };
  };
  const auto with_class_weights = [f](const Shape& shape, DType dtype) {
    return [=](Tape& t) {
      f(ones(t, {3, 2}), ones(t, Shape{3}, DType::int64), {.class_weights = ones(t, shape, dtype)});
    };
  };
  return {
      fails<ShapeError>({{3, 1}, {3}}, name + ": targets [3] and [3, 1] must have the same shape"),
      fails<ShapeError>({{3, 2}, {1, 2}}, name + ": targets [1, 2] and [3, 2] must have the same shape"),
      fails<ShapeError>({{3}, {3}}, name + ": rows of classes expected, not [3]"),
      fails<ShapeError>({{0, 3}, {0, 3}}, name + ": no rows or no classes in [0, 3]"),
      fails<ShapeError>({{3, 0}, {3, 0}}, name + ": no rows or no classes in [3, 0]"),
      fails_when<DTypeError>(with_dtype({3, 2}, {3, 2}, DType::float32),
                             name + ": targets are float32, not float64 or integer labels"),
      fails_when<ShapeError>(with_dtype({3, 2}, {4}, DType::int64),
                             name + ": 3 labels expected for [3, 2], not [4]"),
      fails_when<ShapeError>(with_dtype({3, 2}, {3, 1}, DType::int32),
                             name + ": 3 labels expected for [3, 2], not [3, 1]"),
      fails_when<ShapeError>(with_dtype({3, 1}, {3}, DType::int64),
                             name + ": index 1 at position 0 is outside 0 to 0"),
      fails_when<DTypeError>(with_dtype({3, 2}, {3}, DType::uint8),
                             name + ": indices are uint8, not int64 or int32"),
      fails_when<DTypeError>(
          [f, shape = Shape{3, 2}](Tape& t) { f(ones(t, shape, DType::int32), ones(t, shape), {}); },
          name + ": operand 0 is int32, not floating"),
      fails_when<Error>(
          [f](Tape& t) {
            f(ones(t, {3, 2}), ones(t, {3}, DType::int64), {.label_smoothing = 1.5});
          },
          name + ": label_smoothing = 1.5 is not in [0, 1]"),
      fails_when<Error>(
          [f](Tape& t) {
            f(ones(t, {3, 2}), ones(t, {3, 2}), {.ignore_index = -1});
          },
          name + ": ignore_index needs integer labels, not float64"),
      fails_when<ShapeError>(with_class_weights({3}, DType::float64),
                             name + ": class_weights [3] do not fit [3, 2]"),
      fails_when<DTypeError>(with_class_weights({2}, DType::float32),
                             name + ": class_weights are float32, not float64"),
  };
}

/// The rows of one cross entropy, whose first operand stands for probabilities as `probabilities` says.
void add_cross_entropy(std::vector<OpCase>& rows, const std::string& name, CrossEntropy* f,
                       Array (*probabilities)(const Array&), const Domain& domain) {
  const auto row = [&](const std::string& what, const std::vector<Shapes>& sets, const Domain& others,
                       TensorFunction call, std::function<Array(const Arrays&)> reference) {
    rows.push_back({.name = name + what,
                    .f = std::move(call),
                    .reference = std::move(reference),
                    .sets = sets,
                    .domains = {domain, others}});
  };
  row(
      "", two_operands, anything, [=](Vars x) { return f(x[0], x[1], {}); },
      [=](const Arrays& x) { return with_targets(probabilities(x[0]), x[1]).mean(); });
  rows.back().errors = target_errors(name, f);
  row(
      " of targets that are zero or one", two_operands, {0, 1, {}, 1},
      [=](Vars x) { return f(x[0], x[1], {}); },
      [=](const Arrays& x) { return with_targets(probabilities(x[0]), x[1]).mean(); });
  row(
      " of labels", one_operand, anything, [=](Vars x) { return f(x[0], row_labels(x[0]), {}); },
      [=](const Arrays& x) { return with_labels(probabilities(x[0])).mean(); });
  row(
      " of every row", two_operands, anything,
      [=](Vars x) { return f(x[0], x[1], {.reduction = Reduction::none}); },
      [=](const Arrays& x) { return with_targets(probabilities(x[0]), x[1]).none(); });
  row(
      " of every row with labels", one_operand, anything,
      [=](Vars x) { return f(x[0], row_labels(x[0]), {.reduction = Reduction::none}); },
      [=](const Arrays& x) { return with_labels(probabilities(x[0])).none(); });
  row(
      " summed", one_operand, anything,
      [=](Vars x) { return f(x[0], row_labels(x[0]), {.reduction = Reduction::sum}); },
      [=](const Arrays& x) { return with_labels(probabilities(x[0])).sum(); });
  row(
      " with all options", with_weights, positive,
      [=](Vars x) { return f(x[0], row_labels(x[0]), all_options(x[1], Reduction::mean)); },
      [=](const Arrays& x) { return with_all_options(probabilities(x[0]), x[1]).mean(); });
  row(
      " with all options, of every row", with_weights, positive,
      [=](Vars x) { return f(x[0], row_labels(x[0]), all_options(x[1], Reduction::none)); },
      [=](const Arrays& x) { return with_all_options(probabilities(x[0]), x[1]).none(); });
  row(
      " with targets smoothed and weighted", {{{3, 4}, {3, 4}, {4}}}, positive,
      [=](Vars x) { return f(x[0], x[1], {.class_weights = x[2], .label_smoothing = kSmoothing}); },
      [=](const Arrays& x) {
        const auto smooth = [&](std::size_t r, std::size_t c) {
          double total = 0;
          for (std::size_t k = 0; k < x[1].shape(1); ++k) total += x[1](r, k);
          return x[1](r, c) - kSmoothing * (x[1](r, c) - total / static_cast<double>(x[1].shape(1)));
        };
        return rows_of(probabilities(x[0]), smooth, [&](std::size_t c) { return x[2](c); }).mean();
      });
}

// Losses of elements ------------------------------------------------------------------------------------

const std::vector<Shapes> alike = {{{20}, {20}}, {{}, {}}, {{3, 1}, {3, 1}}, {{23}, {23}}, {{812}, {812}}};
const std::vector<Shapes> empty_too = {{{3, 4}, {3, 4}}, {{0}, {0}}, {{2, 0, 3}, {2, 0, 3}}, {{23}, {23}}};

/// What a loss throws for two operands of these names that do not fit.
std::vector<ErrorCase> pair_errors(const std::string& name, const std::string& x, const std::string& y,
                                   std::function<Var(const Var&, const Var&)> f) {
  return {fails<ShapeError>({{3, 1}, {3}},
                            name + ": " + x + " [3, 1] and " + y + " [3] must have the same shape"),
          fails_when<DTypeError>([f](Tape& t) { f(ones(t, {2}), ones(t, {2}, DType::float32)); },
                                 name + ": " + x + " is float64 and " + y + " float32"),
          fails_when<DTypeError>([f](Tape& t) { f(ones(t, {2}), ones(t, {2}, DType::int64)); },
                                 name + ": " + y + " is int64, not floating")};
}

/// A loss of pairs of numbers, with each of its reductions.
void add_elementwise(std::vector<OpCase>& rows, const std::string& name, const std::string& x,
                     const std::string& y, std::function<Var(const Var&, const Var&, Reduction)> f,
                     double (*element)(double, double), std::vector<Domain> domains) {
  const auto row = [&](const std::string& what, Reduction reduction, const std::vector<Shapes>& sets,
                       double (*fold)(const Values&)) {
    rows.push_back({.name = name + what,
                    .f = [=](Vars v) { return f(v[0], v[1], reduction); },
                    .reference =
                        [=](const Arrays& v) {
                          const Array losses = naive::map(v[0], v[1], element);
                          return fold ? naive::fold(losses, {}, false, fold) : losses;
                        },
                    .sets = sets,
                    .domains = domains});
  };
  row("", Reduction::mean, alike,
      [](const Values& v) { return naive::sum(v) / static_cast<double>(v.size()); });
  rows.back().errors =
      pair_errors(name, x, y, [f](const Var& a, const Var& b) { return f(a, b, Reduction::mean); });
  row(" summed", Reduction::sum, empty_too, naive::sum);
  row(" of every element", Reduction::none, empty_too, nullptr);
  row(" summed over rows of four", Reduction::batch_mean, {{{3, 4}, {3, 4}}, {{25, 4}, {25, 4}}},
      [](const Values& v) { return naive::sum(v) / (static_cast<double>(v.size()) / 4); });
}

/// Operands whose differences are neither 0 nor 0.75 either way, nor near them.
const std::vector<Domain> off_kinks = {{-2, 2, {}, 0.25}, {-1.9, -0.1, {}, 0.17}};

double huber_of(double d, double delta) {
  return std::abs(d) <= delta ? d * d / 2 : delta * (std::abs(d) - delta / 2);
}

double bce(double p, double t) { return -t * std::log(p) - (1 - t) * std::log(1 - p); }
double logistic(double x) { return 1 / (1 + std::exp(-x)); }

// Of vectors --------------------------------------------------------------------------------------------

/// f(lines) for the lines along the last axis of operands of one shape.
Array of_lines(const Arrays& x, std::size_t count, const std::function<double(const Arrays&)>& f) {
  naive::Index shape = naive::extents(x[0]);
  const std::size_t n = shape.back();
  shape.pop_back();
  std::size_t line = 0;
  return naive::generate(shape, [&](const naive::Index&) {
    Arrays lines;
    for (std::size_t k = 0; k < count; ++k) {
      lines.push_back(
          naive::generate({n}, [&](const naive::Index& i) { return x[k].data()[line * n + i[0]]; }));
    }
    ++line;
    return f(lines);
  });
}

double dot(const Array& x, const Array& y) {
  double total = 0;
  for (std::size_t i = 0; i < x.size(); ++i) total += x(i) * y(i);
  return total;
}
double cosine(const Arrays& x) { return dot(x[0], x[1]) / std::sqrt(dot(x[0], x[0]) * dot(x[1], x[1])); }

double triplet(const Arrays& x) {
  double p = 0, n = 0;
  for (std::size_t i = 0; i < x[0].size(); ++i) {
    p += std::pow(x[0](i) - x[1](i) + 1e-6, 2);
    n += std::pow(x[0](i) - x[2](i) + 1e-6, 2);
  }
  return std::max(0.0, std::sqrt(p) - std::sqrt(n) + 0.5);
}

}  // namespace

// By hand: clang-format spreads lambdas that hold braces over many lines.
// clang-format off
std::vector<OpCase> loss_cases() {
  std::vector<OpCase> rows;
  const Domain probability{0.1, 0.9};
  add_cross_entropy(rows, "softmax_cross_entropy", softmax_cross_entropy, softmax, anything);
  add_cross_entropy(rows, "categorical_cross_entropy", categorical_cross_entropy, identity, probability);
  add_cross_entropy(rows, "nll_loss", nll_loss, exponential, {-3, -0.1});

  add_elementwise(rows, "mse", "prediction", "target", mse, [](double x, double y) { return (x - y) * (x - y); }, {anything});
  add_elementwise(rows, "mae", "prediction", "target", mae, [](double x, double y) { return std::abs(x - y); }, {distinct});
  add_elementwise(rows, "huber", "prediction", "target",
                  [](const Var& x, const Var& y, Reduction r) { return huber(x, y, 0.75, r); },
                  [](double x, double y) { return huber_of(x - y, 0.75); }, off_kinks);
  rows.back().errors = {fails_when<Error>([](Tape& t) { huber(ones(t, {2}), ones(t, {2}), 0); },
                                          "huber: delta = 0 is not above 0")};
  add_elementwise(rows, "smooth_l1", "prediction", "target",
                  [](const Var& x, const Var& y, Reduction r) { return smooth_l1(x, y, 0.75, r); },
                  [](double x, double y) { return huber_of(x - y, 0.75) / 0.75; }, off_kinks);
  rows.back().errors = {fails_when<Error>([](Tape& t) { smooth_l1(ones(t, {2}), ones(t, {2}), -1); },
                                          "smooth_l1: beta = -1 is below 0")};
  add_elementwise(rows, "smooth_l1 with beta 0", "prediction", "target",
                  [](const Var& x, const Var& y, Reduction r) { return smooth_l1(x, y, 0, r); },
                  [](double x, double y) { return std::abs(x - y); }, {distinct});
  rows[rows.size() - 4].errors.clear();
  add_elementwise(rows, "kl_divergence", "log_p", "target", kl_divergence,
                  [](double x, double y) { return y * (std::log(y) - x); }, {{-3, -0.1}, probability});
  add_elementwise(rows, "hinge_loss", "score", "target",
                  [](const Var& x, const Var& y, Reduction r) { return hinge_loss(x, y, 0.5, r); },
                  [](double x, double y) { return std::max(0.0, 0.5 - y * x); },
                  {{-2, 2, {-0.5, 0.5}}, {-1, 1, {0}, 1}});
  add_elementwise(rows, "binary_cross_entropy", "p", "target",
                  [](const Var& x, const Var& y, Reduction r) {
                    return binary_cross_entropy(x, y, {.reduction = r});
                  },
                  bce, {probability, {0, 1}});
  add_elementwise(rows, "binary_cross_entropy_with_logits", "logits", "target",
                  [](const Var& x, const Var& y, Reduction r) {
                    return binary_cross_entropy_with_logits(x, y, {.reduction = r});
                  },
                  [](double x, double y) { return bce(logistic(x), y); }, {anything, {0, 1}});

  const std::vector<OpCase> others{
      {.name = "binary_cross_entropy weighted",
       .f = [](Vars x) { return binary_cross_entropy(x[0], x[1], {.weight = x[2]}); },
       .reference = [](const Arrays& x) {
         const Array losses = naive::generate({4, 3}, [&](const naive::Index& i) {
           return naive::at(x[2], i) * bce(naive::at(x[0], i), naive::at(x[1], i));
         });
         return Array(naive::fold(losses, {}, false, naive::sum) / 12);
       },
       .sets = {{{4, 3}, {4, 3}, {3}}, {{4, 3}, {4, 3}, {4, 1}}, {{4, 3}, {4, 3}, {}}},
       .domains = {probability, {0, 1}, positive},
       .errors = {fails<ShapeError>({{3}, {3}, {2, 3}},
                                    "binary_cross_entropy: weight [2, 3] does not broadcast to [3]")}},
      {.name = "binary_cross_entropy_with_logits weighted",
       .f = [](Vars x) {
         return binary_cross_entropy_with_logits(
             x[0], x[1], {.weight = x[2], .pos_weight = x[3], .reduction = Reduction::none});
       },
       .reference = [](const Arrays& x) {
         return naive::generate({4, 3}, [&](const naive::Index& i) {
           const double p = logistic(naive::at(x[0], i)), t = naive::at(x[1], i);
           return -naive::at(x[2], i) * (naive::at(x[3], i) * t * std::log(p) + (1 - t) * std::log(1 - p));
         });
       },
       .sets = {{{4, 3}, {4, 3}, {4, 1}, {3}}},
       .domains = {anything, {0, 1}, positive, positive},
       .errors = {fails<ShapeError>({{3}, {3}, {3}, {4}},
                                    "binary_cross_entropy_with_logits: pos_weight [4] does not broadcast to [3]")}},
      {.name = "cosine_similarity",
       .f = [](Vars x) { return cosine_similarity(x[0], x[1]); },
       .reference = [](const Arrays& x) { return of_lines(x, 2, cosine); },
       .sets = {{{5}, {5}}, {{4, 3}, {4, 3}}, {{0, 3}, {0, 3}}, {{2, 3, 23}, {2, 3, 23}}, {{3, 1}, {3, 1}}},
       .domains = {anything},
       .errors = {fails<ShapeError>({{}, {}}, "cosine_similarity: axis -1 is out of range for rank 0"),
                  fails<ShapeError>({{2, 3}, {3}},
                                    "cosine_similarity: x [2, 3] and y [3] must have the same shape"),
                  fails_when<Error>([](Tape& t) { cosine_similarity(ones(t, {2}), ones(t, {2}), 0, 0); },
                                    "cosine_similarity: eps = 0 is not above 0")}},
      {.name = "cosine_similarity along axis 0",
       .f = [](Vars x) { return cosine_similarity(x[0], x[1], 0); },
       .reference = [](const Arrays& x) {
         return of_lines({naive::transpose(x[0], {1, 0}), naive::transpose(x[1], {1, 0})}, 2, cosine);
       },
       .sets = {{{4, 3}, {4, 3}}, {{23, 2}, {23, 2}}},
       .domains = {anything}},
      {.name = "cosine_embedding_loss",
       .f = [](Vars x) {
         return cosine_embedding_loss(x[0], x[1], sign(x[2]), -2, Reduction::none);
       },
       .reference = [](const Arrays& x) {
         std::size_t row = 0;
         return of_lines(x, 2, [&](const Arrays& lines) {
           return x[2].data()[row++] > 0 ? 1 - cosine(lines) : 2 + cosine(lines);
         });
       },
       .sets = {{{4, 3}, {4, 3}, {4}}, {{5}, {5}, {}}, {{2, 3, 7}, {2, 3, 7}, {2, 3}}, {{0, 3}, {0, 3}, {0}}},
       .domains = {anything, anything, nonzero},
       .errors = {fails<ShapeError>({{2, 3}, {3}, {2}},
                                    "cosine_embedding_loss: x [2, 3] and y [3] must have the same shape"),
                  fails<ShapeError>({{2, 3}, {2, 3}, {2, 1}},
                                    "cosine_embedding_loss: similarity [2] and target [2, 1] must have the same shape")}},
      {.name = "triplet_margin_loss",
       .f = [](Vars x) { return triplet_margin_loss(x[0], x[1], x[2], 0.5); },
       .reference = [](const Arrays& x) {
         const Array losses = of_lines(x, 3, triplet);
         return Array(naive::fold(losses, {}, false, naive::sum) / static_cast<double>(losses.size()));
       },
       .sets = {{{4, 3}, {4, 3}, {4, 3}}, {{5}, {5}, {5}}, {{2, 3, 23}, {2, 3, 23}, {2, 3, 23}}},
       .domains = {{0, 1}, {-2, -1}, {-1, 0.5}},
       .errors = {fails<ShapeError>({{2, 3}, {2, 3}, {3}},
                                    "triplet_margin_loss: anchor [2, 3] and negative [3] must have the same shape"),
                  fails<ShapeError>({{}, {}, {}}, "triplet_margin_loss: axis -1 is out of range for rank 0"),
                  fails_when<Error>([](Tape& t) { const Var x = ones(t, {2}); triplet_margin_loss(x, x, x, 1, 0); },
                                    "triplet_margin_loss: eps = 0 is not above 0")}},
      {.name = "l2_penalty",
       .f = [](Vars x) { return l2_penalty(x[0], 0.3); },
       .reference = [](const Arrays& x) { return Array(0.3 * naive::fold(x[0] * x[0], {}, false, naive::sum)); },
       .sets = {{{4, 5}}, {{}}, {{0}}, {{50, 10}}}},
  };
  rows.insert(rows.end(), others.begin(), others.end());
  return rows;
}

}  // namespace xgrad::cases
