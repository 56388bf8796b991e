#include "xgrad/tape/parameter.hpp"

#include <algorithm>
#include <cstring>

#include "lib/tape/state.hpp"

namespace xgrad {
namespace {

std::size_t bytes_of(const TensorType& type) {
  return static_cast<std::size_t>(type.shape.size()) * size_of(type.dtype);
}

}  // namespace

Parameter::Parameter(TensorType type, std::string name) : state_(std::make_shared<detail::ParameterState>()) {
  if (!is_floating(type.dtype)) {
    throw DTypeError(
        detail::text("parameter ", name, ": dtype must be float32 or float64, not ", type.dtype));
  }
  state_->type = type;
  state_->name = std::move(name);
  state_->value = std::make_unique<std::byte[]>(bytes_of(type));  // zeros
}

Parameter Parameter::share() const { return Parameter(state_); }

Parameter Parameter::clone() const {
  Parameter copy(state().type, state().name);
  std::memcpy(copy.state_->value.get(), state_->value.get(), bytes_of(state_->type));
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
  return {s.value.get(), s.type.dtype, &s.type.shape};
}

View Parameter::value_view() {
  detail::ParameterState& s = state();
  ++s.version;
  return {s.value.get(), s.type.dtype, &s.type.shape};
}

View Parameter::grad_view() const {
  const detail::ParameterState& s = state();
  if (!s.has_grad)
    throw Error(detail::text("parameter ", s.name, ": no gradient; no backward has reached it"));
  return {s.grad.get(), s.type.dtype, &s.type.shape};
}

}  // namespace xgrad
