// einsum, tensordot, outer and trace. Each contraction of two operands is one batch of matrix products.
#include <algorithm>
#include <cctype>
#include <iterator>
#include <map>
#include <numeric>
#include <string>

#include "lib/ops/decompositions.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/linalg.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/tape/flow.hpp"

namespace xgrad {
namespace {

using Labels = std::vector<int>;

bool has(const Labels& labels, int label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}
int position(const Labels& labels, int label) {
  return static_cast<int>(std::find(labels.begin(), labels.end(), label) - labels.begin());
}
/// The labels that are among others, or with `in` false those that are not.
Labels common(const Labels& labels, const Labels& others, bool in = true) {
  Labels result;
  std::copy_if(labels.begin(), labels.end(), std::back_inserter(result),
               [&](int label) { return has(others, label) == in; });
  return result;
}
Labels joined(Labels a, const Labels& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// A tensor whose axes have names.
struct NamedTensor {
  Var value;
  Labels labels;

  std::int64_t extent(int label) const { return value.shape()[position(labels, label)]; }
  std::int64_t size(const Labels& some) const {
    std::int64_t n = 1;
    for (int label : some) n *= extent(label);
    return n;
  }
  NamedTensor ordered(const Labels& order) const {
    if (labels == order) return *this;
    std::vector<int> axes;
    for (int label : order) axes.push_back(position(labels, label));
    return {transpose(value, axes), order};
  }
  /// Summed over the axes that are not among `kept`.
  NamedTensor summed_to(const Labels& kept) const {
    std::vector<int> axes;
    for (int label : common(labels, kept, false)) axes.push_back(position(labels, label));
    return axes.empty() ? *this : NamedTensor{sum(value, axes), common(labels, kept)};
  }
};

/// The elements whose indices along two axes are equal; the axis of the diagonal comes last.
Var diagonal(const Var& x, int axis1, int axis2) {
  std::vector<int> axes;
  for (int i = 0; i < x.rank(); ++i) {
    if (i != axis1 && i != axis2) axes.push_back(i);
  }
  axes.insert(axes.end(), {axis1, axis2});
  const Var matrices = transpose(x, axes);
  const std::int64_t rows = x.shape()[axis1], columns = x.shape()[axis2], n = std::min(rows, columns);
  // In row-major order the diagonal is every (columns + 1)-th element of the first n rows.
  const Var square = slice(matrices, -2, 0, n);
  return slice(reshape(square, detail::with_matrix(detail::batch_of(square.shape()), {n * columns})), -1, 0,
               {}, columns + 1);
}

/// Matrices [batch, first, second], perhaps stored as [batch, second, first].
struct Stack {
  Var value;
  bool transposed;
};
Stack stack(const NamedTensor& x, const Labels& batch, const Labels& first, const Labels& second) {
  const Labels order = joined(joined(batch, first), second);
  const std::int64_t b = x.size(batch), m = x.size(first), n = x.size(second);
  if (x.labels != order && x.labels == joined(joined(batch, second), first))
    return {reshape(x.value, Shape{b, n, m}), true};
  return {reshape(x.ordered(order).value, Shape{b, m, n}), false};
}

/// The products of x and y, summed over the labels that both have and `kept` lacks.
NamedTensor contract(const NamedTensor& x, const NamedTensor& y, const Labels& kept) {
  const Labels both = common(x.labels, y.labels), batch = common(both, kept),
               inner = common(both, kept, false);
  const Labels left = common(x.labels, both, false), right = common(y.labels, both, false);
  const Stack a = stack(x, batch, left, inner), b = stack(y, batch, inner, right);
  // Without a label to sum over the elements are multiplied.
  const auto plain = [](const Stack& s) { return s.transposed ? detail::swap_axes(s.value) : s.value; };
  const Var product =
      inner.empty() ? plain(a) * plain(b) : matmul(a.value, b.value, a.transposed, b.transposed);
  Shape shape;
  for (int label : batch) shape.push_back(x.extent(label));
  for (int label : left) shape.push_back(x.extent(label));
  for (int label : right) shape.push_back(y.extent(label));
  return {reshape(product, shape), joined(joined(batch, left), right)};
}

// Subscripts --------------------------------------------------------------------------------------------

constexpr int kEllipsis = 256;  // labels of the axes that `...` stands for, counted from the last

[[noreturn]] void fail(const std::string& what) { throw ShapeError("einsum: " + what); }

/// The labels of one term, `...` as kEllipsis.
Labels parse_term(std::string_view term) {
  Labels labels;
  for (std::size_t i = 0; i < term.size(); ++i) {
    if (std::isalpha(static_cast<unsigned char>(term[i]))) {
      labels.push_back(term[i]);
    } else if (term.substr(i, 3) == "..." && !has(labels, kEllipsis)) {
      labels.push_back(kEllipsis);
      i += 2;
    } else {
      fail(detail::text("'", term[i], "' in '", term, "' is neither a letter nor one ellipsis"));
    }
  }
  return labels;
}

/// `...` replaced by the labels of `count` axes.
Labels expand(const Labels& labels, int count) {
  Labels result;
  for (int label : labels) {
    for (int i = count; label == kEllipsis && i > 0; --i) result.push_back(kEllipsis + i);
    if (label != kEllipsis) result.push_back(label);
  }
  return result;
}

struct Subscripts {
  std::vector<Labels> terms;
  Labels result;
  bool explicit_result = false;
};

Subscripts parse(std::string_view subscripts) {
  std::string text(subscripts);
  std::erase(text, ' ');
  Subscripts parsed;
  const std::size_t arrow = text.find("->");
  const std::string_view all = text, terms = all.substr(0, arrow);
  for (std::size_t start = 0; start <= terms.size();) {
    const std::size_t comma = std::min(terms.find(',', start), terms.size());
    parsed.terms.push_back(parse_term(terms.substr(start, comma - start)));
    start = comma + 1;
  }
  parsed.explicit_result = arrow != std::string::npos;
  if (parsed.explicit_result) parsed.result = parse_term(all.substr(arrow + 2));
  return parsed;
}

std::string name_of(int label) {
  return label > kEllipsis ? "..." : std::string(1, static_cast<char>(label));
}

/// Operand k as a named tensor, which may have a label twice. @throws ShapeError
NamedTensor name_axes(const Labels& term, const Var& x, std::size_t k) {
  const int letters =
      static_cast<int>(std::count_if(term.begin(), term.end(), [](int l) { return l < kEllipsis; }));
  const bool ellipsis = has(term, kEllipsis);
  if (ellipsis ? x.rank() < letters : x.rank() != letters) {
    fail(detail::text("operand ", k, ' ', x.shape(), " has ", x.rank(), " axes for ", letters, " letters",
                      ellipsis ? " and an ellipsis" : ""));
  }
  return {x, expand(term, x.rank() - letters)};
}

/// The full extent of every label. @throws ShapeError when they disagree.
std::map<int, std::int64_t> extents_of(const std::vector<NamedTensor>& operands) {
  std::map<int, std::int64_t> extents;
  for (std::size_t k = 0; k < operands.size(); ++k) {
    const Shape& shape = operands[k].value.shape();
    for (int axis = 0; axis < shape.rank(); ++axis) {
      const int label = operands[k].labels[static_cast<std::size_t>(axis)];
      std::int64_t& extent = extents.try_emplace(label, shape[axis]).first->second;
      if (label > kEllipsis && extent == 1) extent = shape[axis];
      if (extent != shape[axis] && !(label > kEllipsis && shape[axis] == 1)) {
        fail(detail::text("operand ", k, ' ', shape, " has extent ", shape[axis], " for '", name_of(label),
                          "', where another has ", extent));
      }
    }
  }
  return extents;
}

/// x with each label once: a repeated label takes the diagonal. An axis of extent 1 that broadcasts is
/// dropped, since products broadcast over it all the same.
NamedTensor simplified(NamedTensor x, const std::map<int, std::int64_t>& extents) {
  for (std::size_t i = 0; i < x.labels.size();) {
    const int label = x.labels[i];
    const auto first = x.labels.begin() + static_cast<std::ptrdiff_t>(i);
    const auto again = std::find(first + 1, x.labels.end(), label);
    if (again == x.labels.end()) {
      ++i;
      continue;
    }
    x.value = diagonal(x.value, static_cast<int>(i), static_cast<int>(again - x.labels.begin()));
    x.labels.erase(again);
    x.labels.erase(first);
    x.labels.push_back(label);
  }
  Shape shape;
  Labels labels;
  for (int label : x.labels) {
    if (x.extent(label) != extents.at(label)) continue;
    shape.push_back(x.extent(label));
    labels.push_back(label);
  }
  return labels == x.labels ? x : NamedTensor{reshape(x.value, shape), labels};
}

/// The labels of the result. @throws ShapeError
Labels result_of(const Subscripts& s, const std::map<int, std::int64_t>& extents) {
  Labels ellipsis, all;
  for (const auto& [label, extent] : extents) {
    if (label > kEllipsis) ellipsis.insert(ellipsis.begin(), label);
  }
  for (const Labels& term : s.terms) all = joined(all, term);
  Labels result = ellipsis;
  if (!s.explicit_result) {
    for (const auto& [label, extent] : extents) {
      if (label < kEllipsis && std::count(all.begin(), all.end(), label) == 1) result.push_back(label);
    }
    return result;
  }
  for (int label : s.result) {
    if (!has(all, label)) fail(detail::text("'", name_of(label), "' of the result is in no operand"));
    if (std::count(s.result.begin(), s.result.end(), label) > 1)
      fail(detail::text("'", name_of(label), "' is in the result twice"));
  }
  if (!ellipsis.empty() && !has(s.result, kEllipsis))
    fail("the result has no '...' for the axes of the operands'");
  return expand(s.result, static_cast<int>(ellipsis.size()));
}

/// The axes of a tensor from the front. @throws ShapeError when one is named twice or out of range.
std::vector<int> normalize_axes(const char* operand, const Var& x, const std::vector<int>& axes) {
  std::vector<int> result;
  for (int axis : axes) {
    const int a = normalize_axis("tensordot", axis, x.rank());
    if (has(result, a))
      throw ShapeError(detail::text("tensordot: axis ", axis, " of ", operand, " is named twice"));
    result.push_back(a);
  }
  return result;
}

}  // namespace

Var outer(const Var& x, const Var& y) {
  require_floating("outer", x, y);
  return reshape(x, Shape{x.size(), 1}) * reshape(y, Shape{1, y.size()});
}

Var tensordot(const Var& x, const Var& y, const std::vector<int>& x_axes, const std::vector<int>& y_axes) {
  require_floating("tensordot", x, y);
  const std::vector<int> xa = normalize_axes("x", x, x_axes), ya = normalize_axes("y", y, y_axes);
  if (xa.size() != ya.size())
    throw ShapeError(detail::text("tensordot: ", xa.size(), " axes of x and ", ya.size(), " of y"));
  NamedTensor a{x, Labels(static_cast<std::size_t>(x.rank()))},
      b{y, Labels(static_cast<std::size_t>(y.rank()))};
  std::iota(a.labels.begin(), a.labels.end(), 0);
  std::iota(b.labels.begin(), b.labels.end(), x.rank());
  const Labels kept = joined(a.labels, b.labels);
  for (std::size_t i = 0; i < xa.size(); ++i) {
    const std::int64_t m = x.shape()[xa[i]], n = y.shape()[ya[i]];
    if (m != n) {
      throw ShapeError(detail::text("tensordot: extents differ, ", m, " along axis ", xa[i], " of x ",
                                    x.shape(), " and ", n, " along axis ", ya[i], " of y ", y.shape()));
    }
    a.labels[static_cast<std::size_t>(xa[i])] = b.labels[static_cast<std::size_t>(ya[i])] =
        -1 - static_cast<int>(i);
  }
  return contract(a, b, kept).value;
}

Var tensordot(const Var& x, const Var& y, int axes) {
  if (axes < 0 || axes > std::min(x.rank(), y.rank())) {
    throw ShapeError(detail::text("tensordot: x ", x.shape(), " and y ", y.shape(), " have no ", axes,
                                  " axes to sum over"));
  }
  std::vector<int> last(static_cast<std::size_t>(axes)), first(last);
  std::iota(last.begin(), last.end(), x.rank() - axes);
  std::iota(first.begin(), first.end(), 0);
  return tensordot(x, y, last, first);
}

Var trace(const Var& x, int axis1, int axis2) {
  require_floating("trace", x);
  const int a = normalize_axis("trace", axis1, x.rank()), b = normalize_axis("trace", axis2, x.rank());
  if (a == b) throw ShapeError(detail::text("trace: axes ", axis1, " and ", axis2, " are the same"));
  return sum(diagonal(x, a, b), -1);
}

Var einsum(std::string_view subscripts, std::span<const Var> xs) {
  const Subscripts s = parse(subscripts);
  if (s.terms.size() != xs.size())
    fail(detail::text(xs.size(), " operands for ", s.terms.size(), " terms in '", subscripts, "'"));
  std::vector<ConstView> types;
  for (const Var& x : xs) types.push_back({nullptr, x.dtype(), &x.shape()});
  require_floating("einsum", types);
  std::vector<NamedTensor> operands;
  for (std::size_t k = 0; k < xs.size(); ++k) operands.push_back(name_axes(s.terms[k], xs[k], k));
  const auto extents = extents_of(operands);
  const Labels result = result_of(s, extents);
  for (NamedTensor& x : operands) x = simplified(std::move(x), extents);
  NamedTensor product = operands[0];
  for (std::size_t k = 1; k < operands.size(); ++k) {
    Labels kept = result;
    for (std::size_t later = k + 1; later < operands.size(); ++later)
      kept = joined(kept, operands[later].labels);
    const NamedTensor& next = operands[k];
    // First sums over labels that occur in one operand only and not in the output.
    product = contract(product.summed_to(joined(kept, next.labels)),
                       next.summed_to(joined(kept, product.labels)), kept);
  }
  return identity(product.summed_to(result).ordered(result).value);
}
Var einsum(std::string_view subscripts, std::initializer_list<Var> xs) {
  return einsum(subscripts, std::span(xs.begin(), xs.size()));
}

}  // namespace xgrad
