#include "xgrad/ops/loss.hpp"

#include <cmath>

#include "lib/ops/common.hpp"
#include "lib/ops/index.hpp"
#include "lib/ops/registry.hpp"
#include "lib/ops/softmax.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/index.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/ops/softmax.hpp"

namespace xgrad {
namespace {

using detail::dispatch;
using detail::Indices;
using detail::text;

/// The dtype of a loss of rows against targets, once everything fits. `labels` are allowed where given.
DType check_rows(const char* op, const ConstView& x, const ConstView& t) {
  const DType dtype = detail::floating_dtype(op, Operands(&x, 1));
  if (x.shape().rank() != 2) throw ShapeError(text(op, ": rows of classes expected, not ", x.shape()));
  if (x.shape()[0] == 0 || x.shape()[1] == 0)
    throw ShapeError(text(op, ": no rows or no classes in ", x.shape()));
  if (is_integer(t.dtype)) {
    if (t.shape().rank() != 1 || t.shape()[0] != x.shape()[0]) {
      throw ShapeError(text(op, ": ", x.shape()[0], " labels expected for ", x.shape(), ", not ", t.shape()));
    }
    detail::require_index_dtype(op, t.dtype);
  } else {
    if (t.dtype != dtype)
      throw DTypeError(text(op, ": targets are ", t.dtype, ", not ", dtype, " or integer labels"));
    if (t.shape() != x.shape()) {
      throw ShapeError(text(op, ": targets ", t.shape(), " and ", x.shape(), " must have the same shape"));
    }
  }
  return dtype;
}

/// The mean of term(row) over rows, added up in double precision.
template <class Term>
double mean_of_rows(std::int64_t rows, Term&& term) {
  double sum = 0;
  for (std::int64_t r = 0; r < rows; ++r) sum += term(r);
  return sum / static_cast<double>(rows);
}

template <class T>
void put(const View& y, double value, Write write) {
  *y.as<T>() = static_cast<T>(value) + (write == Write::assign ? T(0) : *y.as<T>());
}

// Categorical cross entropy of probabilities --------------------------------------------------------------

/// -(t / p) u / rows, 0 where t = 0.
struct CrossEntropyGrad {
  static constexpr const char* name = "categorical_cross_entropy_grad";
  static constexpr Reads reads[] = {reads_x(0) | reads_x(1) | reads_x(2),
                                    reads_x(0) | reads_x(1) | reads_x(2), reads_x(0) | reads_x(1)};
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View dx, Write write) const {
    dispatch(dx.dtype, [&]<class T>() {
      const T* p = x[0].as<T>();
      const T* t = x[1].as<T>();
      const T scale = -*x[2].as<T>() / static_cast<T>(dx.shape()[0]);
      T* out = dx.as<T>();
      for (std::int64_t i = 0, n = dx.size(); i < n; ++i) {
        const T weight = scale * t[i], value = weight != 0 ? weight / p[i] : T(0);
        out[i] = write == Write::assign ? value : out[i] + value;
      }
    });
  }
  void vjp(Backward& b) const {
    const Var &w = b.dy(), p = b.x(0), t = b.x(1), u = b.x(2);
    const double rows = static_cast<double>(b.x_shape(0)[0]);
    b.dx(0) += cotangent_div(w * t * u, rows * square(p));
    b.dx(1) += -cotangent_div(w * u, rows * p);
    b.dx(2) += -sum(cotangent_div(w * t, rows * p));
  }
};

struct CategoricalCrossEntropy {
  static constexpr const char* name = "categorical_cross_entropy";
  static constexpr Reads reads[] = {reads_x(0) | reads_x(1), reads_x(0)};
  TensorType infer(Operands x) const { return {check_rows(name, x[0], x[1]), Shape{}}; }
  void eval(Operands x, View y, Write write) const {
    dispatch(y.dtype, [&]<class T>() {
      const std::int64_t classes = x[0].shape()[1];
      const double mean = mean_of_rows(x[0].shape()[0], [&](std::int64_t r) {
        double sum = 0;
        for (std::int64_t i = r * classes; i < (r + 1) * classes; ++i) {
          const T t = x[1].as<T>()[i];
          if (t != 0) sum -= static_cast<double>(t) * std::log(static_cast<double>(x[0].as<T>()[i]));
        }
        return sum;
      });
      put<T>(y, mean, write);
    });
  }
  void vjp(Backward& b) const {
    const Var p = b.x(0);
    b.dx(0) += apply(CrossEntropyGrad{}, p, b.x(1), b.dy());
    b.dx(1) += -cotangent_mul(b.dy() / static_cast<double>(b.x_shape(0)[0]), log(p));
  }
};

// Softmax cross entropy -----------------------------------------------------------------------------------

/// (softmax(x) sum(t) - t) u / rows
struct SoftmaxCrossEntropyGrad {
  static constexpr const char* name = "softmax_cross_entropy_grad";
  static constexpr Reads reads[] = {reads_x(0) | reads_x(1) | reads_x(2),
                                    reads_x(0) | reads_x(1) | reads_x(2), reads_x(0) | reads_x(1)};
  TensorType infer(Operands x) const { return {x[0].dtype, x[0].shape()}; }
  void eval(Operands x, View dx, Write write) const {
    dispatch(dx.dtype, [&]<class T>() {
      const std::int64_t rows = dx.shape()[0], classes = dx.shape()[1];
      const T scale = *x[2].as<T>() / static_cast<T>(rows);
      const bool labelled = is_integer(x[1].dtype);
      const T* logits = x[0].as<T>();
      T* out = dx.as<T>();
      const auto& kernel = kernels::table<T>();
      for (std::int64_t r = 0; r < rows; ++r, logits += classes, out += classes) {
        const T* t = labelled ? nullptr : x[1].as<T>() + r * classes;
        T lse, weight = 1;
        kernel.logsumexp(logits, {1, classes, 1}, &lse, Write::assign);
        if (t) kernel.sum(t, {1, classes, 1}, &weight, Write::assign);
        kernel.exp_minus(logits, lse, weight * scale, out, classes, write);
        if (labelled) {
          out[Indices(x[1])[r]] -= scale;
        } else {
          for (std::int64_t c = 0; c < classes; ++c) out[c] -= scale * t[c];
        }
      }
    });
  }
  void vjp(Backward& b) const {
    const Var &w = b.dy(), x = b.x(0), u = b.x(2);
    const double rows = static_cast<double>(b.x_shape(0)[0]);
    const Var p = softmax(x);
    const bool labelled = is_integer(b.x(1).dtype());
    const Var t = labelled ? one_hot(b.x(1), b.x_shape(0)[1], w.dtype()) : b.x(1);
    const Var total = sum(t, -1, true), share = u / rows;
    b.dx(0) += detail::softmax_grad(w, p, 1) * total * share;
    if (!labelled) b.dx(1) += (sum(w * p, -1, true) - w) * share;
    b.dx(2) += sum(w * (p * total - t)) / rows;
  }
};

struct SoftmaxCrossEntropy {
  static constexpr const char* name = "softmax_cross_entropy";
  static constexpr Reads reads[] = {reads_x(0) | reads_x(1), reads_x(0)};
  TensorType infer(Operands x) const { return {check_rows(name, x[0], x[1]), Shape{}}; }
  void eval(Operands x, View y, Write write) const {
    dispatch(y.dtype, [&]<class T>() {
      const std::int64_t classes = x[0].shape()[1];
      const bool labelled = is_integer(x[1].dtype);
      const double mean = mean_of_rows(x[0].shape()[0], [&](std::int64_t r) {
        const T* logits = x[0].as<T>() + r * classes;
        T lse;
        kernels::table<T>().logsumexp(logits, {1, classes, 1}, &lse, Write::assign);
        if (labelled) return static_cast<double>(lse) - static_cast<double>(logits[Indices(x[1])[r]]);
        // -sum(t (x - lse)), where an entry of t = 0 counts nothing even at a logit of -inf.
        double sum = 0;
        for (std::int64_t c = 0; c < classes; ++c) {
          const T t = x[1].as<T>()[r * classes + c];
          if (t != 0)
            sum -= static_cast<double>(t) * (static_cast<double>(logits[c]) - static_cast<double>(lse));
        }
        return sum;
      });
      put<T>(y, mean, write);
    });
  }
  void vjp(Backward& b) const {
    b.dx(0) += apply(SoftmaxCrossEntropyGrad{}, b.x(0), b.x(1), b.dy());
    if (is_floating(b.x(1).dtype())) {
      b.dx(1) += -cotangent_mul(b.dy() / static_cast<double>(b.x_shape(0)[0]), log_softmax(b.x(0)));
    }
  }
};

/// Labels are checked here, where their values are known.
void check_labels(const char* op, const Var& x, const Var& targets) {
  if (is_integer(targets.dtype()) && x.rank() == 2) detail::require_in_range(op, targets, x.shape()[1]);
}

}  // namespace

Var categorical_cross_entropy(const Var& p, const Var& targets) {
  if (!is_integer(targets.dtype())) return apply(CategoricalCrossEntropy{}, p, targets);
  check_rows(CategoricalCrossEntropy::name, p.view(), targets.view());
  check_labels(CategoricalCrossEntropy::name, p, targets);
  return apply(CategoricalCrossEntropy{}, p, one_hot(targets, p.shape()[1], p.dtype()));
}

Var softmax_cross_entropy(const Var& logits, const Var& targets) {
  check_labels(SoftmaxCrossEntropy::name, logits, targets);
  return apply(SoftmaxCrossEntropy{}, logits, targets);
}

Var l2_penalty(const Var& w, double strength) { return sum(square(w)) * strength; }

detail::OpTable detail::loss_ops() {
  static constexpr const OpInfo* table[] = {&op_info<CategoricalCrossEntropy>, &op_info<CrossEntropyGrad>,
                                            &op_info<SoftmaxCrossEntropy>, &op_info<SoftmaxCrossEntropyGrad>};
  return table;
}

}  // namespace xgrad
