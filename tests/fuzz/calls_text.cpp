// Calls as text that reads like C++.
#include <ostream>
#include <sstream>

#include "tests/fuzz/calls.hpp"

namespace fuzz {
namespace {

using Names = std::vector<std::string>;

std::string shape_text(const Dims& dims) {
  std::string s = "{";
  for (int i = 0; i < dims.rank; ++i)
    s += (i ? ", " : "") + std::to_string(dims.n[static_cast<std::size_t>(i)]);
  return s + "}";
}

/// A tensor of the elements that a seed stands for.
std::string values_text(const Type& type, std::uint32_t seed) {
  std::ostringstream out;
  const Dims& dims = type.dims;
  if (dims.rank == 0) {
    out << element(seed, 0) << (type.is_float32 ? "f" : "");
    return out.str();
  }
  const int columns = dims.n[static_cast<std::size_t>(dims.rank - 1)];
  out << "xt::xarray<" << (type.is_float32 ? "float" : "double") << ">{";
  for (int i = 0; i < dims.size(); ++i) {
    if (i) out << (i % columns == 0 ? "}, " : ", ");
    if (dims.rank == 2 && i % columns == 0) out << '{';
    out << element(seed, i);
  }
  out << (dims.rank == 2 ? "}}" : "}");
  return out.str();
}

const char* name_of(Op op) {
  static constexpr const char* names[] = {
      "add",           "sub",      "mul",   "matmul",      "Blend", "neg",   "scale",   "exp",
      "tanh",          "sin",      "relu",  "sign",        "log",   "sum",   "reshape", "broadcast_to",
      "stop_gradient", "identity", "Cubic", "NestedCubic", "Total", "Slope", "Thrower", "Probe"};
  return names[static_cast<std::size_t>(op)];
}

std::string op_text(Op op, int attribute, const std::string& a, const std::string& b) {
  const std::string x = b.empty() ? a : a + ", " + b;
  if (op == Op::scale) return a + " * " + values_text({}, static_cast<std::uint32_t>(attribute));
  if (op == Op::blend || op >= Op::cubic) {
    std::string attributes;
    if (op == Op::thrower) attributes = std::to_string(attribute);
    if (op == Op::slope) attributes = attribute ? "&t" : "nullptr";
    return std::string("apply(") + name_of(op) + "{" + attributes + "}, " + x + ")";
  }
  std::string more;
  if (op == Op::matmul && attribute)
    more = std::string(", ") + (attribute & 1 ? "true" : "false") + (attribute & 2 ? ", true" : "");
  if (op == Op::reshape || op == Op::broadcast) more = ", Shape" + shape_text(kShapes[attribute]);
  if (op == Op::sum && attribute) more = attribute == 1 ? ", {0}" : ", {-1}";
  return std::string(name_of(op)) + "(" + x + more + ")";
}

const char* name_of(Functional kind) {
  static constexpr const char* names[] = {"value_and_grad", "vjp", "jvp", "hvp", "jacobian", "hessian"};
  return names[static_cast<std::size_t>(kind)];
}

std::string var(int i) { return i < 0 ? "Var()" : "v" + std::to_string(i); }
std::string moved(const std::string& name, bool move) { return move ? "std::move(" + name + ")" : name; }
std::string flag_text(bool flag) { return flag ? "true" : "false"; }

/// A function as a lambda. `around` says what its captures are called; a letter tells nested locals apart.
std::string lambda(const Fn& f, const Names& around, char letter) {
  std::ostringstream out;
  Names local;
  const std::string args(1, letter);
  for (int i = 0; i < f.arity; ++i) local.push_back(args + "[" + std::to_string(i) + "]");
  out << '[';
  for (std::size_t i = 0; i < f.captures.size(); ++i) {
    const std::string& captured = around[static_cast<std::size_t>(f.captures[i])];
    std::string name = captured;
    if (captured.find('[') != std::string::npos) {
      name = args + "_" + std::to_string(i);
      out << (i ? ", " : "") << name << " = " << captured;
    } else {
      out << (i ? ", " : "") << captured;
    }
    local.push_back(name);
  }
  out << "](auto " << args << ") { ";
  const char inner = static_cast<char>(letter + 1);
  for (std::size_t k = 0; k < f.steps.size(); ++k) {
    const Step& s = f.steps[k];
    const auto at = [&](int i) { return i < 0 ? std::string() : local[static_cast<std::size_t>(i)]; };
    const std::string a = at(s.a), b = at(s.b), name = args + std::to_string(k);
    std::string kept = "Var ";
    kept.append(name).append(" = ").append(a).append("; ");
    const std::string call = op_text(s.what, s.attribute, moved(a, s.move_a), b);
    switch (s.kind) {
      case Step::op:
        out << "Var " << name << " = " << call << "; ";
        break;
      case Step::under_no_grad:
        out << "Var " << name << " = [&] { auto off = " << a << ".tape().no_grad(); return " << call
            << "; }(); ";
        break;
      case Step::constant:
        out << "Var " << name << " = " << a << ".tape().constant(" << element(s.seed, 0) << ", " << a
            << ".dtype()); ";
        break;
      case Step::input:
        out << "Var " << name << " = input_like(" << a << ", /*seed*/ " << s.seed << "); ";
        break;
      case Step::leaf:
        out << "Var " << name << " = " << a << ".tape().leaf(p" << s.attribute << "); ";
        break;
      case Step::read:
        out << kept << "(void)" << a << ".view(); ";
        break;
      case Step::grad:
        out << "Var " << name << " = grad(sum(" << a << "), {" << b
            << "}, {.create_graph = " << flag_text(s.create_graph) << "})[0]; ";
        break;
      case Step::functional:
        out << "Var " << name << " = /*sum of*/ " << name_of(s.functional_kind) << "("
            << lambda(*s.f, local, inner) << ", {" << a << "}, " << (b.empty() ? "" : "{" + b + "}, ")
            << flag_text(s.create_graph) << "); ";
        break;
      case Step::checkpoint:
        out << "Var " << name << " = checkpoint(" << lambda(*s.f, local, inner) << ", {" << a << "}); ";
        break;
      case Step::hook:
        out << "Var " << name << " = with_hook(" << a << ", " << lambda(*s.f, local, inner) << "); ";
        break;
      case Step::custom:
        out << "Var " << name << " = custom_vjp(" << lambda(*s.f, local, inner) << ", "
            << lambda(*s.g, local, inner) << ")({" << a << "}); ";
        break;
      case Step::fail:
        out << "throw CallbackError(); ";
        break;
      case Step::attempt:
        out << kept << "try { value_and_grad(" << lambda(*s.f, local, inner) << ", {" << a << "}, "
            << flag_text(s.create_graph) << "); } catch (const CallbackError&) {} ";
        break;
      case Step::rewind:
        out << kept << "{ auto m = " << a << ".tape().mark(); " << op_text(s.what, 0, a, "") << "; " << a
            << ".tape().rewind(m); } ";
        break;
      case Step::clear:
        out << kept << "try { " << a << ".tape().clear(); } catch (const Error&) {} ";
        break;
      case Step::rewind_out:
        out << kept << "try { " << a << ".tape().rewind(m" << s.attribute << "); } catch (const Error&) {} ";
        break;
      case Step::backward:
        out << kept << "backward(sum(" << a << "), {.keep_recording = " << flag_text(s.create_graph)
            << "}); ";
        break;
      case Step::pack:
        out << kept << "pack({p" << s.attribute << "}); ";
        break;
      case Step::write:
        out << kept << "p" << s.attribute << ".assign(p" << s.attribute << ".value() / 2); ";
        break;
      case Step::escape:
        out << kept << var(s.attribute) << " = " << a << "; ";
        break;
      case Step::end_tape:
        out << kept << "delete t" << s.attribute << "; ";
        break;
    }
    local.push_back(name);
  }
  out << "return ";
  if (f.results.size() == 1) {
    out << (f.results[0] < 0 ? "Var()" : local[static_cast<std::size_t>(f.results[0])]);
  } else {
    out << "std::vector{";
    for (std::size_t i = 0; i < f.results.size(); ++i)
      out << (i ? ", " : "") << (f.results[i] < 0 ? "Var()" : local[static_cast<std::size_t>(f.results[i])]);
    out << '}';
  }
  out << "; }";
  return out.str();
}

std::string list(const std::vector<std::int8_t>& names) {
  std::string s = "{";
  for (std::size_t i = 0; i < names.size(); ++i) s += (i ? ", " : "") + var(names[i]);
  return s + "}";
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Call& c) {
  static const Names names = [] {
    Names all;
    for (int i = 0; i < kVars; ++i) all.push_back(var(i));
    return all;
  }();
  const auto t = [&] { return "t" + std::to_string(c.tape) + "."; };
  const auto f = [&] { return lambda(*c.f, names, 'x'); };
  const std::string i = std::to_string(c.index);
  if (c.fail_after >= 0) out << "/*allocation " << c.fail_after + 1 << " fails*/ ";
  if (c.out.size() == 1) out << var(c.out[0]) << " = ";
  if (c.out.size() > 1) out << list(c.out) << " = ";
  switch (c.kind) {
    case Call::input:
    case Call::constant:
      out << t() << (c.kind == Call::input ? "input(" : "constant(")
          << values_text({kShapes[c.index2], c.flag}, c.seed) << ")";
      break;
    case Call::leaf:
      out << t() << "leaf(p" << i << ")";
      break;
    case Call::op:
      out << op_text(c.what, c.attribute, moved(var(c.a), c.move_a),
                     c.b < 0 ? "" : moved(var(c.b), c.move_b));
      break;
    case Call::copy:
      out << var(c.a);
      break;
    case Call::drop:
      out << var(c.a) << " = Var()";
      break;
    case Call::hook:
      out << "with_hook(" << var(c.a) << ", " << f() << ")";
      break;
    case Call::custom:
      out << "custom_vjp(" << f() << ", " << lambda(*c.g, names, 'x') << ")(" << list(c.xs) << ")";
      break;
    case Call::checkpoint:
      out << "checkpoint(" << f() << ", " << list(c.xs) << ")";
      break;
    case Call::functional:
      out << name_of(c.functional_kind) << "(" << f() << ", " << list(c.xs) << ", "
          << (c.vs.empty() ? "" : list(c.vs) + ", ") << flag_text(c.flag) << ")";
      break;
    case Call::grad:
      out << "grad(" << list(c.ys) << ", /*cotangents*/ " << list(c.vs) << ", " << list(c.xs) << ", "
          << flag_text(c.flag) << ")";
      break;
    case Call::backward:
      out << "backward(" << var(c.a) << ", {.keep_recording = " << flag_text(c.flag) << "})";
      break;
    case Call::zero_grad:
      out << "p" << i << ".zero_grad()";
      break;
    case Call::sgd:
      out << "p" << i << ".assign(p" << i << ".value() - p" << i << ".grad() / 16)";
      break;
    case Call::assign:
      out << "p" << i << ".assign(" << values_text(kParameterTypes[c.index], c.seed) << ")";
      break;
    case Call::pack: {
      out << "pack({";
      for (std::size_t k = 0; k < c.xs.size(); ++k) out << (k ? ", p" : "p") << int{c.xs[k]};
      out << "})";
      break;
    }
    case Call::mark:
      out << "m" << i << " = " << t() << "mark()";
      break;
    case Call::rewind:
      out << t() << "rewind(m" << i << ")";
      break;
    case Call::clear:
      out << t() << "clear()";
      break;
    case Call::no_grad:
      out << "g" << i << " = " << t() << "no_grad()";
      break;
    case Call::profile:
      out << "g" << i << " = " << t() << "profile(profile" << int{c.index2} << ")";
      break;
    case Call::scope:
      out << "g" << i << " = " << t() << "scope(\"" << (c.index % 2 ? "odd" : "even") << "\")";
      break;
    case Call::end_guard:
      out << "delete g" << i;
      break;
    case Call::end_profile:
      out << "delete profile" << i;
      break;
    case Call::detect_nan:
      out << t() << "detect_nan(NanCheck::" << (c.flag ? "non_finite" : "off") << ")";
      break;
    case Call::new_tape:
      out << "t" << int{c.tape} << " = new Tape";
      break;
    case Call::end_tape:
      out << "delete t" << int{c.tape};
      break;
    case Call::read:
      out << var(c.a) << ".view()";
      break;
    case Call::print:
      out << t() << "print(out)";
      break;
  }
  return out << ';';
}

std::string text(const Sequence& sequence) {
  std::ostringstream out;
  for (const Call& call : sequence) out << "  " << call << '\n';
  return out.str();
}

}  // namespace fuzz
