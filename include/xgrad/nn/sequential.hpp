// Sequential: layers applied one after the other, composed at run time.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "xgrad/nn/visitor.hpp"
#include "xgrad/tape/flow.hpp"

namespace xgrad::nn {

/// Owns layers of any types and applies them in order.
///
///     nn::Sequential net(nn::Dense(784, 128, random), nn::ReLU{}, nn::Dense(128, 10, random));
class Sequential {
 public:
  // The first condition keeps this constructor from competing with the move constructor.
  template <class... Layers>
    requires(sizeof...(Layers) != 1 || !(std::same_as<Layers, Sequential> && ...)) &&
            ((std::move_constructible<Layers> && std::invocable<Layers&, const Var&>) && ...)
  explicit Sequential(Layers... layers) {
    (add(std::move(layers)), ...);
  }

  template <std::move_constructible Layer>
    requires std::invocable<Layer&, const Var&>
  Sequential& add(Layer layer) & {
    layers_.push_back(std::make_unique<Model<Layer>>(std::move(layer)));
    names_.push_back(std::to_string(names_.size()));
    return *this;
  }
  template <std::move_constructible Layer>
    requires std::invocable<Layer&, const Var&>
  Sequential add(Layer layer) && {
    return std::move(add(std::move(layer)));
  }

  Var operator()(const Var& x) {
    Var y = x;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const auto scope = x.tape().scope(names_[i]);
      y = layers_[i]->call(y);
    }
    return identity(std::move(y));
  }
  std::size_t size() const { return layers_.size(); }
  /// Names layers by their number: `0.weight`, and the scope `0` on the tape.
  void visit(Visitor& v) {
    for (std::size_t i = 0; i < layers_.size(); ++i) layers_[i]->visit(v, names_[i]);
  }

 private:
  struct Concept {
    virtual ~Concept() = default;
    virtual Var call(const Var& x) = 0;
    virtual void visit(Visitor& v, const std::string& name) = 0;
  };
  template <class Layer>
  struct Model final : Concept {
    explicit Model(Layer l) : layer(std::move(l)) {}
    Var call(const Var& x) override { return layer(x); }
    void visit(Visitor& v, const std::string& name) override { v(name, layer); }
    Layer layer;
  };
  std::vector<std::unique_ptr<Concept>> layers_;
  std::vector<std::string> names_;
};

}  // namespace xgrad::nn
