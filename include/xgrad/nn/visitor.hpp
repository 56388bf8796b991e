// Visitor, and what a program does with a model as a whole. A layer is a plain struct with
// `Var operator()(const Var&)`; a layer that holds parameters or other layers names them in `visit`:
//
//     struct Block {
//       nn::Dense in, out;
//       Var operator()(const Var& x) { return out(relu(in(x))); }
//       void visit(nn::Visitor& v) { v("in", in), v("out", out); }
//     };
//
// parameters(), set_training(), penalty() and the other functions here need no more; there is no base class.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "xgrad/tape/parameter.hpp"
#include "xgrad/tape/tape.hpp"

namespace xgrad::nn {

/// Walks a model and names what it finds by its path, `0.weight`.
class Visitor {
 public:
  using OnParameter = std::function<void(const std::string& path, Parameter&, double l2)>;
  using OnTraining = std::function<void(bool& training)>;
  using OnBuffer = std::function<void(const std::string& path, Parameter&)>;
  explicit Visitor(OnParameter on_parameter, OnTraining on_training = {}, OnBuffer on_buffer = {})
      : on_parameter_(std::move(on_parameter)),
        on_training_(std::move(on_training)),
        on_buffer_(std::move(on_buffer)) {}

  /// A parameter, and the strength of its L2 penalty.
  void operator()(std::string_view name, Parameter& parameter, double l2 = 0) {
    if (on_parameter_) on_parameter_(path_ + std::string(name), parameter, l2);
  }
  /// The training flag of a layer that behaves differently in training.
  void operator()(std::string_view, bool& training) {
    if (on_training_) on_training_(training);
  }
  /// A tensor that belongs to the model but is not trained, such as running statistics.
  void buffer(std::string_view name, Parameter& buffer) {
    if (on_buffer_) on_buffer_(path_ + std::string(name), buffer);
  }
  /// A layer inside a layer. A layer without `visit` has nothing to name.
  template <class Layer>
    requires std::invocable<Layer&, const Var&>
  void operator()(std::string_view name, Layer& layer) {
    if constexpr (requires { layer.visit(*this); }) {
      const std::size_t length = path_.size();
      path_.append(name).append(".");
      layer.visit(*this);
      path_.resize(length);
    }
  }

 private:
  OnParameter on_parameter_;
  OnTraining on_training_;
  OnBuffer on_buffer_;
  std::string path_;
};

/// A layer or a model that has `visit`.
template <class Model>
concept Visitable = requires(Model& model, Visitor& v) { model.visit(v); };

/// Handles of all parameters of one or several models, in the order of visiting, each once. A parameter
/// without a name is named by its path.
template <Visitable... Models>
std::vector<Parameter> parameters(Models&... models) {
  std::vector<Parameter> all;
  Visitor v([&](const std::string& path, Parameter& p, double) {
    if (p.name().empty()) p.set_name(path);
    for (const Parameter& known : all) {
      if (known.is(p)) return;  // shared by two layers
    }
    all.push_back(p.share());
  });
  (models.visit(v), ...);
  return all;
}

/// Handles of the tensors that are not trained, in the order of visiting.
template <Visitable... Models>
std::vector<Parameter> buffers(Models&... models) {
  std::vector<Parameter> all;
  Visitor v({}, {}, [&](const std::string& path, Parameter& p) {
    if (p.name().empty()) p.set_name(path);
    all.push_back(p.share());
  });
  (models.visit(v), ...);
  return all;
}

/// Packs the parameters of one or several models into one block of values and one of gradients (see
/// xgrad::pack): an optimiser then updates them in one loop, and each block can be sent or stored as a whole.
template <Visitable... Models>
void pack(Models&... models) {
  std::vector<Parameter> all = parameters(models...);
  xgrad::pack(all);
}

/// Sets the training flag of all layers that have one.
template <Visitable Model>
void set_training(Model& model, bool training) {
  Visitor v({}, [&](bool& flag) { flag = training; });
  model.visit(v);
}

/// How many numbers the parameters hold.
template <Visitable Model>
std::int64_t parameter_count(Model& model) {
  std::int64_t count = 0;
  for (const Parameter& p : parameters(model)) count += p.size();
  return count;
}

namespace detail {
Var add_penalty(Tape& tape, Var sum, const Parameter& parameter, double l2);
}

/// The sum of the layers' L2 penalties, to be added to the loss; an empty Var when there are none.
template <Visitable Model>
Var penalty(Model& model, Tape& tape) {
  Var sum;
  Visitor v(
      [&](const std::string&, Parameter& p, double l2) { sum = detail::add_penalty(tape, sum, p, l2); });
  model.visit(v);
  return sum;
}

}  // namespace xgrad::nn
