// SGD and Adam: what they check, and their loops over runs of packed parameters.
#include "xgrad/optim/optimizer.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <type_traits>

#include "lib/support/parallel.hpp"
#include "lib/tensor/kernels.hpp"
#include "xgrad/support/error.hpp"
#include "xgrad/support/text.hpp"
#include "xgrad/tensor/dispatch.hpp"

namespace xgrad::optim {
namespace {

void require(bool ok, const char* what, double value) {
  if (!ok) throw Error(detail::text(what, ", not ", value));
}

/// Calls update.operator()<T>(w, g, n, i, end) for runs of parameters i to end that have gradients, lie one
/// behind the other in memory and may be updated `together`. n includes the padding between them.
template <class Together, class Update>
void for_each_run(std::vector<Parameter>& parameters, Together&& together, Update&& update) {
  for (std::size_t i = 0, end = 0; i < parameters.size(); i = end) {
    end = i + 1;
    if (!parameters[i].has_grad()) continue;
    const View w = parameters[i].value_view(), g = parameters[i].grad_view();
    View last = w;
    while (end < parameters.size() && parameters[end].has_grad() && together(i, end) &&
           parameters[end - 1].precedes(parameters[end])) {
      last = parameters[end++].value_view();
    }
    const auto run = [&]<class T>() {
      const std::int64_t n = last.as<T>() + last.size() - w.as<T>();
      update.template operator()<T>(w.as<T>(), g.as<T>(), n, i, end);
    };
    detail::dispatch_floating(w.dtype, run);
  }
}

/// Calls visit(g) with the elements of every gradient. It marks no value as written.
template <class Visit>
void for_each_gradient(const std::vector<Parameter>& parameters, Visit&& visit) {
  for (const Parameter& p : parameters) {
    if (!p.has_grad()) continue;
    const View g = p.grad_view();
    const auto n = static_cast<std::size_t>(g.size());
    detail::dispatch_floating(g.dtype, [&]<class T>() { visit(std::span(g.as<T>(), n)); });
  }
}

template <class T>
T* array(const detail::AlignedMemory& memory, std::size_t offset) {
  return memory ? reinterpret_cast<T*>(memory.get() + offset) : nullptr;
}

}  // namespace

Optimizer::Optimizer(std::vector<Parameter> parameters) : parameters_(std::move(parameters)), offsets_{0} {
  for (const Parameter& p : parameters_) {
    const std::size_t bytes = static_cast<std::size_t>(p.size()) * size_of(p.dtype());
    offsets_.push_back(offsets_.back() + detail::padded(bytes));
  }
}

double Optimizer::clip_grad_norm(double most) {
  require(most > 0, "clip_grad_norm: the norm must be above 0", most);
  double squares = 0;
  for_each_gradient(parameters_, [&](auto g) {
    for (const auto x : g) squares += static_cast<double>(x) * static_cast<double>(x);
  });
  const double norm = std::sqrt(squares);
  if (norm > most && std::isfinite(norm)) {
    for_each_gradient(parameters_, [&](auto g) {
      for (auto& x : g) x *= static_cast<std::remove_reference_t<decltype(x)>>(most / norm);
    });
  }
  return norm;
}

void Optimizer::zero_grad() {
  for (Parameter& p : parameters_) p.zero_grad();
}

SGD::SGD(std::vector<Parameter> parameters, const SGDOptions& given)
    : Optimizer(std::move(parameters)), options(given) {
  require(given.lr >= 0, "sgd: lr must be at least 0", given.lr);
  require(given.momentum >= 0, "sgd: momentum must be at least 0", given.momentum);
  require(given.weight_decay >= 0, "sgd: weight_decay must be at least 0", given.weight_decay);
  require(!given.nesterov || given.momentum > 0, "sgd: nesterov needs a momentum above 0", given.momentum);
  if (given.momentum > 0) velocity_ = make_memory();
}

void SGD::step() {
  if (options.momentum > 0 && !velocity_)
    velocity_ = make_memory();  // momentum was turned on after construction
  const auto always = [](std::size_t, std::size_t) { return true; };
  for_each_run(parameters_, always,
               [&]<class T>(T* w, const T* g, std::int64_t n, std::size_t i, std::size_t) {
                 T* v = array<T>(velocity_, offsets_[i]);
                 parallel_chunks(n, [&](std::int64_t begin, std::int64_t count) {
                   kernels::table<T>().sgd(w + begin, g + begin, v ? v + begin : nullptr, count,
                                           static_cast<T>(options.lr), static_cast<T>(options.momentum),
                                           static_cast<T>(options.weight_decay), options.nesterov);
                 });
               });
}

Adam::Adam(std::vector<Parameter> parameters, const AdamOptions& given)
    : Optimizer(std::move(parameters)),
      options(given),
      first_(make_memory()),
      second_(make_memory()),
      steps_(parameters_.size()) {
  require(given.lr >= 0, "adam: lr must be at least 0", given.lr);
  require(given.beta1 >= 0 && given.beta1 < 1, "adam: beta1 must be in [0, 1)", given.beta1);
  require(given.beta2 >= 0 && given.beta2 < 1, "adam: beta2 must be in [0, 1)", given.beta2);
  require(given.epsilon >= 0, "adam: epsilon must be at least 0", given.epsilon);
  require(given.weight_decay >= 0, "adam: weight_decay must be at least 0", given.weight_decay);
}

void Adam::step() {
  const auto agree = [&](std::size_t i, std::size_t j) { return steps_[i] == steps_[j]; };
  for_each_run(parameters_, agree,
               [&]<class T>(T* w, const T* g, std::int64_t n, std::size_t i, std::size_t end) {
                 const std::int64_t step = steps_[i] + 1;
                 std::fill(steps_.begin() + std::ptrdiff_t(i), steps_.begin() + std::ptrdiff_t(end), step);
                 const auto t = static_cast<double>(step);
                 const double correction1 = 1 - std::pow(options.beta1, t),
                              correction2 = std::sqrt(1 - std::pow(options.beta2, t));
                 T *m = array<T>(first_, offsets_[i]), *v = array<T>(second_, offsets_[i]);
                 parallel_chunks(n, [&](std::int64_t begin, std::int64_t count) {
                   kernels::table<T>().adam(w + begin, g + begin, m + begin, v + begin, count,
                                            static_cast<T>(options.lr * correction2 / correction1),
                                            static_cast<T>(options.beta1), static_cast<T>(options.beta2),
                                            static_cast<T>(options.epsilon * correction2),
                                            static_cast<T>(options.weight_decay));
                 });
               });
}

}  // namespace xgrad::optim
