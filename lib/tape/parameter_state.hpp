// What handles of one parameter share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "xgrad/support/memory.hpp"
#include "xgrad/tensor/view.hpp"

namespace xgrad::detail {

class Pass;

/// Where values and gradients lie, at the same offsets: of one parameter, or of all that were packed
/// together.
struct ParameterMemory {
  AlignedMemory values, grads;  // without packing, the first backward makes grads
};

struct ParameterState {
  TensorType type;
  std::string name;
  std::shared_ptr<ParameterMemory> memory;
  std::size_t offset = 0;
  std::uint64_t version = 0;
  bool has_grad = false;
  const Pass* writer = nullptr;  // the backward pass that writes into the gradient's memory

  std::size_t bytes() const { return static_cast<std::size_t>(type.shape.size()) * size_of(type.dtype); }
  std::byte* value() const { return memory->values.get() + offset; }
  std::byte* grad() const { return memory->grads.get() + offset; }
  View grad_view() const { return {grad(), type.dtype, &type.shape}; }
};

}  // namespace xgrad::detail
