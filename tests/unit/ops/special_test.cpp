// The gamma function's relatives, against values computed with 40 digits.
#include "tests/unit/ops/unary_checks.hpp"

using namespace xgrad;
using namespace xgrad::test;

namespace {

struct Row {
  int n;
  double x, value;
};
const std::vector<Row> kPolygamma = {
    {0, 1, -0.57721566490153286},
    {0, 0.5, -1.9635100260214235},
    {0, 1e-10, -10000000000.577215},
    {0, 10.5, 2.3030010342976864},
    {0, 1e20, 46.051701859880914},
    {0, 1.4616, -3.110625123034165e-5},
    {0, 1.4616321449683622, -9.2412655217294275e-17},  // next to the root
    {0, -0.5, 0.036489973978576521},
    {0, -3.75, -1.6923885983113303},
    {0, -1e-10, 9999999999.422784},
    {0, -100.1, 14.279984365172156},
    {1, 1, 1.6449340668482264},
    {1, 0.25, 17.197329154507111},
    {1, 100, 0.010050166663333571},
    {1, 1e15, 1.0000000000000005e-15},
    {1, -0.5, 8.9348022005446793},
    {1, -7.3, 14.951383181433921},
    {2, 1, -2.4041138063191886},
    {2, 0.01, -2000002.340398677},
    {2, -2.2, 246.9151203992105},
    {3, 2.5, 0.22390584881725205},
    {3, -1.5, 194.59427621918762},
    {4, -0.3, 9731.8349562335204},
    {7, 1.5, 200.21818559806497},
    {20, 3, -233141556.11225682},
    {40, -5.3, 2.2370393559400987e+69},
    {100, 1000, -9.8071062030352941e-145},
};

}  // namespace

TEST_SUITE_BEGIN("ops");

TEST_CASE("special: polygamma of many orders") {
  for (const Row& row : kPolygamma) {
    CAPTURE(row.n);
    CAPTURE(row.x);
    Tape tape;
    const Var x = tape.input(row.x);
    CHECK(std::abs(polygamma(row.n, x).item<double>() / row.value - 1) < 1e-13);
    if (row.n == 0) CHECK(std::abs(digamma(x).item<double>() / row.value - 1) < 1e-13);
    const Var single = polygamma(row.n, tape.input(static_cast<float>(row.x)));
    if (static_cast<double>(static_cast<float>(row.x)) == row.x && std::abs(row.value) > 1e-30)
      CHECK(std::abs(single.item<float>() / static_cast<float>(row.value) - 1) < 1e-6f);
  }
}

TEST_CASE("special: every derivative of lgamma is there") {
  Tape tape;
  const Var x = tape.input(1.5);
  Var y = lgamma(x);
  // log gamma and its derivatives at 1.5
  for (double value :
       {-0.120782237635245222, 0.0364899739785765206, 0.934802200544679309, -0.828796644234319996,
        1.40909103400243724, -3.47424982666722519, 11.1135486024354962}) {
    CHECK(y.item<double>() == doctest::Approx(value).epsilon(1e-13));
    y = grad(y, {x}, {.create_graph = true, .cotangent = {}})[0];
  }
}

TEST_CASE("special: poles, infinities and NaN") {
  Tape tape;
  const Var x = enter<double>(tape, {0, -0.0, -1, -1e20, kInf, -kInf, kNaN});
  const auto check = [&](const Var& y, const std::vector<double>& wanted) {
    const std::vector<double> got = list<double>(y);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      CAPTURE(i);
      CHECK(agree(got[i], wanted[i]));
    }
  };
  check(lgamma(x), {kInf, kInf, kInf, kInf, kInf, kInf, kNaN});
  check(digamma(x), {-kInf, kInf, kNaN, kNaN, kInf, kNaN, kNaN});
  check(polygamma(1, x), {kInf, kInf, kInf, kInf, 0, kNaN, kNaN});
  check(polygamma(2, x), {-kInf, kInf, kNaN, kNaN, 0, kNaN, kNaN});
}

TEST_SUITE_END();
