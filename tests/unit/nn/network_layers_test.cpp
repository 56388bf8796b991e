// Layers of convolutional and recurrent networks.
#include "tests/unit/tape/helpers.hpp"
#include "xgrad/nn/conv.hpp"
#include "xgrad/nn/layers.hpp"
#include "xgrad/nn/norm.hpp"
#include "xgrad/nn/recurrent.hpp"
#include "xgrad/nn/sequential.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

Array counting(const std::vector<std::size_t>& shape) {
  Array x(Array::shape_type(shape.begin(), shape.end()));
  double next = 0;
  for (double& v : x) v = next++;
  return x;
}

}  // namespace

TEST_CASE("conv2d layer: shapes, values, Kaiming's deviation") {
  Generator random(1);
  nn::Conv2d conv(4, 6, {3, 2}, random,
                  {.stride = 2, .padding = {1, 0}, .groups = 2, .dtype = DType::float64});
  CHECK(conv.weight.shape() == Shape{6, 2, 3, 2});
  CHECK(conv.bias.shape() == Shape{6});
  Tape tape;
  const Var x = tape.constant(counting({2, 4, 5, 4}));
  const Var y = conv(x);
  CHECK(y.shape() == Shape{2, 6, 3, 2});
  CHECK(same_bits(values(y), values(conv2d(x, tape.leaf(conv.weight), tape.leaf(conv.bias),
                                           {.stride = 2, .padding = {1, 0}, .groups = 2}))));
  CHECK_ERROR(nn::Conv2d(3, 4, 2, random, {.groups = 2}), ShapeError,
              "conv2d: 2 groups do not divide 3 and 4 channels");
  CHECK_THROWS_AS(nn::Conv2d(-1, 4, 2, random), ShapeError);

  const nn::Conv2d large(32, 64, 5, random);
  double square = 0;
  const Values w = value_of(large.weight);
  for (double v : w) square += v * v / static_cast<double>(w.size());
  CHECK(std::sqrt(square) == doctest::Approx(std::sqrt(2.0 / (32 * 25))).epsilon(0.02));
}

TEST_CASE("flatten and pooling layers, in a Sequential") {
  Generator random(1);
  nn::Sequential net(nn::MaxPool2d{{.window = 2}}, nn::AvgPool2d{{.window = {1, 2}}}, nn::Flatten{});
  Tape tape;
  const Var y = net(tape.constant(counting({2, 1, 4, 4})));
  CHECK(y.shape() == Shape{2, 2});
  CHECK(values(y) == Values{6, 14, 22, 30});
  CHECK(nn::Flatten{}(tape.constant(counting({3}))).shape() == Shape{3, 1});
  CHECK(nn::Flatten{}(tape.constant(counting({0, 2, 3}))).shape() == Shape{0, 6});
  CHECK_ERROR(nn::Flatten{}(tape.constant(1, DType::float64)), ShapeError, "flatten: x is a scalar");
}

TEST_CASE("batch norm layer: running statistics in training, their use afterwards") {
  nn::BatchNorm2d norm(2, {.momentum = 0.5, .dtype = DType::float64});
  nn::Sequential net(std::move(norm));
  CHECK(nn::parameters(net).size() == 2);
  const std::vector<Parameter> buffers = nn::buffers(net);
  REQUIRE(buffers.size() == 2);
  CHECK(buffers[0].name() == "0.running_mean");
  CHECK(buffers[1].name() == "0.running_variance");
  Tape tape;
  const Var x = tape.constant(Array{{1, 10}, {2, 10}, {3, 40}});
  const Values trained = values(net(x));
  CHECK(difference(trained, {-std::sqrt(1.5), -std::sqrt(0.5), 0, -std::sqrt(0.5), std::sqrt(1.5),
                             std::sqrt(2)}) < 1e-4);
  CHECK(difference(value_of(buffers[0]), {1, 10}) < 1e-12);
  CHECK(difference(value_of(buffers[1]), {0.5 + 0.5 * 1, 0.5 + 0.5 * 300}) < 1e-12);

  nn::set_training(net, false);
  const Values used = values(net(x));
  CHECK(difference(used, {0, 0, 1, 0, 2, 30 / std::sqrt(150.5)}) < 1e-4);
  CHECK(difference(value_of(buffers[0]), {1, 10}) < 1e-12);
  backward(sum(net(x)));
  CHECK_FALSE(buffers[0].has_grad());
}

