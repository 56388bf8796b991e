// Fills the table of one instruction set's kernels.
#include "lib/tensor/kernels/simd.hpp"

namespace xgrad::kernels {

template <class T>
void XGRAD_KERNEL_ISA::fill_table(Table<T>& table) {
  fill_functions(table);
#define XGRAD_KERNEL(name, parameters) table.name = name<T>;  // NOLINT(bugprone-macro-parentheses)
#include "lib/tensor/kernels/list.inc"
#undef XGRAD_KERNEL
}

template void XGRAD_KERNEL_ISA::fill_table(Table<float>&);
template void XGRAD_KERNEL_ISA::fill_table(Table<double>&);

}  // namespace xgrad::kernels
