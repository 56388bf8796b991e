// The recording as text and as a graph.
#include <ostream>
#include <sstream>

#include "lib/tape/state.hpp"

namespace xgrad {

using detail::Instruction;
using detail::Slot;
using detail::SlotKind;
using detail::TapeState;

namespace {

const char* kind_name(SlotKind kind) {
  switch (kind) {
    case SlotKind::constant:
      return "constant";
    case SlotKind::input:
      return "input";
    case SlotKind::leaf:
      return "parameter";
    default:
      return "detached";  // the result of something that was not recorded
  }
}

std::string attributes_of(const Instruction& instruction) {
  std::ostringstream attributes;
  if (instruction.op->describe) instruction.op->describe(instruction.attributes(), attributes);
  return attributes.str();
}

/// `%3 = sum(%2, axes={0})`
void print_call(std::ostream& out, const TapeState& state, const Instruction& instruction,
                const std::string& attributes) {
  out << '%' << state.slots[instruction.output].id << " = " << instruction.op->name << '(';
  const char* comma = "";
  for (std::uint32_t i : instruction.operands())
    out << std::exchange(comma, ", ") << '%' << state.slots[i].id;
  if (!attributes.empty()) out << comma << attributes;
  out << ')';
}

/// Calls source(slot, name) for every value that enters and instruction(...) for every instruction, in order.
template <class Source, class Step>
void walk(const TapeState& state, Source&& source, Step&& step) {
  std::vector<bool> seen(state.slots.size());
  for (const Instruction* instruction : state.list) {
    for (std::uint32_t i : instruction->operands()) {
      if (seen[i]) continue;
      seen[i] = true;
      std::string parameter;
      for (const detail::Leaf& leaf : state.leaves) {
        if (leaf.slot == i) parameter = leaf.parameter->name;
      }
      source(state.slots[i], parameter);
    }
    seen[instruction->output] = true;
    step(*instruction, attributes_of(*instruction));
  }
}

std::string escaped(const std::string& s) {
  std::string result;
  for (char c : s) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

/// One axis of a value and what is inside it.
template <class T>
void print_axis(std::ostream& out, const T* data, const Shape& shape, int axis, std::int64_t stride) {
  if (axis == shape.rank()) {
    out << +*data;
    return;
  }
  constexpr std::int64_t kLong = 1000, kEdge = 3;
  const std::int64_t n = shape[axis], inner = n ? stride / n : 0;
  const bool cut = shape.size() > kLong && n > 2 * kEdge;
  out << '[';
  for (std::int64_t i = 0; i < n; ++i) {
    if (i) out << ", ";
    if (cut && i == kEdge) {
      out << "..., ";
      i = n - kEdge;
    }
    print_axis(out, data + i * inner, shape, axis + 1, inner);
  }
  out << ']';
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Var& v) {
  const ConstView x = v.view();
  const auto print = [&]<class T>() { print_axis(out, x.as<T>(), x.shape(), 0, x.size()); };
  switch (x.dtype) {
    case DType::float32:
      print.template operator()<float>();
      break;
    case DType::float64:
      print.template operator()<double>();
      break;
    case DType::int32:
      print.template operator()<std::int32_t>();
      break;
    case DType::int64:
      print.template operator()<std::int64_t>();
      break;
    case DType::uint8:
      print.template operator()<std::uint8_t>();
      break;
    case DType::boolean:
      print.template operator()<bool>();
      break;
  }
  return out;
}

std::string TapeState::describe(const Instruction& instruction) const {
  std::ostringstream out;
  print_call(out, *this, instruction, attributes_of(instruction));
  const Slot& result = slots[instruction.output];
  out << " : " << result.dtype << ' ' << result.shape;
  const std::string scope = scopes.path_at(result.id);
  if (!scope.empty()) out << " in " << scope;
  return out.str();
}

void Tape::print(std::ostream& out) const {
  const TapeState& state = *state_;
  walk(
      state,
      [&](const Slot& slot, const std::string& parameter) {
        out << '%' << slot.id << " = " << kind_name(slot.kind) << (parameter.empty() ? "" : " ") << parameter
            << " : " << slot.dtype << ' ' << slot.shape << '\n';
      },
      [&](const Instruction& instruction, const std::string& attributes) {
        const Slot& result = state.slots[instruction.output];
        const std::string scope = state.scopes.path_at(result.id);
        print_call(out, state, instruction, attributes);
        out << " : " << result.dtype << ' ' << result.shape << (scope.empty() ? "" : "  # ") << scope << '\n';
      });
}

void Tape::dot(std::ostream& out) const {
  const TapeState& state = *state_;
  out << "digraph tape {\n  rankdir=TB;\n  node [fontname=\"sans-serif\", fontsize=11];\n";
  walk(
      state,
      [&](const Slot& slot, const std::string& parameter) {
        out << "  n" << slot.id << " [shape=ellipse, style=filled, fillcolor=\""
            << (slot.kind == SlotKind::leaf    ? "#cfe8cf"
                : slot.kind == SlotKind::input ? "#cfe0f5"
                                               : "#eeeeee")
            << "\", label=\"" << (parameter.empty() ? kind_name(slot.kind) : escaped(parameter)) << "\\n"
            << slot.dtype << ' ' << slot.shape << "\"];\n";
      },
      [&](const Instruction& instruction, const std::string& attributes) {
        const Slot& result = state.slots[instruction.output];
        out << "  n" << result.id << " [shape=box, label=\"" << instruction.op->name
            << (attributes.empty() ? "" : "\\n") << escaped(attributes) << "\\n"
            << result.dtype << ' ' << result.shape << "\"];\n";
        for (std::uint32_t i : instruction.operands()) {
          out << "  n" << state.slots[i].id << " -> n" << result.id << ";\n";
        }
      });
  out << "}\n";
}

}  // namespace xgrad
