// Losses, convolutions, pools, normalisation, attention and recurrent cells.
#include <cmath>

#include "tests/differential/libtorch.hpp"

namespace xgrad::differential {
namespace {

constexpr std::int64_t kIgnored = 1;
constexpr double kSmoothing = 0.2;
const c10::optional<Tensor> kNone = {};

c10::optional<Tensor> optional(Tensors x, std::size_t k) {
  return k < x.size() ? c10::optional<Tensor>(x[k]) : kNone;
}

// Losses --------------------------------------------------------------------------------------------------

Tensor row_labels(const Tensor& x) { return labels({x.size(0)}, x.size(1)); }

Tensor reduced(const Tensor& losses, std::int64_t reduction) {
  return reduction == at::Reduction::Mean  ? losses.mean()
         : reduction == at::Reduction::Sum ? losses.sum()
                                           : losses;
}

/// The cross entropy of rows of targets, from logarithms of probabilities, which libtorch has for logits
/// only.
Tensor of_targets(const Tensor& log_p, const Tensor& t, std::int64_t reduction) {
  return reduced(-(t * log_p).sum(1), reduction);
}

/// The same with smoothed targets and class weights.
Tensor smoothed(const Tensor& log_p, const Tensor& t, const Tensor& weights) {
  const double classes = static_cast<double>(t.size(1));
  return (1 - kSmoothing) * t * weights * log_p + kSmoothing / classes * t.sum(1, true) * weights * log_p;
}

/// Of labels where kIgnored is ignored.
Tensor with_all_options(const Tensor& log_p, const Tensor& weights, std::int64_t reduction) {
  const Tensor label = row_labels(log_p), ignored = label.eq(kIgnored);
  const Tensor t = at::one_hot(label, log_p.size(1)).to(at::kDouble);
  const Tensor losses = -smoothed(log_p, t, weights).sum(1).masked_fill(ignored, 0);
  return reduction == at::Reduction::None
             ? losses
             : losses.sum() / weights.index_select(0, label).masked_fill(ignored, 0).sum();
}

/// By composition.
Tensor rms_norm(Tensors x, const std::vector<std::int64_t>& axes, double eps) {
  const Tensor y = x[0] * (x[0].square().mean(axes, true) + eps).rsqrt();
  return x.size() > 1 ? y * x[1] : y;
}

// By hand: clang-format spreads lambdas that hold braces over many lines.
// clang-format off
/// The rows of all cross entropies; both functions take a reduction.
void add_targets_and_labels(std::vector<Peer>& peers, const std::string& name, const auto& with_targets,
                            const auto& with_labels) {
  peers.insert(peers.end(), {
      peer(name, with_targets(at::Reduction::Mean)),
      peer(name + " of targets that are zero or one", with_targets(at::Reduction::Mean)),
      peer(name + " of labels", with_labels(at::Reduction::Mean)),
      peer(name + " of every row", with_targets(at::Reduction::None)),
      peer(name + " of every row with labels", with_labels(at::Reduction::None)),
      peer(name + " summed", with_labels(at::Reduction::Sum)),
  });
}

void add_softmax_cross_entropy(std::vector<Peer>& peers) {
  const auto with_targets = [](std::int64_t reduction) {
    return [=](Tensors x) { return at::cross_entropy_loss(x[0], x[1], {}, reduction); };
  };
  const auto with_labels = [](std::int64_t reduction) {
    return [=](Tensors x) { return at::cross_entropy_loss(x[0], row_labels(x[0]), {}, reduction); };
  };
  const auto with_options = [](std::int64_t reduction) {
    return [=](Tensors x) {
      return at::cross_entropy_loss(x[0], row_labels(x[0]), x[1], reduction, kIgnored, kSmoothing);
    };
  };
  const std::string name = "softmax_cross_entropy";
  add_targets_and_labels(peers, name, with_targets, with_labels);
  peers.insert(peers.end(), {
      peer(name + " with all options", with_options(at::Reduction::Mean), {1}),
      peer(name + " with all options, of every row", with_options(at::Reduction::None), {1}),
      peer(name + " with targets smoothed and weighted", [](Tensors x) {
        return at::cross_entropy_loss(x[0], x[1], x[2], at::Reduction::Mean, -100, kSmoothing);
      }),
  });
}

/// Cross entropies of what `log` makes logarithms of probabilities.
void add_cross_entropy(std::vector<Peer>& peers, const std::string& name, Tensor (*log)(const Tensor&)) {
  const auto with_targets = [=](std::int64_t reduction) {
    return [=](Tensors x) { return of_targets(log(x[0]), x[1], reduction); };
  };
  const auto with_labels = [=](std::int64_t reduction) {
    return [=](Tensors x) { return at::nll_loss_nd(log(x[0]), row_labels(x[0]), {}, reduction); };
  };
  add_targets_and_labels(peers, name, with_targets, with_labels);
  peers.insert(peers.end(), {
      peer(name + " with all options", [=](Tensors x) { return with_all_options(log(x[0]), x[1], at::Reduction::Mean); }),
      peer(name + " with all options, of every row",
           [=](Tensors x) { return with_all_options(log(x[0]), x[1], at::Reduction::None); }),
      peer(name + " with targets smoothed and weighted",
           [=](Tensors x) { return -smoothed(log(x[0]), x[1], x[2]).sum(1).mean(); }),
  });
}

/// The four rows of a loss of pairs of numbers; f(x, y, reduction).
void add_pairs(std::vector<Peer>& peers, const std::string& name,
               const std::function<Tensor(const Tensor&, const Tensor&, std::int64_t)>& f) {
  peers.push_back(peer(name, [=](Tensors x) { return f(x[0], x[1], at::Reduction::Mean); }));
  peers.push_back(peer(name + " summed", [=](Tensors x) { return f(x[0], x[1], at::Reduction::Sum); }));
  peers.push_back(peer(name + " of every element", [=](Tensors x) { return f(x[0], x[1], at::Reduction::None); }));
  peers.push_back(peer(name + " summed over rows of four", [=](Tensors x) {
    return f(x[0], x[1], at::Reduction::Sum) / static_cast<double>(x[0].size(0));
  }));
}

void add_losses(std::vector<Peer>& peers) {
  using T = const Tensor&;
  using R = std::int64_t;
  add_softmax_cross_entropy(peers);
  add_cross_entropy(peers, "categorical_cross_entropy", at::log);
  add_cross_entropy(peers, "nll_loss", [](T x) { return x; });
  add_pairs(peers, "mse", [](T x, T y, R r) { return at::mse_loss(x, y, r); });
  add_pairs(peers, "mae", [](T x, T y, R r) { return at::l1_loss(x, y, r); });
  add_pairs(peers, "huber", [](T x, T y, R r) { return at::huber_loss(x, y, r, 0.75); });
  add_pairs(peers, "smooth_l1", [](T x, T y, R r) { return at::smooth_l1_loss(x, y, r, 0.75); });
  add_pairs(peers, "smooth_l1 with beta 0", [](T x, T y, R r) { return at::smooth_l1_loss(x, y, r, 0); });
  add_pairs(peers, "kl_divergence", [](T x, T y, R r) { return at::kl_div(x, y, r); });
  add_pairs(peers, "hinge_loss", [](T x, T y, R r) { return at::margin_ranking_loss(x, at::zeros_like(x), y, 0.5, r); });
  add_pairs(peers, "binary_cross_entropy", [](T x, T y, R r) { return at::binary_cross_entropy(x, y, {}, r); });
  add_pairs(peers, "binary_cross_entropy_with_logits",
            [](T x, T y, R r) { return at::binary_cross_entropy_with_logits(x, y, {}, {}, r); });
  peers.insert(peers.end(), {
      peer("binary_cross_entropy weighted", [](Tensors x) { return at::binary_cross_entropy(x[0], x[1], x[2]); }, {2}),
      peer("binary_cross_entropy_with_logits weighted", [](Tensors x) {
        return at::binary_cross_entropy_with_logits(x[0], x[1], x[2], x[3], at::Reduction::None);
      }, {2, 3}),
      peer("cosine_similarity", [](Tensors x) { return at::cosine_similarity(x[0], x[1], -1); }),
      peer("cosine_similarity along axis 0", [](Tensors x) { return at::cosine_similarity(x[0], x[1], 0); }),
      peer("cosine_embedding_loss", [](Tensors x) {
        return at::cosine_embedding_loss(x[0], x[1], at::sign(x[2]), -2, at::Reduction::None);
      }),
      peer("triplet_margin_loss", [](Tensors x) { return at::triplet_margin_loss(x[0], x[1], x[2], 0.5); }),
      peer("l2_penalty", [](Tensors x) { return 0.3 * x[0].square().sum(); }),
  });
}

// Networks ------------------------------------------------------------------------------------------------

struct Convolution {
  std::vector<std::int64_t> stride{1, 1}, padding{0, 0}, dilation{1, 1}, output_padding{0, 0};
  std::int64_t groups = 1;
};
Peer conv2d(const char* row, const Convolution& c) {
  return peer(row, [=](Tensors x) {
    return at::conv2d(x[0], x[1], optional(x, 2), c.stride, c.padding, c.dilation, c.groups);
  });
}
Peer conv_transpose2d(const char* row, const Convolution& c) {
  return peer(row, [=](Tensors x) {
    return at::conv_transpose2d(x[0], x[1], optional(x, 2), c.stride, c.padding, c.output_padding, c.groups, c.dilation);
  });
}

using Extents = std::vector<std::int64_t>;
Peer max_pool(const char* row, const Extents& window, const Extents& stride, const Extents& padding) {
  return peer(row, [=](Tensors x) { return at::max_pool2d(x[0], window, stride, padding); });
}
Peer avg_pool(const char* row, const Extents& window, const Extents& stride, const Extents& padding, bool include) {
  return peer(row, [=](Tensors x) { return at::avg_pool2d(x[0], window, stride, padding, false, include); });
}

Extents last(const Tensor& x, std::int64_t axes) { return x.sizes().slice(static_cast<std::size_t>(x.dim() - axes)).vec(); }

/// By composition: this libtorch has no public attention.
Tensor attention(Tensors x, double scale, const c10::optional<Tensor>& mask) {
  Tensor scores = at::matmul(x[0], x[1].mT()) * scale;
  if (mask) scores = mask->scalar_type() == at::kBool ? scores.masked_fill(mask->logical_not(), -HUGE_VAL) : scores + *mask;
  return at::matmul(at::softmax(scores, -1), x[2]);
}
double scale_of(Tensors x) { return 1 / std::sqrt(static_cast<double>(x[0].size(-1))); }

/// The table's mask, true where q number `row` may look at k number `column`.
Tensor allowed(Tensors x) {
  const Tensor row = at::arange(x[0].size(-2)).unsqueeze(-1), column = at::arange(x[1].size(-2));
  return row.eq(column).logical_or((row * 3 + column * 5).remainder(4).lt(2));
}

void add_networks(std::vector<Peer>& peers) {
  peers.insert(peers.end(), {
      conv2d("conv2d", {}),
      conv2d("conv2d with all options", {.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}, .groups = 2}),
      conv2d("conv2d with a wide margin", {.stride = {3, 3}, .padding = {4, 4}}),
      conv2d("conv2d of single pixels", {}),
      conv2d("conv2d of single pixels in groups", {.groups = 2}),
      conv2d("conv2d of single channels", {.padding = {1, 1}, .groups = 3}),
      peer("conv1d", [](Tensors x) { return at::conv1d(x[0], x[1], optional(x, 2), 2, 1, 2); }),
      conv_transpose2d("conv_transpose2d", {}),
      conv_transpose2d("conv_transpose2d with all options",
                       {.stride = {3, 3}, .padding = {1, 1}, .dilation = {2, 2}, .output_padding = {2, 2}, .groups = 2}),

      max_pool("max_pool2d", {2, 2}, {2, 2}, {0, 0}),
      max_pool("max_pool2d of windows that overlap", {3, 2}, {2, 1}, {1, 1}),
      max_pool("max_pool2d of windows apart", {1, 2}, {3, 3}, {0, 0}),
      avg_pool("avg_pool2d", {2, 2}, {2, 2}, {0, 0}, true),
      avg_pool("avg_pool2d of windows that overlap", {3, 2}, {2, 1}, {1, 1}, true),
      avg_pool("avg_pool2d of what is in the image", {3, 2}, {1, 1}, {1, 1}, false),

      peer("batch_norm", [](Tensors x) {
        return at::batch_norm(x[0], optional(x, 1), optional(x, 2), {}, {}, true, 0, 1e-5, false);
      }),
      peer("batch_norm with given moments", [](Tensors x) {
        return at::batch_norm(x[0], optional(x, 3), optional(x, 4), x[1], x[2], false, 0, 0.1, false);
      }, {1, 2}),
      peer("batch_moments", [](Tensors x) {
        Extents axes{0};
        for (std::int64_t d = 2; d < x[0].dim(); ++d) axes.push_back(d);
        return (x[0].mean(axes) + 3 * at::var(x[0], axes, 0)).detach();
      }),
      peer("layer_norm", [](Tensors x) { return at::layer_norm(x[0], last(x[0], 1), optional(x, 1), optional(x, 2)); }),
      peer("layer_norm over several axes", [](Tensors x) {
        return at::layer_norm(x[0], last(x[0], 2), optional(x, 1), optional(x, 2), 0.2);
      }),
      peer("rms_norm", [](Tensors x) { return rms_norm(x, {-1}, 1e-5); }),
      peer("rms_norm over several axes", [](Tensors x) { return rms_norm(x, {-2, -1}, 0.2); }),
      peer("group_norm", [](Tensors x) { return at::group_norm(x[0], 2, optional(x, 1), optional(x, 2)); }),

      peer("scaled_dot_product_attention", [](Tensors x) { return attention(x, scale_of(x), {}); }),
      peer("scaled_dot_product_attention with numbers added, and a scale",
           [](Tensors x) { return attention(x, 0.3, x[3]); }),
      peer("scaled_dot_product_attention with a mask", [](Tensors x) { return attention(x, scale_of(x), allowed(x)); }),
      peer("scaled_dot_product_attention that is causal", [](Tensors x) {
        return attention(x, scale_of(x), at::ones({x[0].size(-2), x[1].size(-2)}, at::kBool).tril());
      }),
      peer("lstm_cell", [](Tensors x) {
        const auto [h, c] = at::lstm_cell(x[0], {x[1], x[2]}, x[3].t(), x[4].t(), x[5], x[6]);
        return at::cat({h, c}, 1);
      }),
      peer("gru_cell", [](Tensors x) { return at::gru_cell(x[0], x[1], x[2].t(), x[3].t(), x[4], x[5]); }),
  });
}

}  // namespace

std::vector<Peer> network_peers() {
  std::vector<Peer> peers;
  add_losses(peers);
  add_networks(peers);
  return peers;
}

}  // namespace xgrad::differential
