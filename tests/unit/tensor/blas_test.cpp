// Which BLAS core is in use. tests/CMakeLists.txt runs these cases under several environments, which a
// process cannot change for itself: OpenBLAS reads them before main.
#include "xgrad/tensor/blas.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

using namespace xgrad;

namespace {
std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}
}  // namespace

TEST_CASE("blas: what is reported") {
  const std::string before = environment("OPENBLAS_CORETYPE");
  const BlasInfo& info = blas_info();
  CHECK(&info == &blas_info());
  CHECK_FALSE(info.library.empty());
  const std::string products = info.products.empty() ? "" : "products by " + info.products + "; ";
  if (info.chosen_core.empty()) {
    CHECK(blas_summary() == products + info.library + (info.core.empty() ? "" : ", core " + info.core));
  } else {
    CHECK(info.core != info.chosen_core);
    CHECK(blas_summary() == products + info.library + ", core " + info.core + " (repaired, it had picked " +
                                info.chosen_core + ")");
  }
  CHECK(environment("OPENBLAS_CORETYPE") == before);  // nothing is left behind for child processes
  const std::string isa = kernel_isa();
  CHECK((isa == "baseline" || isa == "avx2" || isa == "avx512"));
}

TEST_CASE("blas: a core that the user chose is kept, and the repair can be turned off") {
  const BlasInfo& info = blas_info();
  const std::string core = environment("OPENBLAS_CORETYPE");
  if (!core.empty() || environment("XGRAD_REPAIR_BLAS") == "0") CHECK(info.chosen_core.empty());
#if defined(__x86_64__)
  if (!core.empty() && !info.core.empty()) CHECK(info.core == core);
#endif
}

TEST_CASE("blas: no SSE3 kernels are left in use on a processor with AVX2") {
#if defined(__x86_64__)
  const bool free = environment("OPENBLAS_CORETYPE").empty() && environment("XGRAD_REPAIR_BLAS") != "0";
  if (free && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    for (const char* old : {"Prescott", "Core2", "Penryn", "Nehalem", "Sandybridge"})
      CHECK(blas_info().core != old);
  }
#endif
}
