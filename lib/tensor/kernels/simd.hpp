// Batches, loads and stores of the instruction set that a kernel source is compiled for. Only kernel sources
// include it. All of it is in an anonymous namespace, so that the linker never takes code of one instruction
// set for another.
#pragma once

#include <xsimd/xsimd.hpp>

#include "lib/tensor/kernels.hpp"

#ifndef XGRAD_KERNEL_ISA
#error "compile through xgrad_add_kernels in lib/CMakeLists.txt"
#endif

namespace xgrad::kernels {
namespace {

#if defined(XGRAD_KERNEL_AVX512)
using Arch = xsimd::avx512bw;
#elif defined(XGRAD_KERNEL_AVX2)
using Arch = xsimd::fma3<xsimd::avx2>;
#else
using Arch = xsimd::default_arch;
#endif

template <class T>
using Batch = xsimd::batch<T, Arch>;
template <class T>
constexpr std::int64_t kLanes = static_cast<std::int64_t>(Batch<T>::size);

template <class T>
Batch<T> load(const T* p) {
  return Batch<T>::load_unaligned(p);
}
template <class T>
void store(T* p, const Batch<T>& b) {
  b.store_unaligned(p);
}

/// Loads the first `count` lanes and sets the others to `fill`; stores the first `count` lanes.
#if defined(XGRAD_KERNEL_AVX512)
inline Batch<float> load_some(const float* p, std::int64_t count, float fill) {
  return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), static_cast<__mmask16>((1u << count) - 1), p);
}
inline Batch<double> load_some(const double* p, std::int64_t count, double fill) {
  return _mm512_mask_loadu_pd(_mm512_set1_pd(fill), static_cast<__mmask8>((1u << count) - 1), p);
}
inline void store_some(float* p, const Batch<float>& b, std::int64_t count) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1), b);
}
inline void store_some(double* p, const Batch<double>& b, std::int64_t count) {
  _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << count) - 1), b);
}
#else
template <class T>
Batch<T> load_some(const T* p, std::int64_t count, T fill) {
  alignas(64) T lanes[kLanes<T>];
  for (std::int64_t i = 0; i < kLanes<T>; ++i) lanes[i] = i < count ? p[i] : fill;
  return Batch<T>::load_aligned(lanes);
}
template <class T>
void store_some(T* p, const Batch<T>& b, std::int64_t count) {
  alignas(64) T lanes[kLanes<T>];
  b.store_aligned(lanes);
  for (std::int64_t i = 0; i < count; ++i) p[i] = lanes[i];
}
#endif

template <Write kWrite, class T>
void put(T* p, const Batch<T>& b) {
  if constexpr (kWrite == Write::assign) {
    store(p, b);
  } else {
    store(p, load(p) + b);
  }
}
template <Write kWrite, class T>
void put_some(T* p, const Batch<T>& b, std::int64_t count) {
  if constexpr (kWrite == Write::assign) {
    store_some(p, b, count);
  } else {
    store_some(p, load_some(p, count, T(0)) + b, count);
  }
}
template <class T>
void put_one(T* p, T value, Write write) {
  *p = write == Write::assign ? value : *p + value;
}

/// out[i] (= or +=) body(i) for n elements: body(i, count) returns a batch of which the first `count` lanes
/// are valid.
template <class T, class Body>
void for_batches(std::int64_t n, T* out, Write write, Body&& body) {
  const auto run = [&]<Write kWrite>() {
    std::int64_t i = 0;
    for (; i + kLanes<T> <= n; i += kLanes<T>) put<kWrite>(out + i, body(i, kLanes<T>));
    if (i < n) put_some<kWrite>(out + i, body(i, n - i), n - i);
  };
  if (write == Write::assign) {
    run.template operator()<Write::assign>();
  } else {
    run.template operator()<Write::accumulate>();
  }
}

/// load, or load_some when count is less than a batch.
template <class T>
Batch<T> load_up_to(const T* p, std::int64_t count, T fill) {
  return count == kLanes<T> ? load(p) : load_some(p, count, fill);
}

template <class T>
T add_lanes(const Batch<T>& b) {
  alignas(64) T lanes[kLanes<T>];
  b.store_aligned(lanes);
  for (std::int64_t half = kLanes<T> / 2; half > 0; half /= 2) {
    for (std::int64_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

}  // namespace

namespace XGRAD_KERNEL_ISA {
/// Enters all kernels of this instruction set.
template <class T>
void fill_table(Table<T>& table);
/// The part of the table that lib/tensor/functions.hpp lists.
template <class T>
void fill_functions(Table<T>& table);

#define XGRAD_KERNEL(name, parameters) \
  template <class T>                   \
  void name parameters;
#include "lib/tensor/kernels/list.inc"
#undef XGRAD_KERNEL
}  // namespace XGRAD_KERNEL_ISA

/// Compiles a kernel of list.inc for both element types.
#define XGRAD_INSTANTIATE(name)                                                   \
  template decltype(XGRAD_KERNEL_ISA::name<float>) XGRAD_KERNEL_ISA::name<float>; \
  template decltype(XGRAD_KERNEL_ISA::name<double>) XGRAD_KERNEL_ISA::name<double>;

}  // namespace xgrad::kernels
