// The engine alone: a scalar function of a vector, its gradient, its Hessian, an op of one's own, and the
// recorded graph, printed and drawn. `engine FILE` writes the graph for Graphviz: dot -Tsvg FILE -o graph.svg
#include <fstream>
#include <iostream>

#include "xgrad/xgrad.hpp"

using namespace xgrad;

// An op from two lambdas: log(cosh(x)), and its derivative. The derivative takes Vars as well, so it can be
// differentiated again.
const auto log_cosh = elementwise<"log_cosh">([](auto x) { return std::log(std::cosh(x)); },
                                              [](auto x, auto) {
                                                using std::tanh;
                                                return tanh(x);
                                              });

// Rosenbrock's function of two numbers, with its parabola made soft.
Var f(const Var& x) {
  const Var a = slice(x, 0, 0, 1), b = slice(x, 0, 1, 2);
  return sum(10 * log_cosh(b - square(a)) + square(1 - a));
}

int main(int argc, char** argv) try {
  Tape tape;
  const Var x = tape.input(xt::xarray<double>{-0.5, 0.75});
  const Var y = f(x);
  std::cout << "the recording of f:\n";
  tape.print(std::cout);
  if (argc > 1) {
    std::ofstream file(argv[1]);
    tape.dot(file);
    if (!file.flush()) throw IoError(std::string("cannot write ") + argv[1]);
  }

  const Var gradient = grad(y, {x}, {.create_graph = true})[0];
  std::cout << "f(x) = " << y << "\ngradient = " << gradient << '\n';
  for (int i : {0, 1}) {
    std::cout << "Hessian, row " << i << " = " << grad(slice(gradient, 0, i, i + 1), {x})[0] << '\n';
  }

  const auto scalar = [](std::span<const Var> v) { return f(v[0]); };
  std::cout << "gradcheck: " << gradcheck(scalar, {x.array<double>()}).text() << '\n';
  std::cout << "gradgradcheck: " << gradgradcheck(scalar, {x.array<double>()}).text() << '\n';
} catch (const Error& error) {
  std::cerr << "engine: " << error.what() << '\n';
  return 2;
}
