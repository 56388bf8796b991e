// Shapes, indices, order, products of matrices, and decompositions.
#include <algorithm>

#include "tests/differential/libtorch.hpp"

namespace xgrad::differential {
namespace {

// By hand: clang-format spreads lambdas that hold braces over many lines.
// clang-format off
std::vector<Peer> shape_peers() {
  return {
      peer("reshape", [](Tensors x) { return x[0].reshape({2, -1}); }),
      peer("reshape of a scalar", [](Tensors x) { return x[0].reshape({1, 1}); }),
      peer("transpose", [](Tensors x) {
        std::vector<std::int64_t> axes;
        for (std::int64_t d = x[0].dim(); d-- > 0;) axes.push_back(d);
        return x[0].permute(axes);
      }),
      peer("transpose with axes", [](Tensors x) { return x[0].permute({2, 0, -2}); }),
      peer("permute", [](Tensors x) { return x[0].permute({1, -1, 0}); }),
      peer("swapaxes", [](Tensors x) { return x[0].swapaxes(0, -1); }),
      peer("flatten", [](Tensors x) { return x[0].flatten(); }),
      peer("flatten some axes", [](Tensors x) { return x[0].flatten(1, -2); }),
      peer("squeeze", [](Tensors x) { return x[0].squeeze(); }),
      peer("squeeze some axes", [](Tensors x) { return x[0].squeeze(-1).squeeze(0); }),
      peer("expand_dims", [](Tensors x) { return x[0].unsqueeze(0); }),
      peer("expand_dims behind", [](Tensors x) { return x[0].unsqueeze(-1); }),
      peer("broadcast_to", [](Tensors x) { return x[0].broadcast_to({4, 3, 2}); }),
      peer("concat", [](Tensors x) { return at::cat(x, 0); }),
      peer("concat of many along an inner axis", [](Tensors x) { return at::cat(x, -1); }),
      peer("stack", [](Tensors x) { return at::stack(x); }),
      peer("stack along the inner axis", [](Tensors x) { return at::stack(x, -1); }),
      peer("split", [](Tensors x) { const auto p = x[0].tensor_split(2); return at::cat({p[1], p[0]}); }),
      peer("split in sizes", [](Tensors x) {
        const auto p = x[0].split_with_sizes({1, 0, 3}, -1);
        return at::cat({p[2], p[1], p[0]}, -1);
      }),
      peer("slice", [](Tensors x) { return x[0].slice(0, 1, 4); }),
      peer("slice in steps", [](Tensors x) { return x[0].slice(-1, -7, -1, 3); }),
      peer("slice backwards", [](Tensors x) { return x[0].slice(0, 0, 5, 2).flip(0); }),
      peer("slice of nothing", [](Tensors x) { return x[0].slice(1, 3, 2); }),
      peer("flip", [](Tensors x) {
        std::vector<std::int64_t> axes;
        for (std::int64_t d = 0; d < x[0].dim(); ++d) axes.push_back(d);
        return x[0].flip(axes);
      }),
      peer("flip one axis", [](Tensors x) { return x[0].flip(-1); }),
      peer("roll", [](Tensors x) { return x[0].roll(2, 0); }),
      peer("roll backwards and around", [](Tensors x) { return x[0].roll(-4, -1); }),
      peer("pad", [](Tensors x) { return at::constant_pad_nd(x[0], {2, 3, 1, 0}, 7); }),
      peer("pad with nothing", [](Tensors x) { return at::constant_pad_nd(x[0], {}); }),
      peer("pad with the edge", [](Tensors x) {
        return at::replication_pad2d(x[0].unsqueeze(0), {2, 3, 1, 0}).squeeze(0);
      }),
      peer("pad with a reflection", [](Tensors x) {
        return at::reflection_pad2d(x[0].unsqueeze(0), {2, 3, 1, 0}).squeeze(0);
      }),
      peer("tile", [](Tensors x) { return x[0].tile({2, 3}); }),
      peer("tile no times", [](Tensors x) { return x[0].tile({0, 1}); }),
      peer("repeat", [](Tensors x) { return x[0].repeat_interleave(3, 0); }),
      peer("repeat along an inner axis", [](Tensors x) { return x[0].repeat_interleave(2, -1); }),
      peer("diag of a matrix", [](Tensors x) { return x[0].diag(); }),
      peer("diag of a matrix, to the right", [](Tensors x) { return x[0].diag(2); }),
      peer("diag of a matrix, to the left", [](Tensors x) { return x[0].diag(-1); }),
      peer("diag", [](Tensors x) { return x[0].diag(); }),
      peer("diag to the right", [](Tensors x) { return x[0].diag(2); }),
      peer("diag to the left", [](Tensors x) { return x[0].diag(-1); }),
      peer("tril", [](Tensors x) { return x[0].tril(); }),
      peer("tril to the left", [](Tensors x) { return x[0].tril(-1); }),
      peer("triu", [](Tensors x) { return x[0].triu(); }),
      peer("triu to the right", [](Tensors x) { return x[0].triu(2); }),
  };
}

Tensor gather(const Tensor& x, std::int64_t axis, std::int64_t count) {
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape[static_cast<std::size_t>(axis)] = count;
  return x.gather(axis, labels(shape, x.size(axis)));
}

Tensor scatter_add(const Tensor& x, std::int64_t axis, std::int64_t extent) {
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape[static_cast<std::size_t>(axis)] = extent;
  return at::zeros(shape, at::kDouble).scatter_add(axis, labels(x.sizes(), extent), x);
}

/// libtorch's index is a vector.
Tensor take(const Tensor& x, std::int64_t axis, const std::vector<std::int64_t>& index) {
  std::vector<std::int64_t> shape = x.sizes().vec();
  const auto at = shape.begin() + (axis < 0 ? axis + x.dim() : axis);
  const auto rest = shape.erase(at);
  shape.insert(rest, index.begin(), index.end());
  return x.index_select(axis, labels(index, x.size(axis)).flatten()).reshape(shape);
}

std::vector<Peer> index_peers() {
  return {
      peer("gather", [](Tensors x) { return gather(x[0], 0, 6); }),
      peer("gather along an inner axis", [](Tensors x) { return gather(x[0], 1, 3); }),
      peer("scatter_add", [](Tensors x) { return scatter_add(x[0], 0, 4); }),
      peer("scatter_add along an inner axis", [](Tensors x) { return scatter_add(x[0], 1, 3); }),
      peer("one_hot", [](Tensors x) { return at::one_hot(labels(x[0].sizes(), 5), 5).to(at::kDouble); }),
      peer("take", [](Tensors x) { return take(x[0], 0, {4}); }),
      peer("take matrices of the inner axis", [](Tensors x) { return take(x[0], -1, {2, 3}); }),
      peer("take one slice of a middle axis", [](Tensors x) { return take(x[0], 1, {}); }),
      peer("take nothing", [](Tensors x) { return take(x[0], 1, {0, 2}); }),
      peer("embedding", [](Tensors x) { return at::embedding(x[0], labels({3, 2}, x[0].size(0))); }),
      peer("masked_fill", [](Tensors x) { return x[0].masked_fill(x[1] > 0.5, 3); }),

      peer("argmax", [](Tensors x) { return x[0].argmax(); }),
      peer("argmin", [](Tensors x) { return x[0].argmin().reshape(std::vector<std::int64_t>(x[0].sizes().size(), 1)); }),
      peer("argmax of a middle axis, kept", [](Tensors x) { return x[0].argmax(1, true); }),
      peer("argmin of the inner axis", [](Tensors x) { return x[0].argmin(-1, true); }),
      peer("argsort", [](Tensors x) { return at::argsort(x[0], true); }),
      peer("argsort of a middle axis, descending", [](Tensors x) { return at::argsort(x[0], true, 1, true); }),
      peer("sort", [](Tensors x) { return std::get<0>(x[0].sort(true)); }),
      peer("sort a middle axis, descending", [](Tensors x) { return std::get<0>(x[0].sort(true, 1, true)); }),
      peer("topk", [](Tensors x) { return std::get<0>(x[0].topk(1)); }),
      peer("topk smallest of a middle axis", [](Tensors x) { return std::get<0>(x[0].topk(3, 1, false)); }),
      peer("topk indices", [](Tensors x) { return std::get<1>(x[0].topk(2, 0)); }),
  };
}

Tensor swapped(const Tensor& x) { return x.dim() < 2 ? x : x.mT(); }

void add_einsum(std::vector<Peer>& peers) {
  const std::vector<std::pair<const char*, const char*>> rows = {
      {"of two matrices", "ij,jk->ik"}, {"with spaces and without a result", " ij , jk "},
      {"in the order of the alphabet", "ba"}, {"with capitals first", "aB,cB,D"},
      {"of nothing to sum", "i,j->ji"}, {"of scalars", ",->"}, {"of a scalar and a vector", ",i"},
      {"of elements", "ij,ij->ij"}, {"of transposed elements", "ij,ji->ij"}, {"of all elements", "ij,ij"},
      {"of a sum", "ijk->j"}, {"of a permutation", "ijk->kij"}, {"of a diagonal", "ii->i"},
      {"of a trace", "ii"}, {"of diagonals", "iji,kk->jk"}, {"of a diagonal of three", "iiij->ji"},
      {"of batches", "bij,bjk->bik"}, {"of inner batches", "ibj,kjb->kib"},
      {"of both transposed", "ki,jk->ij"}, {"of dot products", "bi,bi->b"},
      {"with sums of one operand", "ijk,jl->l"}, {"of three", "ij,jk,kl->il"},
      {"of a letter in all", "ij,ik,il->jkl"}, {"of attention", "bqhd,bkhd->bhqk"},
      {"of a bilinear form", "i,ij,j"}, {"with an ellipsis", "...ij,...jk"},
      {"with an ellipsis that broadcasts", "...i,i...->..."}, {"with an ellipsis inside", "i...j->j...i"},
      {"with an ellipsis for nothing", "...ij->...ji"}, {"with an ellipsis in one operand", "...i,i"}};
  for (const auto& [what, subscripts] : rows) {
    peers.push_back(peer(std::string("einsum ") + what,
                         [subscripts = subscripts](Tensors x) { return at::einsum(subscripts, x); }));
  }
}

void add_products(std::vector<Peer>& peers) {
  peers.insert(peers.end(), {
      binary("matmul", at::matmul),
      peer("matmul of x transposed", [](Tensors x) { return at::matmul(swapped(x[0]), x[1]); }),
      peer("matmul of y transposed", [](Tensors x) { return at::matmul(x[0], swapped(x[1])); }),
      peer("matmul of both transposed", [](Tensors x) { return at::matmul(swapped(x[0]), swapped(x[1])); }),
      peer("linear", [](Tensors x) { return at::linear(x[0], x[1].t(), x[2]); }),
      peer("outer", [](Tensors x) { return at::outer(x[0].flatten(), x[1].flatten()); }),
      peer("tensordot", [](Tensors x) { return at::tensordot(x[0], x[1], {-1}, {0}); }),
      peer("tensordot over two axes", [](Tensors x) { return at::tensordot(x[0], x[1], {-2, -1}, {0, 1}); }),
      peer("tensordot over no axis", [](Tensors x) { return at::tensordot(x[0], x[1], {}, {}); }),
      peer("tensordot over axes by name", [](Tensors x) { return at::tensordot(x[0], x[1], {0, -1}, {1, 0}); }),
      peer("trace", [](Tensors x) { return x[0].dim() == 2 ? x[0].trace() : x[0].diagonal(0, -2, -1).sum(-1); }),
      peer("trace over axes by name", [](Tensors x) { return x[0].diagonal(0, 2, 0).sum(-1); }),
  });
}

// The table's operands are made into the same matrices as there.

Tensor eye(const Tensor& x) { return at::eye(x.size(-1), at::kDouble); }
Tensor regular(const Tensor& x) { return x + static_cast<double>(1 + x.size(-1)) * eye(x); }
Tensor definite(const Tensor& x) { return at::matmul(x, x.mT()) + eye(x); }
Tensor spread(const Tensor& x) {
  const std::int64_t m = x.size(-2), n = x.size(-1);
  return 0.1 * x + at::eye(m, n, at::kDouble) * at::arange(1, m + 1, at::kDouble).unsqueeze(-1);
}
Tensor symmetric(const Tensor& x) { return 0.5 * (spread(x) + spread(x).mT()); }

Tensor solved(const Tensor& a, const Tensor& b, const std::function<Tensor(const Tensor&, const Tensor&)>& solve) {
  return b.dim() == 1 ? solve(a, b.unsqueeze(-1)).squeeze(-1) : solve(a, b);
}

void add_triangular(std::vector<Peer>& peers, const std::string& what, bool upper, bool transpose, bool left, bool unit) {
  peers.push_back(peer("triangular_solve" + what, [=](Tensors x) {
    return solved(regular(x[0]), x[1], [=](const Tensor& a, const Tensor& b) {
      return at::linalg_solve_triangular(transpose ? a.mT() : a, b, upper != transpose, left, unit);
    });
  }));
}

/// A function of the matrix that an operand is made into.
Peer of_matrix(const char* row, Tensor (*made)(const Tensor&), const std::function<Tensor(const Tensor&)>& f) {
  return peer(row, [=](Tensors x) { return f(made(x[0])); });
}
Tensor itself(const Tensor& x) { return x; }

/// As in the table: signs that make r's diagonal positive.
std::pair<Tensor, Tensor> normalized_qr(const Tensor& a) {
  const auto [q, r] = at::linalg_qr(a);
  const Tensor sign = at::sign(r.diagonal(0, -2, -1)).detach();
  return {q * sign.unsqueeze(-2), r * sign.unsqueeze(-1)};
}

void add_decompositions(std::vector<Peer>& peers) {
  add_triangular(peers, "", false, false, true, false);
  add_triangular(peers, " of the upper triangle", true, false, true, false);
  add_triangular(peers, " of a transposed", false, true, true, false);
  add_triangular(peers, " of an upper triangle transposed", true, true, true, false);
  add_triangular(peers, " with a unit diagonal", false, false, true, true);
  add_triangular(peers, " from the right", false, false, false, false);
  add_triangular(peers, " from the right, upper", true, false, false, false);
  add_triangular(peers, " from the right, upper and transposed", true, true, false, false);
  add_triangular(peers, " from the right, transposed with a unit diagonal", false, true, false, true);
  peers.insert(peers.end(), {
      peer("solve", [](Tensors x) {
        return solved(regular(x[0]), x[1], [](const Tensor& a, const Tensor& b) { return at::linalg_solve(a, b); });
      }),
      of_matrix("inv", regular, [](const Tensor& a) { return at::linalg_inv(a); }),
      of_matrix("det", itself, [](const Tensor& a) { return at::linalg_det(a); }),
      of_matrix("det of a regular matrix", regular, [](const Tensor& a) { return at::linalg_det(a); }),
      of_matrix("logdet", regular, [](const Tensor& a) { return at::logdet(a); }),
      of_matrix("slogdet of the logarithm", regular, [](const Tensor& a) { return std::get<1>(at::linalg_slogdet(-a)); }),
      of_matrix("slogdet_sign", itself, [](const Tensor& a) { return std::get<0>(at::linalg_slogdet(a)); }),
      of_matrix("cholesky", definite, [](const Tensor& a) { return at::linalg_cholesky(a); }),
      of_matrix("qr of q", spread, [](const Tensor& a) { return normalized_qr(a).first; }),
      of_matrix("qr of r", spread, [](const Tensor& a) { return normalized_qr(a).second; }),
      of_matrix("qr of both", spread, [](const Tensor& a) {
        const auto [q, r] = at::linalg_qr(a);
        return at::matmul(at::tanh(at::matmul(q, q.mT())), at::matmul(q, r));
      }),
      of_matrix("eigh of the values", symmetric, [](const Tensor& a) { return std::get<0>(at::linalg_eigh(a)); }),
      of_matrix("eigh of the vectors", symmetric, [](const Tensor& a) { return std::get<1>(at::linalg_eigh(a)).square(); }),
      of_matrix("eigh of both", symmetric, [](const Tensor& a) {
        const auto [values, vectors] = at::linalg_eigh(a);
        return at::matmul(vectors * values.square().unsqueeze(-2), vectors.mT());
      }),
      of_matrix("svd of the values", spread, [](const Tensor& a) { return std::get<1>(at::linalg_svd(a, false)); }),
      of_matrix("svd of u", spread, [](const Tensor& a) { return std::get<0>(at::linalg_svd(a, false)).square(); }),
      of_matrix("svd of vh", spread, [](const Tensor& a) { return std::get<2>(at::linalg_svd(a, false)).square(); }),
      of_matrix("svd of all", spread, [](const Tensor& a) {
        const auto [u, s, vh] = at::linalg_svd(a, false);
        return at::matmul(u * s.pow(3).unsqueeze(-2), vh);
      }),
  });
}

}  // namespace

std::vector<Peer> tensor_peers() {
  std::vector<Peer> peers = shape_peers();
  for (Peer& p : index_peers()) peers.push_back(std::move(p));
  add_products(peers);
  add_einsum(peers);
  add_decompositions(peers);
  return peers;
}

}  // namespace xgrad::differential
