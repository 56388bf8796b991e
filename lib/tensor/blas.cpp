// Prepares OpenBLAS at start-up. The functions for it are private to OpenBLAS or missing in other BLAS
// libraries, so all are looked up at run time.
#include "xgrad/tensor/blas.hpp"

#include <cblas.h>
#include <dlfcn.h>
#ifdef XGRAD_GEMM_ONEDNN
#include <dnnl.h>
#endif

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include "lib/tensor/kernels.hpp"
#include "xgrad/support/text.hpp"

namespace xgrad {
namespace {

template <class Function>
Function* find(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

std::string core_name() {
  auto* core = find<char*()>("openblas_get_corename");
  return core ? core() : "";
}

/// The core type to use instead of `core` on this processor, or "" when `core` is not known to be bad.
std::string better_core([[maybe_unused]] std::string_view core) {
#if defined(__x86_64__)
  // The cores of OpenBLAS 0.3 without AVX2 kernels.
  constexpr std::array<std::string_view, 14> kOld = {
      "Katmai", "Coppermine", "Northwood", "Prescott",    "Banias",  "Atom",   "Core2",
      "Penryn", "Dunnington", "Nehalem",   "Sandybridge", "Opteron", "Bobcat", "Barcelona"};
  if (std::find(kOld.begin(), kOld.end(), core) == kOld.end()) return "";
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return "";
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  return avx512 ? "SkylakeX" : "Haswell";
#else
  return "";
#endif
}

/// Compares a product that is large enough to run the real kernels with the definition.
bool multiplies_correctly() {
  constexpr int n = 37;
  std::array<float, n * n> a, b, c;
  for (int i = 0; i < n * n; ++i) {
    const auto k = static_cast<std::size_t>(i);
    a[k] = static_cast<float>(i % 7 - 3), b[k] = static_cast<float>(i % 5 - 2), c[k] = 0;
  }
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a.data(), n, b.data(), n, 0, c.data(),
              n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      float sum = 0;  // small integers: exact in any order
      for (std::size_t k = 0; k < n; ++k) sum += a[i * n + k] * b[k * n + j];
      if (sum != c[i * n + j]) return false;
    }
  }
  return true;
}

bool choose_core(const std::string& core) {
  auto* quit = find<void()>("gotoblas_dynamic_quit");
  auto* init = find<void()>("gotoblas_dynamic_init");
  if (!quit || !init) return false;
  setenv("OPENBLAS_CORETYPE", core.c_str(), 1);
  quit();
  init();
  unsetenv("OPENBLAS_CORETYPE");  // child processes choose for themselves
  return true;
}

/// The library that computes products in this build, or "" for OpenBLAS.
std::string products_library() {
#if defined(XGRAD_GEMM_ONEDNN)
  const dnnl_version_t* v = dnnl_version();
  return detail::text("oneDNN ", v->major, '.', v->minor, '.', v->patch);
#elif defined(XGRAD_GEMM_CBLAS)
  return XGRAD_GEMM_CBLAS;
#else
  return "";
#endif
}

BlasInfo ready() {
  BlasInfo info;
  info.products = products_library();
  info.library = "BLAS";
  if (auto* config = find<char*()>("openblas_get_config")) {
    const std::string text = config();  // "OpenBLAS 0.3.21 NO_AFFINITY ..."
    info.library = text.substr(0, text.find(' ', text.find(' ') + 1));
  }
  info.core = core_name();
  const char* repair = std::getenv("XGRAD_REPAIR_BLAS");
  const bool allowed = !std::getenv("OPENBLAS_CORETYPE") && !(repair && std::string_view(repair) == "0");
  const std::string better = better_core(info.core);
  if (allowed && !better.empty() && choose_core(better)) {
    if (core_name() == info.core || !multiplies_correctly()) {
      choose_core(info.core);
    } else {
      info.chosen_core = info.core;
    }
    info.core = core_name();
  }
  if (auto* set_threads = find<void(int)>("openblas_set_num_threads")) set_threads(1);
  return info;
}

}  // namespace

const BlasInfo& blas_info() {
  static const BlasInfo info = ready();
  return info;
}

std::string blas_summary() {
  const BlasInfo& info = blas_info();
  std::string line = info.products.empty() ? "" : "products by " + info.products + "; ";
  line += info.library;
  if (!info.core.empty()) line += ", core " + info.core;
  if (!info.chosen_core.empty()) line += " (repaired, it had picked " + info.chosen_core + ")";
  return line;
}

const char* kernel_isa() { return kernels::isa_name(); }

}  // namespace xgrad
