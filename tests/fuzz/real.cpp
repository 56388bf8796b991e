// The library's side of every call.
#include "tests/fuzz/real.hpp"

#include <algorithm>
#include <sstream>

namespace fuzz {
namespace {

Shape shape_of(const Dims& dims) {
  Shape shape;
  for (int i = 0; i < dims.rank; ++i) shape.push_back(dims.n[static_cast<std::size_t>(i)]);
  return shape;
}

template <class T>
xt::xarray<T> array_of(const Dims& dims, std::uint32_t seed) {
  std::vector<std::size_t> shape;
  for (int i = 0; i < dims.rank; ++i)
    shape.push_back(static_cast<std::size_t>(dims.n[static_cast<std::size_t>(i)]));
  xt::xarray<T> result(shape);
  for (int i = 0; i < dims.size(); ++i) result.data()[i] = static_cast<T>(element(seed, i));
  return result;
}

template <class Body>
void with_type(bool is_float32, Body body) {
  is_float32 ? body(float{}) : body(double{});
}

Arg argument(Var& v, bool move) { return move ? Arg(std::move(v)) : Arg(v); }

TensorFunction function(Real& world, const Closure<Real>& f) {
  return [&world, f](std::span<const Var> xs) { return call(world, f, xs)[0]; };
}

}  // namespace

std::vector<double> elements_of(const ConstView& v) {
  std::vector<double> result(static_cast<std::size_t>(v.size()));
  for (std::size_t i = 0; i < result.size(); ++i) {
    result[i] = v.dtype == DType::float32 ? static_cast<double>(v.as<float>()[i]) : v.as<double>()[i];
  }
  return result;
}

Parameter Real::own_parameter(int p) {
  Parameter made;
  with_type(kParameterTypes[p].is_float32, [&](auto zero) {
    const auto value = array_of<decltype(zero)>(kParameterTypes[p].dims, static_cast<std::uint32_t>(p) + 1);
    made = Parameter(value, "p" + std::to_string(p));
  });
  return made;
}

Real::Real(const Parameter* shared) {
  for (int p = 0; p < kParameters; ++p) {
    parameter(p) = shared && p == kParameters - 1 ? shared->share() : own_parameter(p);
  }
}

Var Real::enter(int t, const Type& type, std::uint32_t seed, bool requires_grad) {
  Var result;
  with_type(type.is_float32, [&](auto zero) {
    const auto value = array_of<decltype(zero)>(type.dims, seed);
    result = requires_grad ? tape(t).input(value) : tape(t).constant(value);
  });
  return result;
}

Var Real::leaf_on(int t, int p) { return tape(t).leaf(parameter(p)); }

Var Real::op(Op what, int attribute, Var& a, bool move_a, Var* b, bool move_b) {
  if (is_binary(what) && !b) throw std::logic_error("an operand is missing");
  const auto x = [&] { return argument(a, move_a); };
  const auto y = [&] { return argument(*b, move_b); };
  switch (what) {
    case Op::add:
      return x() + y();
    case Op::sub:
      return x() - y();
    case Op::mul:
      return x() * y();
    case Op::matmul:
      return matmul(a, *b, (attribute & 1) != 0, (attribute & 2) != 0);
    case Op::blend:
      return xgrad::apply(Blend{}, x(), y());
    case Op::neg:
      return -x();
    case Op::scale:
      return x() * element(static_cast<std::uint32_t>(attribute), 0);
    case Op::exp:
      return exp(x());
    case Op::tanh:
      return tanh(x());
    case Op::sin:
      return sin(x());
    case Op::relu:
      return relu(x());
    case Op::sign:
      return sign(x());
    case Op::log:
      return log(x());
    case Op::sum:
      return attribute == 0 ? sum(a) : sum(a, {attribute == 1 ? 0 : -1});
    case Op::reshape:
      return reshape(a, shape_of(kShapes[attribute]));
    case Op::broadcast:
      return broadcast_to(a, shape_of(kShapes[attribute]));
    case Op::stop:
      return stop_gradient(a);
    case Op::identity:
      return identity(x());
    case Op::cubic:
      return xgrad::apply(Cubic{}, x());
    case Op::nested_cubic:
      return xgrad::apply(NestedCubic{}, x());
    case Op::total:
      return xgrad::apply(Total{}, x());
    case Op::slope:
      return xgrad::apply(Slope{attribute == 1 ? &a.tape() : nullptr}, x());
    case Op::thrower:
      return xgrad::apply(Thrower{attribute}, x());
    case Op::probe:
      return xgrad::apply(Probe{}, x());
  }
  throw std::logic_error("unknown op");
}

Var Real::constant_like(const Var& like, double value) { return like.tape().constant(value, like.dtype()); }

Var Real::input_like(const Var& like, std::uint32_t seed) {
  Dims dims;
  for (const std::int64_t n : like.shape()) dims.push_back(static_cast<int>(n));
  Var result;
  with_type(like.dtype() == DType::float32,
            [&](auto zero) { result = like.tape().input(array_of<decltype(zero)>(dims, seed)); });
  return result;
}

Var Real::leaf_like(const Var& like, int p) { return like.tape().leaf(parameter(p)); }

void Real::read(const Var& v) { (void)elements_of(v.view()); }

Var Real::hook(const Var& x, Closure<Real> f, int id) {
  return with_hook(x, [this, f = std::move(f), id](const Var& dy) {
    if (id >= 0) ++invocations[static_cast<std::size_t>(id)];
    return call(*this, f, std::span<const Var>(&dy, 1))[0];
  });
}

Var Real::custom(Closure<Real> f, Closure<Real> g, std::span<const Var> xs, int id) {
  const auto cotangents = [this, g = std::move(g), id](std::span<const Var> x, const Var& y, const Var& dy) {
    if (id >= 0) ++invocations[static_cast<std::size_t>(id)];
    std::vector<Var> args(x.begin(), x.end());
    args.push_back(y);
    args.push_back(dy);
    return call(*this, g, std::span<const Var>(args));
  };
  return custom_vjp<"custom">(function(*this, f), cotangents)(xs);
}

Var Real::checkpoint(Closure<Real> f, std::span<const Var> xs) {
  return xgrad::checkpoint(function(*this, f), xs);
}

std::vector<Var> Real::grad(std::span<const Var> ys, std::span<const Var> cotangents, std::span<const Var> xs,
                            bool graph) {
  if (ys.size() == 1) return xgrad::grad(ys[0], xs, {.create_graph = graph, .cotangent = cotangents[0]});
  return xgrad::grad(ys, cotangents, xs, graph);
}

Parts<Real> Real::functional(Functional kind, const Closure<Real>& closure, std::span<const Var> xs,
                             std::span<const Var> vs, bool graph) {
  const TensorFunction f = function(*this, closure);
  switch (kind) {
    case Functional::value_and_grad: {
      auto [value, grads] = value_and_grad(f, xs, graph);
      return {std::move(value), std::move(grads)};
    }
    case Functional::vjp: {
      auto [value, cotangents] = vjp(f, xs, vs[0], graph);
      return {std::move(value), std::move(cotangents)};
    }
    case Functional::jvp: {
      auto [value, tangent] = jvp(f, xs, vs, graph);
      return {std::move(value), {std::move(tangent)}};
    }
    case Functional::hvp:
      return {{}, hvp(f, xs, vs, graph)};
    case Functional::jacobian:
      return {{}, jacobian(f, xs, graph)};
    case Functional::hessian: {
      Parts<Real> result;
      for (const std::vector<Var>& row : hessian(f, xs, graph)) {
        result.parts.insert(result.parts.end(), row.begin(), row.end());
      }
      return result;
    }
  }
  throw std::logic_error("unknown functional");
}

void Real::rewind_inside(const Var& like, Op what) {
  Tape& t = like.tape();
  const Tape::Mark mark = t.mark();
  Var x = like;
  (void)op(what, 0, x, false, nullptr, false);
  t.rewind(mark);
}

void Real::clear_inside(const Var& like) {
  Tape& t = like.tape();
  try {
    t.clear();
  } catch (const Error&) {
    return;
  }
  complaint = "clear() inside a callback did not throw";
}

void Real::rewind_out(int mark) {
  const auto i = static_cast<std::size_t>(mark);
  try {
    tape(mark_tapes[i]).rewind(marks[i]);
  } catch (const Error&) {
    return;
  }
  complaint = "rewind() to before a callback did not throw";
}

void Real::sgd(int p) {
  Parameter& parameter = this->parameter(p);
  with_type(parameter.dtype() == DType::float32, [&](auto zero) {
    using T = decltype(zero);
    const T rate = static_cast<T>(0.0625), bound = 2;
    const xt::xarray<T> g = parameter.grad<T>();
    parameter.assign(xt::xarray<T>(xt::clip(parameter.value<T>() - rate * g, -bound, bound)));
  });
}

void Real::write(int p, std::uint32_t seed) {
  with_type(kParameterTypes[p].is_float32,
            [&](auto zero) { parameter(p).assign(array_of<decltype(zero)>(kParameterTypes[p].dims, seed)); });
}

void Real::halve(int p) {
  with_type(kParameterTypes[p].is_float32, [&](auto zero) {
    using T = decltype(zero);
    const xt::xarray<T> value = parameter(p).value<T>();
    parameter(p).assign(xt::xarray<T>(value * static_cast<T>(0.5)));
  });
}

void Real::pack(std::span<const std::int8_t> names) {
  std::vector<Parameter> list;
  for (const std::int8_t p : names) list.push_back(parameter(p).share());
  xgrad::pack(list);
}

void Real::set_mark(int mark, int t) {
  const auto i = static_cast<std::size_t>(mark);
  marks[i] = tape(t).mark();
  mark_tapes[i] = t;
}

void Real::rewind(int mark, int t) { tape(t).rewind(marks[static_cast<std::size_t>(mark)]); }

void Real::begin_guard(int guard, GuardKind kind, int t, int profile) {
  auto& place = guards[static_cast<std::size_t>(guard)];
  auto& measured = profiles[static_cast<std::size_t>(profile)];
  switch (kind) {
    case GuardKind::none:
      break;
    case GuardKind::no_grad:
      place.emplace<Tape::Pause>(tape(t).no_grad());
      break;
    case GuardKind::profile:
      if (!measured) measured = std::make_unique<Profile>(16);
      place.emplace<Tape::Profiling>(tape(t).profile(measured.get()));
      break;
    case GuardKind::scope:
      place.emplace<Tape::Scope>(tape(t).scope(guard % 2 ? "odd" : "even"));
      break;
  }
}

void Real::print(int t) {
  std::ostringstream out;
  tape(t).print(out);
  tape(t).dot(out);
  for (const auto& profile : profiles) {
    if (profile) profile->print(out);
  }
}

}  // namespace fuzz
