// References for the case table: plain loops over doubles that share nothing with the library's kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "xgrad/tensor/xtensor.hpp"

namespace xgrad::naive {

using Array = xt::xarray<double>;
using Arrays = std::vector<Array>;
using Index = std::vector<std::size_t>;  // a place in an array, or the array's extents
using Values = std::vector<double>;

inline Index extents(const Array& x) { return {x.shape().begin(), x.shape().end()}; }

/// The array whose element at every index is f(index).
Array generate(const Index& shape, const std::function<double(const Index&)>& f);
/// An element of x, or of what x is broadcast to.
double at(const Array& x, const Index& index);
/// The extents that arrays broadcast to, which must fit.
Index broadcast(const Arrays& x);

Array map(const Array& x, double (*f)(double));
Array map(const Array& x, const Array& y, double (*f)(double, double));

/// f of all elements along the given axes; without axes, of all there are.
Array fold(const Array& x, Index axes, bool keepdims, const std::function<double(const Values&)>& f);
/// Every line along an axis replaced by f(line), which may have another length.
Array along(const Array& x, std::size_t axis, const std::function<Values(const Values&)>& f);

double sum(const Values& v);
double max(const Values& v);
double min(const Values& v);
double product(const Values& v);
/// The mean of the squares of what is left when the mean is taken off.
double variance(const Values& v);
/// (sum |v|^ord)^(1/ord), and what that comes to for an infinite ord.
double norm(const Values& v, double ord);
double logsumexp(const Values& v);
Values softmax(const Values& v);

Array transpose(const Array& x, const Index& axes);
Index reversed_axes(const Array& x);
Array reshape(const Array& x, const Index& shape);
/// NumPy's matmul, with flags that transpose the last two axes of matrices.
Array matmul(const Array& x, const Array& y, bool transpose_x = false, bool transpose_y = false);
/// `ij,jk->ik` and the like, every letter written out: a loop over all letters, extents of 1 repeated.
Array einsum(const std::string& subscripts, const Arrays& x);

/// The k-th of a fixed sequence of labels in [0, classes).
std::int64_t label(std::size_t k, std::int64_t classes);

}  // namespace xgrad::naive
