// Plain loops that the case table's values are compared with.
#include "tests/cases/naive.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <utility>

namespace xgrad::naive {

Array generate(const Index& shape, const std::function<double(const Index&)>& f) {
  Array result(Array::shape_type(shape.begin(), shape.end()));
  Index index(shape.size());
  for (double& element : result) {
    element = f(index);
    for (std::size_t d = shape.size(); d-- > 0 && ++index[d] == shape[d];) index[d] = 0;
  }
  return result;
}

double at(const Array& x, const Index& index) {
  const std::size_t skip = index.size() - x.dimension();
  std::size_t offset = 0;
  for (std::size_t d = 0; d < x.dimension(); ++d) {
    offset = offset * x.shape(d) + (x.shape(d) == 1 ? 0 : index[skip + d]);
  }
  return x.data()[offset];
}

Index broadcast(const Arrays& x) {
  Index shape;
  for (const Array& a : x) shape.resize(std::max(shape.size(), a.dimension()), 1);
  for (const Array& a : x) {
    for (std::size_t d = 0; d < a.dimension(); ++d) {
      std::size_t& extent = shape[shape.size() - a.dimension() + d];
      if (extent == 1) extent = a.shape(d);
    }
  }
  return shape;
}

Array map(const Array& x, double (*f)(double)) {
  return generate(extents(x), [&](const Index& i) { return f(at(x, i)); });
}

Array map(const Array& x, const Array& y, double (*f)(double, double)) {
  return generate(broadcast({x, y}), [&](const Index& i) { return f(at(x, i), at(y, i)); });
}

Array fold(const Array& x, Index axes, bool keepdims, const std::function<double(const Values&)>& f) {
  if (axes.empty()) {
    axes.resize(x.dimension());
    std::iota(axes.begin(), axes.end(), 0);
  }
  const auto is_reduced = [&](std::size_t d) { return std::find(axes.begin(), axes.end(), d) != axes.end(); };
  Index kept = extents(x), inner(x.dimension(), 1), result;
  for (std::size_t d = 0; d < x.dimension(); ++d) {
    if (is_reduced(d)) inner[d] = std::exchange(kept[d], 1);
    if (!is_reduced(d) || keepdims) result.push_back(kept[d]);
  }
  const Array reduced = generate(kept, [&](const Index& place) {
    Values values;
    generate(inner, [&](const Index& step) {
      Index index = place;
      for (std::size_t d = 0; d < index.size(); ++d) index[d] += step[d];
      values.push_back(at(x, index));
      return 0.0;
    });
    return f(values);
  });
  return reshape(reduced, result);
}

Array along(const Array& x, std::size_t axis, const std::function<Values(const Values&)>& f) {
  const auto line = [&](Index index) {
    Values values;
    for (index[axis] = 0; index[axis] < x.shape(axis); ++index[axis]) values.push_back(at(x, index));
    return f(values);
  };
  Index shape = extents(x);
  shape[axis] = f(Values(x.shape(axis))).size();
  return generate(shape, [&](const Index& index) { return line(index)[index[axis]]; });
}

double sum(const Values& v) { return std::accumulate(v.begin(), v.end(), 0.0); }

double max(const Values& v) {
  return std::accumulate(v.begin(), v.end(), -std::numeric_limits<double>::infinity(),
                         [](double a, double b) { return std::max(a, b); });
}

double min(const Values& v) {
  return v.empty() ? std::numeric_limits<double>::infinity() : *std::min_element(v.begin(), v.end());
}

double product(const Values& v) { return std::accumulate(v.begin(), v.end(), 1.0, std::multiplies<>()); }

double variance(const Values& v) {
  const double mean = sum(v) / static_cast<double>(v.size());
  double total = 0;
  for (double x : v) total += (x - mean) * (x - mean);
  return total / static_cast<double>(v.size());
}

double norm(const Values& v, double ord) {
  Values sizes;
  for (double x : v) sizes.push_back(std::abs(x));
  if (std::isinf(ord)) return max(sizes);
  for (double& x : sizes) x = std::pow(x, ord);
  return std::pow(sum(sizes), 1 / ord);
}

double logsumexp(const Values& v) {
  const double top = max(v), shift = std::isfinite(top) ? top : 0;
  return shift + std::log(std::accumulate(v.begin(), v.end(), 0.0,
                                          [&](double a, double b) { return a + std::exp(b - shift); }));
}

Values softmax(const Values& v) {
  Values result;
  const double total = logsumexp(v);
  for (double x : v) result.push_back(std::exp(x - total));
  return result;
}

Array transpose(const Array& x, const Index& axes) {
  Index shape(x.dimension());
  for (std::size_t d = 0; d < shape.size(); ++d) shape[d] = x.shape(axes[d]);
  return generate(shape, [&](const Index& index) {
    Index from(index.size());
    for (std::size_t d = 0; d < from.size(); ++d) from[axes[d]] = index[d];
    return at(x, from);
  });
}

Index reversed_axes(const Array& x) {
  Index axes(x.dimension());
  std::iota(axes.rbegin(), axes.rend(), 0);
  return axes;
}

Array reshape(const Array& x, const Index& shape) {
  std::size_t k = 0;
  return generate(shape, [&](const Index&) { return x.data()[k++]; });
}

Array matmul(const Array& x, const Array& y, bool transpose_x, bool transpose_y) {
  const auto swapped = [](const Array& a) {
    Index axes(a.dimension());
    std::iota(axes.begin(), axes.end(), 0);
    std::swap(axes[axes.size() - 1], axes[axes.size() - 2]);
    return transpose(a, axes);
  };
  const Array a = x.dimension() == 1 ? reshape(x, {1, x.size()}) : transpose_x ? swapped(x) : x;
  const Array b = y.dimension() == 1 ? reshape(y, {y.size(), 1}) : transpose_y ? swapped(y) : y;
  // One more axis, [..., m, n, k], which is summed over.
  Index left = extents(a), right = extents(b);
  left.insert(left.end() - 1, 1);
  std::swap(right[right.size() - 1], right[right.size() - 2]);
  right.insert(right.end() - 2, 1);
  const Array factors_a = reshape(a, left), factors_b = reshape(swapped(b), right);
  const Array products = map(factors_a, factors_b, [](double p, double q) { return p * q; });
  const Array product = fold(products, {products.dimension() - 1}, false, sum);
  Index shape = extents(product);
  if (y.dimension() == 1) shape.pop_back();
  if (x.dimension() == 1) shape.erase(shape.end() - (y.dimension() == 1 ? 1 : 2));
  return reshape(product, shape);
}

Array einsum(const std::string& subscripts, const Arrays& x) {
  std::vector<std::string> terms(1);
  for (char c : subscripts) {
    if (c == ',' || c == '>') {
      terms.emplace_back();
    } else if (c != '-') {
      terms.back() += c;
    }
  }
  const std::string result = terms.back();
  terms.pop_back();
  std::string letters = result;  // the result's, then those that are summed over
  std::map<char, std::size_t> extent;
  for (std::size_t k = 0; k < x.size(); ++k) {
    for (std::size_t d = 0; d < terms[k].size(); ++d) {
      const char c = terms[k][d];
      if (letters.find(c) == std::string::npos) letters += c;
      if (!extent.count(c) || extent[c] == 1) extent[c] = x[k].shape(d);
    }
  }
  Index outer, inner;
  for (std::size_t i = 0; i < letters.size(); ++i)
    (i < result.size() ? outer : inner).push_back(extent[letters[i]]);
  return generate(outer, [&](const Index& place) {
    double total = 0;
    generate(inner, [&](const Index& step) {
      Index all = place;
      all.insert(all.end(), step.begin(), step.end());
      double product = 1;
      for (std::size_t k = 0; k < x.size(); ++k) {
        Index index;
        for (char c : terms[k]) index.push_back(all[letters.find(c)]);
        product *= at(x[k], index);
      }
      total += product;
      return 0.0;
    });
    return total;
  });
}

std::int64_t label(std::size_t k, std::int64_t classes) {
  return static_cast<std::int64_t>(k * (k + 1) / 2 + 2 * k) % classes;
}

}  // namespace xgrad::naive
