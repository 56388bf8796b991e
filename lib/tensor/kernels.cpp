// Chooses the kernels of the best instruction set that the processor has.
#include "lib/tensor/kernels.hpp"

#include <cstdlib>
#include <string_view>

#include "xgrad/support/error.hpp"
#include "xgrad/support/text.hpp"

namespace xgrad::kernels {

// The instruction sets, each with a lib/tensor/kernels/table.cpp of its own.
#define XGRAD_DECLARE_ISA(isa) \
  namespace isa {              \
  template <class T>           \
  void fill_table(Table<T>&);  \
  }
XGRAD_DECLARE_ISA(baseline)
#ifdef XGRAD_X86_KERNELS
XGRAD_DECLARE_ISA(avx2)
XGRAD_DECLARE_ISA(avx512)
#endif

namespace {

struct Kernels {
  const char* isa = "baseline";
  Table<float> f;
  Table<double> d;

  Kernels() {
#define XGRAD_USE_ISA(name) isa = #name, name::fill_table(f), name::fill_table(d)
#ifdef XGRAD_X86_KERNELS
    const char* wanted = std::getenv("XGRAD_ISA");
    const std::string_view limit = wanted ? wanted : "avx512";
    if (limit != "baseline" && limit != "avx2" && limit != "avx512") {
      throw Error(detail::text("XGRAD_ISA: expected baseline, avx2 or avx512, found '", limit, "'"));
    }
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    if (avx512 && limit == "avx512") {
      XGRAD_USE_ISA(avx512);
    } else if (avx2 && limit != "baseline") {
      XGRAD_USE_ISA(avx2);
    } else {
      XGRAD_USE_ISA(baseline);
    }
#else
    XGRAD_USE_ISA(baseline);
#endif
  }
};

const Kernels& chosen() {
  static const Kernels kernels;
  return kernels;
}

}  // namespace

template <>
const Table<float>& table<float>() {
  return chosen().f;
}
template <>
const Table<double>& table<double>() {
  return chosen().d;
}

const char* isa_name() { return chosen().isa; }

}  // namespace xgrad::kernels
