// Operands besides those of the case table: special values, kinks, ties, masks, matrices without an inverse.
#include <cmath>
#include <limits>
#include <map>

#include "tests/differential/differential.hpp"

namespace xgrad::differential {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity(),
                 kNan = std::numeric_limits<double>::quiet_NaN();
const double kHalfPi = std::acos(0.0);
const std::vector<double> kSpecial = {0,   -0.0, 0.001, -0.001, 1,    -1,    kHalfPi, -kHalfPi,
                                      501, -501, 1e20,  -1e20,  kInf, -kInf, kNan};

Array vector(const std::vector<double>& values) {
  return naive::generate({values.size()}, [&](const naive::Index& i) { return values[i[0]]; });
}

/// All pairs of the values.
Input pairs(const std::vector<double>& values) {
  std::vector<double> x, y;
  for (double a : values) {
    for (double b : values) x.push_back(a), y.push_back(b);
  }
  return {"", {vector(x), vector(y)}, true};
}

/// All pairs of the values as rows of two.
Input rows_of_two(const std::vector<double>& values) {
  const Input all = pairs(values);
  const auto row = [&](const naive::Index& i) { return all.x[i[1]](i[0]); };
  return {"", {naive::generate({all.x[0].size(), 2}, row)}, true};
}

Input elements(const std::vector<double>& x) { return {"", {vector(x)}, true}; }
Input elements(const std::vector<double>& x, const std::vector<double>& y) {
  return {"", {vector(x), vector(y)}, true};
}

/// Operands that the rows of decompositions turn into these matrices, by adding 1 + n to the diagonal.
Array regular_from(Array a) {
  const std::size_t n = a.shape(0);
  for (std::size_t i = 0; i < n; ++i) a(i, i) -= static_cast<double>(1 + n);
  return a;
}

const Array logits{{1e4, -1e4, 0, 2}, {-1e4, -1e4, -1e4, -1e4}, {1e4, 1e4, -1e4, 1e4}};
const Array equal_rows{{2, 2, 2, 2}, {0, 0, 0, 0}, {-3, -3, -3, -3}};
const Array masked_row{{-kInf, -kInf, -kInf, -kInf}, {1, 2, 3, 4}, {0, -1, -2, -3}};
const Array masked_in_part{{-kInf, 1, 2, -kInf}, {1, 2, 3, 4}, {-kInf, -kInf, -kInf, 2}};
const Array ties{{1, 3, 3, 2}, {2, 2, 2, 2}, {-1, -1, 0, -2}};
const Array not_numbers{{1, kNan, 3, 2}, {kInf, kInf, -kInf, 2}, {kNan, kNan, kInf, 0}};
const Array zeros = xt::zeros<double>({3, 4});
const Array one_hot{{0, 0, 1, 0}, {1, 0, 0, 0}, {0, 0, 0, 1}};
const Array distribution{{0.1, 0.2, 0.3, 0.4}, {0, 0.5, 0, 0.5}, {0.25, 0.25, 0.25, 0.25}};
const Array corank_1{{1, 2, 3}, {4, 5, 6}, {5, 7, 9}}, corank_2{{1, 2, 3}, {2, 4, 6}, {-1, -2, -3}};

std::map<std::string, std::vector<Input>> inputs() {
  std::map<std::string, std::vector<Input>> all;
  for (const char* row :
       {"softmax", "log_softmax", "logsumexp over the inner axis", "softmax_cross_entropy of labels",
        "softmax_cross_entropy of every row with labels"}) {
    all[row] = {{"logits of 1e4 and -1e4", {logits}},
                {"logits all equal", {equal_rows}},
                {"a row masked", {masked_row}},
                {"rows masked in part", {masked_in_part}}};
  }
  for (const char* row : {"softmax_cross_entropy", "softmax_cross_entropy of every row"}) {
    all[row] = {{"logits of 1e4 and -1e4", {logits, one_hot}},
                {"logits all equal", {equal_rows, one_hot}},
                {"rows masked in part", {masked_in_part, one_hot}}};
  }
  all["softmax_cross_entropy with targets smoothed and weighted"] = {
      {"targets that add up to 1", {ties, distribution, vector({1, 2, 0.5, 1})}}};
  for (const char* row : {"categorical_cross_entropy", "categorical_cross_entropy of every row"}) {
    all[row] = {{"p = 0.25, targets of 0 and 1", {0.25 + zeros, one_hot}},
                {"p = targets = 0", {one_hot, one_hot}}};
  }
  for (const char* row :
       {"max", "min", "max over the inner axis", "min over the inner axis", "norm of infinite order"}) {
    all[row] = {{"ties", {ties}}, {"infinities and NaN", {not_numbers}}};
  }
  for (const char* row : {"sort", "topk", "argmax", "argmin of the inner axis"}) {
    all[row].push_back({"ties", {ties}});
    all[row].push_back({"infinities and NaN", {not_numbers}});
  }
  for (const char* row :
       {"std", "var", "norm", "norm over the inner axis", "norm of order 1", "norm of order 3.5",
        "norm of infinite order", "std over the inner axis", "prod", "cumprod along the inner axis"}) {
    all[row].push_back({"zeros", {zeros}});
    all[row].push_back({"one element 0 in a row", {Array{{1, 0, 2, 3}, {1, 2, 3, 4}, {3, 0, 0, 1}}}});
  }
  for (const char* row : {"sum", "mean", "prod", "var", "std", "logsumexp", "norm"}) {
    all[row].push_back({"nothing", {xt::zeros<double>({0})}});
    all[row + std::string(" over the inner axis")].push_back({"nothing", {xt::zeros<double>({3, 0})}});
  }
  all["var with a correction"] = {{"one element", {xt::zeros<double>({2, 1})}}};

  // Reductions that are ops of their own; the others' infinities go by the rules of what they are made of.
  for (const char* row :
       {"sum over the inner axis", "mean over the inner axis", "max over the inner axis",
        "min over the inner axis", "prod over the inner axis", "logsumexp over the inner axis", "softmax",
        "log_softmax", "cumsum along the inner axis", "cumprod along the inner axis", "sort", "topk"}) {
    all[row].push_back(rows_of_two(kSpecial));
  }

  all["det"] = {{"corank 1", {corank_1}}, {"corank 2", {corank_2}}, {"zeros", {xt::zeros<double>({2, 2})}}};
  all["logdet"] = {{"corank 1", {regular_from({{1, 2}, {2, 4}})}},
                   {"det < 0", {regular_from({{0, 1}, {1, 0}})}}};
  all["slogdet of the logarithm"] = all["logdet"];

  all["clamp"] = {elements({-0.5, 1.25})};
  const std::vector<double> x = {0, 0.75, -0.75, 0.5, 3, -3, 1e20, kInf, kNan}, origin(x.size(), 0);
  for (const char* row : {"mse", "mae", "huber", "smooth_l1", "smooth_l1 with beta 0"}) {
    all[row + std::string(" of every element")] = {elements(x, origin)};
  }
  all["hinge_loss of every element"] = {
      elements({0.5, -0.5, 0.5, 0, 1e20, kInf, kNan}, {1, -1, -1, 1, -1, 1, 1})};
  all["binary_cross_entropy of every element"] = {elements({0, 1, 0, 1, 0.5, 0.5}, {0, 1, 1, 0, 0, 1})};
  all["binary_cross_entropy_with_logits of every element"] = {
      elements({0, 1e4, -1e4, 1e4, -1e4, kInf, -kInf, kNan}, {0, 0, 0, 1, 1, 1, 0, 1})};
  all["kl_divergence of every element"] = {elements({-1, 0, -kInf, -kInf, -2}, {0, 0, 0, 1, 1})};
  const Array apart{{1, 2, 3}, {4, 5, 6}}, with_zero{{0, 0, 0}, {1, 0, -1}};
  all["cosine_similarity"] = {{"a vector of zeros", {with_zero, apart}}, {"the same", {apart, apart}}};
  all["cosine_embedding_loss"] = {{"a vector of zeros", {with_zero, apart, vector({1, -1})}}};
  all["triplet_margin_loss"] = {{"all the same", {apart, apart, apart}},
                                {"far apart", {apart, apart, 100 * apart}}};

  const Array image = xt::reshape_view(ties, {1, 1, 3, 4}),
              not_image = xt::reshape_view(not_numbers, {1, 1, 3, 4});
  for (const char* row : {"max_pool2d", "max_pool2d of windows that overlap", "avg_pool2d"}) {
    all[row] = {{"ties", {image}}, {"infinities and NaN", {not_image}}};
  }
  all["batch_norm"] = {{"a batch of one", {Array{{1, 2, 3}}}},
                       {"constant channels", {Array{{1, 2, 3}, {1, 2, 3}}}}};
  all["layer_norm"] = {{"constant rows", {equal_rows}}};
  all["rms_norm"] = {{"rows of zeros", {zeros}}};
  const Array q = ties, k = distribution, v = equal_rows;
  all["scaled_dot_product_attention with numbers added, and a scale"] = {
      {"a row masked", {q, k, v, Array{{-kInf, -kInf, -kInf}, {0, 0, 0}, {0, -kInf, 0}}}}};
  all["where"] = {{"NaN where it is not taken", {zeros, ties, not_numbers}}};
  all["masked_fill"] = {
      {"NaN under the mask", {not_numbers, Array{{0, 1, 0, 0}, {1, 1, 1, 0}, {1, 1, 0, 0}}}}};
  return all;
}

}  // namespace

std::vector<Input> further_inputs(const cases::OpCase& row) {
  static const std::map<std::string, std::vector<Input>> all = inputs();
  std::vector<Input> result;
  const bool again = row.name.starts_with("operator") || row.name.ends_with("of negative numbers");
  if (again) return {};
  if (row.sets == cases::unary_sets) result.push_back(elements(kSpecial));
  if (row.sets == cases::binary_sets) result.push_back(pairs(kSpecial));
  if (const auto more = all.find(row.name); more != all.end()) {
    result.insert(result.end(), more->second.begin(), more->second.end());
  }
  return result;
}

}  // namespace xgrad::differential
