// detect_nan names the culprit; scopes say where it was recorded.
#include <sstream>

#include "tests/unit/tape/helpers.hpp"
#include "xgrad/tape/flow.hpp"

using namespace xgrad;
using namespace xgrad::test;

TEST_CASE("detect_nan: names the op that made the first value that is not finite") {
  Tape tape;
  tape.detect_nan();
  const Var x = tape.input(Array{1, 0, -1});
  CHECK_ERROR(log(x), NonFinite,
              "detect_nan: %1 = log(%0) : float64 [3] has -inf at element 1 of [3]; its operands are finite");
  tape.detect_nan(NanCheck::nan);
  {
    const auto encoder = tape.scope("encoder");
    const auto first = tape.scope("1");
    CHECK_ERROR(
        log(x), NonFinite,
        doctest::Contains("float64 [3] in encoder/1 has nan at element 2 of [3]; its operands are finite"));
  }
  CHECK_ERROR(1 / tape.constant(Array{0.0}) * tape.constant(Array{0.0}), NonFinite,
              doctest::Contains("its operand 0 has inf at element 0 of [1]"));
  CHECK(tape.statistics().instructions == 0);  // nothing is left of what threw
  tape.detect_nan(NanCheck::off);
  CHECK(std::isnan(values(log(x))[2]));
}

TEST_CASE("detect_nan: names the derivative that made the first cotangent that is not finite") {
  Tape tape;
  tape.detect_nan();
  const Var x = tape.input(Array{4, 0});
  Var y;
  {
    const auto scope = tape.scope("roots");
    y = sqrt(x);
  }
  CHECK_ERROR(
      grad(sum(y), {x}), NonFinite,
      "detect_nan: the derivative of %1 = sqrt(%0) : float64 [2] in roots has inf at element 1 of [2], "
      "made by unary_grad; its operands are finite");
  CHECK(values(grad(sum(square(x)), {x})[0]) == Values{8, 0});

  Parameter p(Array{1e-300});
  const auto huge = [](const Var&) { return Var(); };
  const Var q = tape.leaf(p);
  const Var z = with_hook(q, huge) * 1e308 + with_hook(q, huge) * 1e308;
  CHECK_ERROR(backward(sum(z)), NonFinite, doctest::Contains("has inf at element 0 of [1]"));
}

TEST_CASE("scope: is printed with what was recorded in it, also in the next recording") {
  Parameter p(Array{1.0});
  Tape tape;
  for (int step = 0; step < 2; ++step) {
    Var y = tape.leaf(p);
    const auto outer = tape.scope("net");
    for (const char* name : {"0", "1"}) {
      const auto inner = tape.scope(name);
      y = tanh(y);
    }
    y = y * y;
    std::ostringstream out;
    tape.print(out);
    CHECK(out.str() ==
          "%0 = parameter : float64 [1]\n"
          "%1 = tanh(%0) : float64 [1]  # net/0\n"
          "%2 = tanh(%1) : float64 [1]  # net/1\n"
          "%3 = mul(%2, %2) : float64 [1]  # net\n");
    backward(sum(y));
  }
}
