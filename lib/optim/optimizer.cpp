#include "xgrad/optim/optimizer.hpp"

#include <cmath>
#include <span>
#include <type_traits>

#include "lib/tensor/kernels.hpp"
#include "xgrad/support/error.hpp"
#include "xgrad/support/text.hpp"

namespace xgrad::optim {
namespace {

void require(bool ok, const char* what, double value) {
  if (!ok) throw Error(detail::text(what, ", not ", value));
}

/// Calls update.operator()<T>(w, g, n, i) for every parameter that has a gradient.
template <class Update>
void update_each(std::vector<Parameter>& parameters, Update&& update) {
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    Parameter& p = parameters[i];
    if (!p.has_grad()) continue;
    const View w = p.value_view(), g = p.grad_view();
    if (w.dtype == DType::float32) {
      update.template operator()<float>(w.as<float>(), g.as<float>(), w.size(), i);
    } else {
      update.template operator()<double>(w.as<double>(), g.as<double>(), w.size(), i);
    }
  }
}

/// Calls visit(g) with the elements of every gradient; the parameters' values are not written.
template <class Visit>
void for_each_gradient(const std::vector<Parameter>& parameters, Visit&& visit) {
  for (const Parameter& p : parameters) {
    if (!p.has_grad()) continue;
    const View g = p.grad_view();
    const auto n = static_cast<std::size_t>(g.size());
    g.dtype == DType::float32 ? visit(std::span(g.as<float>(), n)) : visit(std::span(g.as<double>(), n));
  }
}

template <class T>
T* array(std::vector<std::unique_ptr<std::byte[]>>& memory, std::size_t i) {
  return memory.empty() ? nullptr : reinterpret_cast<T*>(memory[i].get());
}

}  // namespace

void Optimizer::zero_grad() {
  for (Parameter& p : parameters_) p.zero_grad();
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

Optimizer::Memory Optimizer::make_memory() const {
  Memory memory;
  for (const Parameter& p : parameters_) {
    memory.push_back(std::make_unique<std::byte[]>(static_cast<std::size_t>(p.size()) * size_of(p.dtype())));
  }
  return memory;
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
  if (options.momentum > 0 && velocity_.empty()) velocity_ = make_memory();  // turned on since
  update_each(parameters_, [&]<class T>(T* w, const T* g, std::int64_t n, std::size_t i) {
    kernels::table<T>().sgd(w, g, array<T>(velocity_, i), n, static_cast<T>(options.lr),
                            static_cast<T>(options.momentum), static_cast<T>(options.weight_decay),
                            options.nesterov);
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
  update_each(parameters_, [&]<class T>(T* w, const T* g, std::int64_t n, std::size_t i) {
    const auto t = static_cast<double>(++steps_[i]);
    const double correction1 = 1 - std::pow(options.beta1, t),
                 correction2 = std::sqrt(1 - std::pow(options.beta2, t));
    kernels::table<T>().adam(w, g, array<T>(first_, i), array<T>(second_, i), n,
                             static_cast<T>(options.lr * correction2 / correction1),
                             static_cast<T>(options.beta1), static_cast<T>(options.beta2),
                             static_cast<T>(options.epsilon * correction2),
                             static_cast<T>(options.weight_decay));
  });
}

}  // namespace xgrad::optim
