// The errors that xgrad throws. Every error says what was being done, what is wrong, and the values;
// a hint may follow after a semicolon. Errors are thrown where the mistake is made (when an op is
// recorded, when a file is read), never from inside a kernel, and leave everything as it was.
#pragma once

#include <stdexcept>
#include <string>

namespace xgrad {

/// The base of every error that xgrad throws on purpose.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Extents, ranks or axes do not fit the op.
class ShapeError : public Error {
 public:
  using Error::Error;
};

/// The dtype of an operand is not one that the op takes, or operands disagree.
class DTypeError : public Error {
 public:
  using Error::Error;
};

/// A `Var` is used after its recording was consumed, rewound or cleared, or after its tape ended.
class StaleVar : public Error {
 public:
  using Error::Error;
};

/// The operands of one op, or the arguments of one gradient, belong to different tapes.
class TapeMismatch : public Error {
 public:
  using Error::Error;
};

/// A derivative was asked for that does not exist.
class NotDifferentiable : public Error {
 public:
  using Error::Error;
};

/// A parameter was written between its use in a recording and the backward that needs its value.
class ParameterModified : public Error {
 public:
  using Error::Error;
};

/// A value that has to be finite is not.
class NonFinite : public Error {
 public:
  using Error::Error;
};

/// A matrix that has to be inverted has no inverse.
class SingularMatrix : public Error {
 public:
  using Error::Error;
};

/// A matrix that has to be positive definite is not.
class NotPositiveDefinite : public Error {
 public:
  using Error::Error;
};

/// A file cannot be read or written, or does not hold what it should.
class IoError : public Error {
 public:
  using Error::Error;
};

}  // namespace xgrad
