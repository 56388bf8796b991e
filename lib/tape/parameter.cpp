// Parameter: a trainable tensor's value, gradient and version, and packing.
#include "xgrad/tape/parameter.hpp"

#include <cstring>

#include "lib/tape/core.hpp"

namespace xgrad {
Parameter::Parameter(TensorType type, std::string name) : state_(std::make_shared<detail::ParameterState>()) {
  if (!is_floating(type.dtype)) {
    throw DTypeError(
        detail::text("parameter ", name, ": dtype must be float32 or float64, not ", type.dtype));
  }
  state_->type = type;
  state_->name = std::move(name);
  state_->memory = std::make_shared<detail::ParameterMemory>();
  state_->memory->values = detail::make_aligned(state_->bytes());
}

Parameter Parameter::share() const { return Parameter(state_); }

Parameter Parameter::clone() const {
  Parameter copy(state().type, state().name);
  std::memcpy(copy.state_->value(), state_->value(), state_->bytes());
  return copy;
}

detail::ParameterState& Parameter::state() const {
  if (!state_) throw Error("parameter: empty, it was moved from or never given a value");
  return *state_;
}

const std::string& Parameter::name() const { return state().name; }
void Parameter::set_name(std::string name) { state().name = std::move(name); }
const Shape& Parameter::shape() const { return state().type.shape; }
DType Parameter::dtype() const { return state().type.dtype; }
std::uint64_t Parameter::version() const { return state().version; }
bool Parameter::has_grad() const { return state().has_grad; }
void Parameter::zero_grad() { state().has_grad = false; }

ConstView Parameter::view() const {
  const detail::ParameterState& s = state();
  return {s.value(), s.type.dtype, &s.type.shape};
}

View Parameter::value_view() {
  detail::ParameterState& s = state();
  ++s.version;
  return {s.value(), s.type.dtype, &s.type.shape};
}

View Parameter::grad_view() const {
  const detail::ParameterState& s = state();
  if (!s.has_grad)
    throw Error(detail::text("parameter ", s.name, ": no gradient; no backward has reached it"));
  return s.grad_view();
}

bool Parameter::precedes(const Parameter& next) const {
  const detail::ParameterState &a = state(), &b = next.state();
  return a.memory == b.memory && a.offset + detail::padded(a.bytes()) == b.offset;
}

void pack(std::span<Parameter> parameters) {
  using detail::Access;
  for (const Parameter& p : parameters) {
    const detail::Pass* writer = Access::state(p).writer;
    if (!writer) continue;
    throw Error(detail::text("pack: called inside ", writer->core().callback(),
                             "; backward is writing the gradient of ", "parameter ", p.name()));
  }
  for (const DType dtype : {DType::float32, DType::float64}) {
    std::size_t bytes = 0;
    for (const Parameter& p : parameters) {
      if (p.dtype() == dtype) bytes += detail::padded(Access::state(p).bytes());
    }
    const auto memory = std::make_shared<detail::ParameterMemory>(
        detail::ParameterMemory{detail::make_aligned(bytes), detail::make_aligned(bytes)});
    std::size_t offset = 0;
    for (const Parameter& p : parameters) {
      if (p.dtype() != dtype) continue;
      detail::ParameterState& s = Access::state(p);
      std::memcpy(memory->values.get() + offset, s.value(), s.bytes());
      if (s.has_grad) std::memcpy(memory->grads.get() + offset, s.grad(), s.bytes());
      s.memory = memory;
      s.offset = offset;
      offset += detail::padded(s.bytes());
    }
  }
}

}  // namespace xgrad
