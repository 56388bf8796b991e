// print(), dot() and operator<<, word for word.
#include <sstream>

#include "tests/unit/tape/helpers.hpp"
#include "xgrad/ops/linalg.hpp"
#include "xgrad/ops/shape.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

std::string printed(const Tape& tape) {
  std::ostringstream out;
  tape.print(out);
  return out.str();
}
std::string drawn(const Tape& tape) {
  std::ostringstream out;
  tape.dot(out);
  return out.str();
}
std::string written(const Var& v) {
  std::ostringstream out;
  out << v;
  return out.str();
}

}  // namespace

TEST_CASE("print: the recording, one instruction a line") {
  Tape tape;
  CHECK(printed(tape).empty());
  const Parameter w(xt::xarray<float>{{1, 2}, {3, 4}, {5, 6}}, "dense.weight"),
      nameless(xt::xarray<float>{1, 2});
  const Var x = tape.input(xt::xarray<float>{{1, 2, 3}});
  const Var unused = tape.constant(Array{1});
  const Var weight = tape.leaf(w), bias = tape.leaf(nameless), h = linear(x, weight, bias);
  const Var y = sum(clamp(h, -1, 1.5) * 2.0, 1, true);
  const Var z = slice(reshape(y, Shape{1}), 0, 0, 1);
  CHECK(printed(tape) ==
        "%0 = input : float32 [1, 3]\n"
        "%2 = parameter dense.weight : float32 [3, 2]\n"
        "%3 = parameter : float32 [2]\n"
        "%4 = linear(%0, %2, %3) : float32 [1, 2]\n"
        "%5 = clamp(%4, -1, 1.5) : float32 [1, 2]\n"
        "%6 = constant : float32 []\n"
        "%7 = mul(%5, %6) : float32 [1, 2]\n"
        "%8 = sum(%7, axes={1}, keepdims) : float32 [1, 1]\n"
        "%9 = reshape(%8) : float32 [1]\n"
        "%10 = slice(%9, axis=0, start=0, step=1, count=1) : float32 [1]\n");
  backward(z);
  CHECK(printed(tape).empty());
}

TEST_CASE("print: the gradient's own recording, and what was not recorded") {
  Tape tape;
  const Var x = tape.input(2.0);
  Var detached;
  {
    const Tape::Pause pause = tape.no_grad();
    detached = x * x;
  }
  const Var y = x * x * detached, g = grad(y, {x}, recorded())[0];
  const std::string text = printed(tape);
  CHECK(text.find("%1 = detached : float64 []\n") != std::string::npos);
  CHECK(text.find("accumulate(") != std::string::npos);
}

TEST_CASE("dot: the recording as a graph") {
  Tape tape;
  CHECK(drawn(tape) == "digraph tape {\n  rankdir=TB;\n  node [fontname=\"sans-serif\", fontsize=11];\n}\n");
  const Parameter w(Array{1, 2}, "a \"b\" \\c");
  const Var x = tape.input(Array{3, 4}), y = sum(tape.leaf(w) * x);
  CHECK(drawn(tape) ==
        R"(digraph tape {
  rankdir=TB;
  node [fontname="sans-serif", fontsize=11];
  n1 [shape=ellipse, style=filled, fillcolor="#cfe8cf", label="a \"b\" \\c\nfloat64 [2]"];
  n0 [shape=ellipse, style=filled, fillcolor="#cfe0f5", label="input\nfloat64 [2]"];
  n2 [shape=box, label="mul\nfloat64 [2]"];
  n1 -> n2;
  n0 -> n2;
  n3 [shape=box, label="sum\naxes={0}\nfloat64 []"];
  n2 -> n3;
}
)");
}

TEST_CASE("operator<<: values as NumPy writes them") {
  Tape tape;
  CHECK(written(tape.input(1.5)) == "1.5");
  CHECK(written(tape.input(Array{{1, 2}, {3, 4}})) == "[[1, 2], [3, 4]]");
  CHECK(written(tape.constant(Array(xt::zeros<double>({0})))) == "[]");
  CHECK(written(tape.constant(Array(xt::zeros<double>({2, 0})))) == "[[], []]");
  CHECK(written(tape.constant(xt::xarray<std::uint8_t>{65, 0})) == "[65, 0]");
  CHECK(written(tape.constant(xt::xarray<bool>{true, false})) == "[1, 0]");
  CHECK(written(tape.constant(Array(xt::arange<double>(1001)))) == "[0, 1, 2, ..., 998, 999, 1000]");
  CHECK_THROWS_AS(written(Var()), StaleVar);
}
