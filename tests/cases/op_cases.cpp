// The case table: all rows, and what rows are made of.
#include "tests/cases/op_cases.hpp"

#include <algorithm>
#include <cmath>

#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/support/random.hpp"
#include "xgrad/tape/grad.hpp"

namespace xgrad::cases {

const std::vector<Shapes> unary_sets = {{{20}},      {{1, 0, 3}}, {{}},   {{812}}, {{0}},
                                        {{0, 3, 3}}, {{1, 0, 5}}, {{23}}, {{}},    {{}}};
const std::vector<Shapes> binary_sets = {{{}, {}},
                                         {{5}, {}},
                                         {{5, 1}, {5}},
                                         {{10, 5}, {}},
                                         {{5, 10, 5}, {10, 5}},
                                         {{10, 1, 5}, {10, 5}},
                                         {{10, 1, 5}, {1, 10, 5}},
                                         {{0, 1, 3}, {0, 10, 3}},
                                         {{3, 1, 2}, {1, 3, 2}},
                                         {{23}, {23}},
                                         {{}, {7}},
                                         {{}, {}},
                                         {{}, {}}};

namespace {

std::string name_and(const char* name, const char* what) { return std::string(name) + ": " + what; }

ErrorCase fails_for_integers(const char* name, std::function<void(const Var&)> call) {
  return fails_when<DTypeError>([call = std::move(call)](Tape& tape) { call(ones(tape, {2}, DType::int64)); },
                                name_and(name, "operand 0 is int64, not floating"));
}

Array draw(const Domain& domain, const Shape& shape, std::size_t operand, Generator& random) {
  Array result(detail::xt_shape(shape));
  if (domain.distinct) {
    // Operands lie between each other's values.
    double next = domain.low + 0.03 * static_cast<double>(operand) - 0.05 * static_cast<double>(shape.size());
    for (double& v : result) v = next += 0.1;
    random.shuffle(std::span(result.data(), result.size()));
    return result;
  }
  const auto near_kink = [&](double v) {
    return std::any_of(domain.kinks.begin(), domain.kinks.end(),
                       [&](double k) { return std::abs(v - k) < 0.05; });
  };
  for (double& v : result) {
    do {
      v = random.uniform(domain.low, domain.high);
    } while (near_kink(v));
    if (domain.grid != 0) v = domain.grid * std::round(v / domain.grid);
  }
  return result;
}

}  // namespace

std::vector<OpCase> op_cases() {
  std::vector<OpCase> all;
  for (auto* family : {elementwise_cases, activation_cases, reduce_cases, shape_cases, linalg_cases,
                       loss_cases, conv_cases, rearrange_cases, order_cases, decomposition_cases, pool_cases,
                       norm_cases, network_cases, kink_cases}) {
    for (OpCase& row : family()) all.push_back(std::move(row));
  }
  return all;
}

Arrays make_inputs(const OpCase& row, std::size_t set) {
  Generator random(set);
  Arrays x;
  for (const Shape& shape : row.sets[set]) {
    x.push_back(draw(row.domains[std::min(x.size(), row.domains.size() - 1)], shape, x.size(), random));
  }
  return x;
}

Array values_of(const Var& v) {
  switch (v.dtype()) {
    case DType::float32:
      return xt::cast<double>(v.value<float>());
    case DType::boolean:
      return xt::cast<double>(v.value<bool>());
    case DType::int64:
      return xt::cast<double>(v.value<std::int64_t>());
    default:
      return v.array<double>();
  }
}

Arrays values_of(std::span<const Var> vars) {
  Arrays result;
  for (const Var& v : vars) result.push_back(values_of(v));
  return result;
}

TensorFunction gradient_of(const TensorFunction& f) {
  return [f](Vars x) {
    Tape& tape = x[0].tape();
    const auto weighted = [&](const Var& v) {
      return v * tape.constant(weights_for(Array(xt::zeros<double>(detail::xt_shape(v.shape())))));
    };
    const Var y = f(x);
    Var total = tape.constant(0, DType::float64);
    for (const Var& g : grad(sum(weighted(y + y * y)), x, {.create_graph = true, .cotangent = {}}))
      total = total + sum(weighted(g));
    return total;
  };
}

Array weights_for(const Array& result) {
  Array w(result.shape());
  double k = 0.5;
  for (double& v : w) v = std::cos(k++);
  return w;
}

OpCase unary(const char* name, Var (*f)(Arg), double (*reference)(double), Domain domain) {
  return {.name = name,
          .f = [f](Vars x) { return f(x[0]); },
          .reference = [reference](const Arrays& x) { return naive::map(x[0], reference); },
          .sets = unary_sets,
          .domains = {std::move(domain)},
          .elementwise = true,
          .errors = {fails_for_integers(name, f)}};
}

OpCase binary(const char* name, Var (*f)(Arg, Arg), double (*reference)(double, double),
              std::vector<Domain> domains) {
  return {
      .name = name,
      .f = [f](Vars x) { return f(x[0], x[1]); },
      .reference = [reference](const Arrays& x) { return naive::map(x[0], x[1], reference); },
      .sets = binary_sets,
      .domains = std::move(domains),
      .elementwise = true,
      .errors = {fails<ShapeError>({{4, 3}, {4}}, name_and(name, "shapes [4, 3] and [4] do not broadcast")),
                 fails_when<DTypeError>([f](Tape& t) { f(ones(t, {2}), ones(t, {2}, DType::float32)); },
                                        name_and(name, "dtypes differ, float64 and float32")),
                 fails_for_integers(name, [f](const Var& x) { f(x, x); })}};
}

OpCase comparison(const char* name, Var (*f)(Arg, Arg), bool (*reference)(double, double)) {
  OpCase row = constant(binary(name, f, nullptr, {whole}));
  row.reference = [reference](const Arrays& x) {
    return naive::generate(naive::broadcast(x), [&](const naive::Index& i) {
      return reference(naive::at(x[0], i), naive::at(x[1], i)) ? 1 : 0;
    });
  };
  row.errors.pop_back();  // integers can be compared
  return row;
}

OpCase constant(OpCase row) {
  row.order = 0;
  return row;
}

OpCase with_errors(OpCase row, std::vector<ErrorCase> errors) {
  for (ErrorCase& error : errors) row.errors.push_back(std::move(error));
  return row;
}

OpCase without_errors(OpCase row) {
  row.errors.clear();
  return row;
}

Var labels(Tape& tape, const Shape& shape, std::int64_t classes) {
  return tape.constant({DType::int64, shape}, [&](View v) {
    for (std::int64_t i = 0; i < v.size(); ++i) {
      v.as<std::int64_t>()[i] = naive::label(static_cast<std::size_t>(i), classes);
    }
  });
}

Var ones(Tape& tape, const Shape& shape, DType dtype) {
  const auto enter = [&]<class T>(T one) {
    const xt::xarray<T> value(detail::xt_shape(shape), one);
    return is_floating(dtype) ? tape.input(value) : tape.constant(value);
  };
  switch (dtype) {
    case DType::float32:
      return enter(1.0f);
    case DType::float64:
      return enter(1.0);
    case DType::int32:
      return enter(std::int32_t{1});
    case DType::int64:
      return enter(std::int64_t{1});
    case DType::uint8:
      return enter(std::uint8_t{1});
    default:
      return enter(true);
  }
}

}  // namespace xgrad::cases
