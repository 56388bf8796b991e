// The list of the library's ops.
#pragma once

#include <vector>

#include "xgrad/tape/op.hpp"

namespace xgrad {

/// Every op of the library, gradients that are ops of their own included. tests/cases/op_cases.cpp has a row
/// for each.
std::vector<const OpInfo*> registered_ops();

}  // namespace xgrad