TEST_CASE("batch norm layer: an empty batch and a batch of one leave numbers") {
  nn::BatchNorm2d norm(2, {.dtype = DType::float64});
  Tape tape;
  CHECK(norm(tape.constant(Array(xt::ones<double>({0, 2})))).shape() == Shape{0, 2});
  CHECK(value_of(norm.running_mean) == Values{0, 0});
  norm(tape.constant(Array{{1, 2}}));
  CHECK(difference(value_of(norm.running_variance), {0.9, 0.9}) < 1e-12);
}

TEST_CASE("layer norm layer") {
  nn::LayerNorm norm(Shape{2, 2}, {.dtype = DType::float64});
  norm.scale.assign(Array{{1, 2}, {3, 4}});
  norm.shift.assign(Array{{0, 0}, {0, 1}});
  Tape tape;
  const Values y = values(norm(tape.constant(Array{{{1, 1}, {3, 3}}})));
  CHECK(difference(y, {-1, -2, 3, 5}) < 1e-4);
}

TEST_CASE("recurrent cells: parameters, a step from nothing, a loop") {
  Generator random(1);
  nn::LstmCell lstm(3, 4, random, DType::float64);
  nn::GruCell gru(3, 4, random, DType::float64);
  CHECK(nn::parameter_count(lstm.weights) == 3 * 16 + 4 * 16 + 32);
  CHECK(gru.weights.hidden.shape() == Shape{4, 12});
  for (double v : value_of(lstm.weights.input)) CHECK(std::abs(v) <= 0.5);
  Tape tape;
  const Var x = tape.constant(counting({2, 3}));
  const Var zeros = tape.constant(Array(xt::zeros<double>({2, 4})));
  CHECK(same_bits(values(lstm(x).c), values(lstm(x, {zeros, zeros}).c)));
  CHECK(same_bits(values(lstm(x, {zeros, {}}).h), values(lstm(x, {zeros, zeros}).h)));
  CHECK(same_bits(values(gru(x)), values(gru(x, zeros))));
  LstmState state;
  Var h;
  for (int step = 0; step < 3; ++step) state = lstm(x, state), h = gru(x, h);
  backward(sum(state.h) + sum(h));
  CHECK(lstm.weights.hidden.has_grad());
  CHECK(gru.weights.hidden_bias.has_grad());
  CHECK_ERROR(gru(tape.constant(Array{1, 2, 3})), ShapeError, "cell: x is [N, in], not [3]");
}

TEST_CASE("embedding layer: rows by number, in any shape; its gradient adds to the rows that were used") {
  Generator random(1);
  nn::Embedding table(5, 2, random, {.dtype = DType::float64});
  CHECK(nn::parameter_count(table) == 10);
  table.weight.assign(Array{{0, 1}, {2, 3}, {4, 5}, {6, 7}, {8, 9}});
  Tape tape;
  const Var y = table(tape.constant(xt::xarray<std::int64_t>{{4, 1}, {1, 0}}));
  CHECK(y.shape() == Shape{2, 2, 2});
  CHECK(values(y) == Values{8, 9, 2, 3, 2, 3, 0, 1});
  backward(sum(y));
  CHECK(Array(table.weight.grad<double>()) == Array{{1, 1}, {2, 2}, {0, 0}, {0, 0}, {1, 1}});
  CHECK_THROWS_AS(nn::Embedding(-1, 2, random), ShapeError);
}
