// The recording as text and as a graph.
#include <ostream>
#include <sstream>

#include "lib/tape/core.hpp"
#include "xgrad/tensor/dispatch.hpp"

namespace xgrad {

using detail::Access;
using detail::Call;
using detail::Instruction;
using detail::Origin;
using detail::Slot;
using detail::TapeCore;

namespace {

const char* origin_name(Origin origin) {
  switch (origin) {
    case Origin::constant:
      return "constant";
    case Origin::input:
      return "input";
    case Origin::parameter:
      return "parameter";
    default:
      return "detached";  // the result of something that was not recorded
  }
}

std::string attributes_of(const Call& call) {
  std::ostringstream attributes;
  if (call.op->describe) call.op->describe(call.attributes, attributes);
  return attributes.str();
}

/// `%3 = sum(%2, axes={0})`
void print_call(std::ostream& out, const TapeCore& core, const Call& call) {
  out << '%' << core.values[call.y].id << " = " << call.op->name << '(';
  const char* comma = "";
  for (const detail::SlotId i : call.x) out << std::exchange(comma, ", ") << '%' << core.values[i].id;
  if (const std::string attributes = attributes_of(call); !attributes.empty()) out << comma << attributes;
  out << ')';
}

/// Calls source(slot, name) for every value that enters and step(call) for every instruction, in order.
template <class Source, class Step>
void walk(const TapeCore& core, Source&& source, Step&& step) {
  std::vector<bool> seen(core.values.size());
  for (const Instruction* i = core.recording.first(); i; i = i->next) {
    for (const detail::SlotId x : i->x()) {
      if (seen[x]) continue;
      seen[x] = true;
      const Slot& slot = core.values[x];
      source(slot, slot.origin == Origin::parameter ? slot.leaf->parameter->name : std::string());
    }
    seen[i->y] = true;
    step(Call{i->op, i->attributes(), i->x(), i->y, i->scope, nullptr});
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
  detail::dispatch_all(x.dtype, [&]<class T>() { print_axis(out, x.as<T>(), x.shape(), 0, x.size()); });
  return out;
}

std::string TapeCore::describe(const Call& call) const {
  std::ostringstream out;
  print_call(out, *this, call);
  const Slot& result = values[call.y];
  out << " : " << result.dtype << ' ' << result.shape;
  const std::string scope = recording.scopes().path(call.scope);
  if (!scope.empty()) out << " in " << scope;
  return out.str();
}

void Tape::print(std::ostream& out) const {
  const TapeCore& core = *core_;
  walk(
      core,
      [&](const Slot& slot, const std::string& parameter) {
        out << '%' << slot.id << " = " << origin_name(slot.origin) << (parameter.empty() ? "" : " ")
            << parameter << " : " << slot.dtype << ' ' << slot.shape << '\n';
      },
      [&](const Call& call) {
        const Slot& result = core.values[call.y];
        const std::string scope = core.recording.scopes().path(call.scope);
        print_call(out, core, call);
        out << " : " << result.dtype << ' ' << result.shape << (scope.empty() ? "" : "  # ") << scope << '\n';
      });
}

void Tape::dot(std::ostream& out) const {
  const TapeCore& core = *core_;
  out << "digraph tape {\n  rankdir=TB;\n  node [fontname=\"sans-serif\", fontsize=11];\n";
  walk(
      core,
      [&](const Slot& slot, const std::string& parameter) {
        out << "  n" << slot.id << " [shape=ellipse, style=filled, fillcolor=\""
            << (slot.origin == Origin::parameter ? "#cfe8cf"
                : slot.origin == Origin::input   ? "#cfe0f5"
                                                 : "#eeeeee")
            << "\", label=\"" << (parameter.empty() ? origin_name(slot.origin) : escaped(parameter)) << "\\n"
            << slot.dtype << ' ' << slot.shape << "\"];\n";
      },
      [&](const Call& call) {
        const Slot& result = core.values[call.y];
        const std::string attributes = attributes_of(call);
        out << "  n" << result.id << " [shape=box, label=\"" << call.op->name
            << (attributes.empty() ? "" : "\\n") << escaped(attributes) << "\\n"
            << result.dtype << ' ' << result.shape << "\"];\n";
        for (const detail::SlotId i : call.x)
          out << "  n" << core.values[i].id << " -> n" << result.id << ";\n";
      });
  out << "}\n";
}

}  // namespace xgrad
