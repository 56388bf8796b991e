// The optimisers' updates, in one pass over the weights, and the scaling of pixels: plain loops that the
// compiler vectorises.
#include <cmath>

#include "lib/tensor/kernels/simd.hpp"

namespace xgrad::kernels {

template <class T>
void XGRAD_KERNEL_ISA::sgd(T* w, const T* g, T* v, std::int64_t n, T rate, T momentum, T decay,
                           bool nesterov) {
  if (!v) {
    for (std::int64_t i = 0; i < n; ++i) w[i] -= rate * (g[i] + decay * w[i]);
    return;
  }
  const T lead = nesterov ? momentum : T(1), own = nesterov ? T(1) : T(0);
  for (std::int64_t i = 0; i < n; ++i) {
    const T step = g[i] + decay * w[i];
    v[i] = momentum * v[i] + step;
    w[i] -= rate * (own * step + lead * v[i]);
  }
}
XGRAD_INSTANTIATE(sgd)

template <class T>
void XGRAD_KERNEL_ISA::adam(T* w, const T* g, T* m, T* v, std::int64_t n, T rate, T beta1, T beta2, T epsilon,
                            T decay) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T step = g[i] + decay * w[i];
    m[i] = beta1 * m[i] + (1 - beta1) * step;
    v[i] = beta2 * v[i] + (1 - beta2) * step * step;
    w[i] -= rate * m[i] / (std::sqrt(v[i]) + epsilon);
  }
}
XGRAD_INSTANTIATE(adam)

template <class T>
void XGRAD_KERNEL_ISA::scale_bytes(const std::uint8_t* x, T* y, std::int64_t n, T min, T width) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = (static_cast<T>(x[i]) - min) / width;
}
XGRAD_INSTANTIATE(scale_bytes)

}  // namespace xgrad::kernels
