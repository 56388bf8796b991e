// The kernels of the scalar functions of lib/tensor/functions.hpp.
#include "lib/tensor/kernels/simd.hpp"

// Operations on batches that the functions need and xsimd lacks. Argument-dependent lookup finds them; they
// are static because it does not look into anonymous namespaces.
namespace xsimd {
template <class T, class A>
static batch<T, A> step(const batch<T, A>& x) {
  return select(x > batch<T, A>(T(0)), batch<T, A>(T(1)), batch<T, A>(T(0)));
}
template <class T, class A>
static batch<T, A> in_range(const batch<T, A>& x, double low, double high) {
  return select(x >= batch<T, A>(T(low)) && x <= batch<T, A>(T(high)), batch<T, A>(T(1)), batch<T, A>(T(0)));
}
/// Applies f to each lane, where vector code would be inexact.
template <class F, class T, class A, class... B>
static batch<T, A> lanewise(F f, const batch<T, A>& x, const B&... more) {
  constexpr std::size_t kCount = 1 + sizeof...(more);
  alignas(64) T lanes[kCount][batch<T, A>::size];
  std::size_t k = 0;
  x.store_aligned(lanes[k++]);
  (more.store_aligned(lanes[k++]), ...);
  for (std::size_t i = 0; i < batch<T, A>::size; ++i) {
    if constexpr (kCount == 1) {
      lanes[0][i] = f(lanes[0][i]);
    } else {
      lanes[0][i] = f(lanes[0][i], lanes[1][i]);
    }
  }
  return batch<T, A>::load_aligned(lanes[0]);
}
}  // namespace xsimd

namespace xgrad::kernels {
namespace {

template <class F, class T>
void unary(const void* f, const T* x, T* y, std::int64_t n, Write write) {
  const F function = *static_cast<const F*>(f);
  for_batches<T>(n, y, write, [&](auto i, auto count) { return function.f(load_up_to(x + i, count, T(1))); });
}

template <class F, class T>
void unary_grad(const void* f, const T* u, const T* x, const T* y, T* dx, std::int64_t n, Write write) {
  const F function = *static_cast<const F*>(f);
  for_batches<T>(n, dx, write, [&](auto i, auto count) {
    const auto at = [&](const T* p, int which) {
      return F::reads & which ? load_up_to(p + i, count, T(1)) : Batch<T>(T(0));
    };
    return function.df_times(load_up_to(u + i, count, T(1)), at(x, functions::kX), at(y, functions::kY));
  });
}

template <class F, class T, int kPairing>
void binary(const T* x, const T* y, T* z, std::int64_t n, Write write) {
  const Batch<T> xs(n ? *x : T(0)), ys(n ? *y : T(0));
  for_batches<T>(n, z, write, [&](auto i, auto count) {
    return F::f(kPairing == kScalarVector ? xs : load_up_to(x + i, count, T(1)),
                kPairing == kVectorScalar ? ys : load_up_to(y + i, count, T(1)));
  });
}

template <class F, class T>
void fill_unary(Table<T>& t) {
  constexpr int k = functions::UnaryList::index_of<F>();
  t.unary[k] = unary<F, T>;
  if constexpr (F::reads == functions::kZero) {
    t.unary_grad[k] = nullptr;
  } else {
    t.unary_grad[k] = unary_grad<F, T>;
  }
}

template <class F, class T>
void fill_binary(Table<T>& t) {
  auto& entry = t.binary[functions::BinaryList::index_of<F>()];
  entry[kVectorVector] = binary<F, T, kVectorVector>;
  entry[kVectorScalar] = binary<F, T, kVectorScalar>;
  entry[kScalarVector] = binary<F, T, kScalarVector>;
}

}  // namespace

template <class T>
void XGRAD_KERNEL_ISA::fill_functions(Table<T>& table) {
#define XGRAD_FILL(fn, F) fill_unary<functions::F>(table);
  XGRAD_ALL_UNARY_FUNCTIONS(XGRAD_FILL)
#undef XGRAD_FILL
#define XGRAD_FILL(fn, F) fill_binary<functions::F>(table);
  XGRAD_BINARY_FUNCTIONS(XGRAD_FILL)
#undef XGRAD_FILL
}
template void XGRAD_KERNEL_ISA::fill_functions(Table<float>&);
template void XGRAD_KERNEL_ISA::fill_functions(Table<double>&);

}  // namespace xgrad::kernels
