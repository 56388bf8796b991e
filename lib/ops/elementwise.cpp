// The ops of scalar functions (lib/tensor/functions.hpp) of one operand, by the struct in unary.hpp, and of
// two, by the struct here.
#include "xgrad/ops/elementwise.hpp"

#include "lib/ops/common.hpp"
#include "lib/ops/registry.hpp"
#include "lib/ops/unary.hpp"
#include "lib/tensor/strided.hpp"
#include "xgrad/ops/reduce.hpp"

namespace xgrad {
namespace {

using detail::scalar_like;
using detail::Unary;

/// The derivative of a function of two operands, as formulas over Vars.
template <class F>
struct Derivative;

/// The op of a function of two operands.
template <class F>
struct Binary {
  static constexpr const char* name = F::name;
  static constexpr bool elementwise = true;
  static constexpr const auto& reads = Derivative<F>::reads;
  TensorType infer(Operands x) const {
    return {require_floating(name, x), broadcast_shape(name, x[0].shape(), x[1].shape())};
  }
  template <class T>
  void eval(Operands operands, View z, Write write) const {
    const auto& kernel = kernels::table<T>().binary[functions::BinaryList::index_of<F>()];
    const ConstView &x = operands[0], &y = operands[1];
    const T* px = x.as<T>();
    const T* py = y.as<T>();
    T* pz = z.as<T>();
    const bool same = x.shape() == y.shape();
    if (same || x.size() == 1 || y.size() == 1) {
      const auto pairing = same            ? kernels::kVectorVector
                           : y.size() == 1 ? kernels::kVectorScalar
                                           : kernels::kScalarVector;
      return parallel_chunks(z.size(), [&](std::int64_t begin, std::int64_t n) {
        kernel[pairing](pairing == kernels::kScalarVector ? px : px + begin,
                        pairing == kernels::kVectorScalar ? py : py + begin, pz + begin, n, write);
      });
    }
    const LoopNest<2> nest(
        z.shape(), {broadcast_strides(x.shape(), z.shape()), broadcast_strides(y.shape(), z.shape())});
    parallel_chunks(z.size(), [&](std::int64_t begin, std::int64_t count) {
      T* out = pz + begin;
      nest.for_each_run(begin, count, [&](const auto& at, std::int64_t n, const auto& step) {
        const auto pairing = step[1] == 0   ? kernels::kVectorScalar
                             : step[0] == 0 ? kernels::kScalarVector
                                            : kernels::kVectorVector;
        kernel[pairing](px + at[0], py + at[1], out, n, write);
        out += n;
      });
    });
  }
  void vjp(Backward& b) const { Derivative<F>::vjp(b); }
};

template <>
struct Derivative<functions::Add> {
  static constexpr Reads reads[] = {kReadsNothing};
  // dx = u, dy = u
  static void vjp(Backward& b) {
    b.dx(0) += [&] { return sum_to(b.dy(), b.x_shape(0)); };
    b.dx(1) += [&] { return sum_to(b.donate_dy(), b.x_shape(1)); };
  }
};

template <>
struct Derivative<functions::Sub> {
  static constexpr Reads reads[] = {kReadsNothing};
  // dx = u, dy = -u
  static void vjp(Backward& b) {
    b.dx(0) += [&] { return sum_to(b.dy(), b.x_shape(0)); };
    b.dx(1) += [&] { return sum_to(-b.donate_dy(), b.x_shape(1)); };
  }
};

template <>
struct Derivative<functions::Mul> {
  static constexpr Reads reads[] = {reads_x(1), reads_x(0)};
  // dx = u y, dy = u x; the last of them may write over u.
  static void vjp(Backward& b) {
    const int last = b.dx(0).needed() ? 0 : 1;
    if (last == 0) b.dx(1) += [&] { return sum_to(cotangent_mul(b.dy(), b.x(0)), b.x_shape(1)); };
    const bool large = b.x_shape(1 - last) == b.y_shape();
    b.dx(last) += sum_to(cotangent_mul(large ? b.donate_unexpanded_dy() : b.donate_dy(), b.x(1 - last)),
                         b.x_shape(last));
  }
};

template <>
struct Derivative<functions::Div> {
  static constexpr Reads reads[] = {reads_x(1), reads_x(1) | kReadsOutput};
  // With z = x / y: dx = u / y, dy = -u z / y
  static void vjp(Backward& b) {
    b.dx(0) += [&] { return sum_to(cotangent_div(b.dy(), b.x(1)), b.x_shape(0)); };
    b.dx(1) += [&] { return sum_to(-cotangent_div(cotangent_mul(b.dy(), b.y()), b.x(1)), b.x_shape(1)); };
  }
};

// Where u = 0 these two are 0 for every x, so their derivative in x is 0, also for an infinite cotangent.
template <>
struct Derivative<functions::CotangentMul> {
  static constexpr Reads reads[] = {reads_x(1), reads_x(0)};
  static void vjp(Backward& b) {
    b.dx(0) += [&] { return sum_to(cotangent_mul(b.dy(), b.x(1)), b.x_shape(0)); };
    b.dx(1) += [&] { return sum_to(cotangent_product(b.x(0), b.dy()), b.x_shape(1)); };
  }
};

template <>
struct Derivative<functions::CotangentDiv> {
  static constexpr Reads reads[] = {reads_x(1), reads_x(1) | kReadsOutput};
  static void vjp(Backward& b) {
    b.dx(0) += [&] { return sum_to(cotangent_div(b.dy(), b.x(1)), b.x_shape(0)); };
    b.dx(1) += [&] { return sum_to(-cotangent_div(cotangent_product(b.y(), b.dy()), b.x(1)), b.x_shape(1)); };
  }
};

template <>
struct Derivative<functions::CotangentProduct> {
  static constexpr Reads reads[] = {reads_x(1), reads_x(0)};
  static void vjp(Backward& b) {
    b.dx(0) += [&] { return sum_to(cotangent_product(b.dy(), b.x(1)), b.x_shape(0)); };
    b.dx(1) += [&] { return sum_to(cotangent_product(b.dy(), b.x(0)), b.x_shape(1)); };
  }
};

/// The share of x in the cotangent: 0 where y was chosen, 1/2 where both were, 1 elsewhere, also for NaN.
Var share(const Var& x, const Var& y, const Var& chosen) {
  const Var one = scalar_like(x, 1), half = scalar_like(x, 0.5), none = scalar_like(x, 0);
  return where(equal(y, chosen), where(equal(x, y), half, none), one);
}

struct ExtremumDerivative {
  static constexpr Reads reads[] = {reads_x(0) | reads_x(1) | kReadsOutput};
  static void vjp(Backward& b) {
    b.dx(0) += [&] { return sum_to(b.dy() * share(b.x(0), b.x(1), b.y()), b.x_shape(0)); };
    b.dx(1) += [&] { return sum_to(b.dy() * share(b.x(1), b.x(0), b.y()), b.x_shape(1)); };
  }
};
template <>
struct Derivative<functions::Maximum> : ExtremumDerivative {};
template <>
struct Derivative<functions::Minimum> : ExtremumDerivative {};

template <>
struct Derivative<functions::Pow> {
  static constexpr Reads reads[] = {reads_x(0) | reads_x(1), reads_x(0) | kReadsOutput};
  // With z = x^y: dx = u y x^(y - 1), but 0 where y = 0, also at x = 0 where the power is infinite;
  // dy = u z log(x), but 0 where x = 0.
  static void vjp(Backward& b) {
    const Var zero = scalar_like(b.dy(), 0), one = scalar_like(b.dy(), 1);
    b.dx(0) += [&] {
      const Var x = b.x(0), y = b.x(1), constant = equal(y, zero);
      const Var slope = y * pow(x, where(constant, one, y - one));
      return sum_to(where(constant, zero, cotangent_mul(b.dy(), slope)), b.x_shape(0));
    };
    b.dx(1) += [&] {
      const Var x = b.x(0), constant = equal(x, zero);
      const Var slope = b.y() * log(where(constant, one, x));
      return sum_to(where(constant, zero, cotangent_mul(b.dy(), slope)), b.x_shape(1));
    };
  }
};

// Where both operands are 0 these two have no derivative; 0 is taken.
template <>
struct Derivative<functions::Hypot> {
  static constexpr Reads reads[] = {reads_x(0) | kReadsOutput, reads_x(1) | kReadsOutput};
  // With r = hypot(x, y): dx = u x / r, dy = u y / r
  static void vjp(Backward& b) {
    const Var zero = scalar_like(b.dy(), 0), origin = equal(b.y(), zero);
    for (int i : {0, 1}) {
      b.dx(i) += [&] {
        const Var slope = where(origin, zero, b.x(i) / b.y());
        return sum_to(cotangent_mul(b.dy(), slope), b.x_shape(i));
      };
    }
  }
};

template <>
struct Derivative<functions::Atan2> {
  static constexpr Reads reads[] = {reads_x(0) | reads_x(1)};
  // With r = hypot(y, x): dy = u x / r / r, dx = -u y / r / r; the square of r would overflow.
  static void vjp(Backward& b) {
    const Var y = b.x(0), x = b.x(1), zero = scalar_like(b.dy(), 0);
    const Var r = hypot(y, x), origin = equal(r, zero);
    b.dx(0) += [&] { return sum_to(cotangent_mul(b.dy(), where(origin, zero, x / r / r)), b.x_shape(0)); };
    b.dx(1) += [&] { return sum_to(cotangent_mul(b.dy(), where(origin, zero, -y / r / r)), b.x_shape(1)); };
  }
};

}  // namespace

#define XGRAD_DEFINE(fn, F) \
  Var fn(Arg x) { return apply(Unary<functions::F>{}, x); }
XGRAD_UNARY_FUNCTIONS(XGRAD_DEFINE)
#undef XGRAD_DEFINE
#define XGRAD_DEFINE(fn, F) \
  Var fn(Arg x, Arg y) { return apply(Binary<functions::F>{}, x, y); }
XGRAD_BINARY_FUNCTIONS(XGRAD_DEFINE)
#undef XGRAD_DEFINE

Var clamp(Arg x, double low, double high) {
  if (!(low <= high)) throw Error(detail::text("clamp: low ", low, " must be at most high ", high));
  return apply(Unary<functions::Clamp>{{low, high}}, x);
}
Var in_range(Arg x, double low, double high) { return apply(Unary<functions::InRange>{{low, high}}, x); }

Var polygamma(int n, Arg x) {
  if (n < 0) throw Error(detail::text("polygamma: order ", n, " is negative"));
  return apply(Unary<functions::Polygamma>{{n}}, x);
}

Var reciprocal(Arg x) { return 1 / x; }
Var pow(Arg x, double y) { return pow(x, scalar_like(x, y)); }
Var operator+(Arg x, double y) { return add(x, scalar_like(x, y)); }
Var operator-(Arg x, double y) { return sub(x, scalar_like(x, y)); }
Var operator*(Arg x, double y) { return mul(x, scalar_like(x, y)); }
Var operator/(Arg x, double y) { return div(x, scalar_like(x, y)); }
Var operator+(double x, Arg y) { return add(scalar_like(y, x), y); }
Var operator-(double x, Arg y) { return sub(scalar_like(y, x), y); }
Var operator*(double x, Arg y) { return mul(scalar_like(y, x), y); }
Var operator/(double x, Arg y) { return div(scalar_like(y, x), y); }

#define XGRAD_ENTRY(fn, F) &op_info<Unary<functions::F>>,
#define XGRAD_ENTRY2(fn, F) &op_info<Binary<functions::F>>,
detail::OpTable detail::elementwise_ops() {
  static constexpr const OpInfo* table[] = {XGRAD_UNARY_FUNCTIONS(
      XGRAD_ENTRY) XGRAD_UNARY_FUNCTIONS_WITH_ATTRIBUTES(XGRAD_ENTRY) XGRAD_BINARY_FUNCTIONS(XGRAD_ENTRY2)};
  return table;
}

}  // namespace xgrad
