#include "tests/differential/differential.hpp"

namespace xgrad::differential {

const std::vector<Alone>& rows_alone() {
  static const std::vector<Alone> rows = {
      {"in_range", "xgrad's own: what the derivative of clamp is made of"},
      {"cotangent_mul", "xgrad's own: a product for derivatives, 0 where a factor is 0"},
      {"cotangent_div", "xgrad's own: a quotient for derivatives, 0 where the dividend is 0"},
      {"dropout", "random: each library has numbers of its own"},
      {"lu_factor", "its packed layout is xgrad's own; inv, solve and det show what it is for"},
  };
  return rows;
}

const std::vector<Exception>& exceptions() {
  static const std::vector<Exception> list = {};
  return list;
}

}  // namespace xgrad::differential
