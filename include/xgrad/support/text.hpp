// text(...) builds the text of an error from its parts.
#pragma once

#include <sstream>
#include <string>

namespace xgrad::detail {

/// The parts, each as `operator<<` prints it, one after the other.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace xgrad::detail
