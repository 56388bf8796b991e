// The oracle: what the library gave against what the shadow says.
#include "tests/fuzz/runner.hpp"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <sstream>

namespace fuzz {
namespace {

std::string kinds_text(std::uint32_t kinds) {
  static constexpr const char* names[] = {
      "Error",         "ShapeError",        "DTypeError",        "StaleVar",
      "TapeMismatch",  "NotDifferentiable", "ParameterModified", "NonFinite",
      "CallbackError", "bad_alloc",         "another exception"};
  if (!kinds) return "no error";
  std::string s;
  for (std::size_t i = 0; i < std::size(names); ++i) {
    if (kinds >> i & 1) s += (s.empty() ? "" : " or ") + std::string(names[i]);
  }
  return s;
}
constexpr std::uint32_t kOther = 1024;

std::string elements_text(const double* v, int n) {
  std::ostringstream out;
  out.precision(17);
  for (int i = 0; i < n; ++i) out << (i ? ", " : "[") << v[i];
  out << ']';
  return out.str();
}

/// Where two tensors differ by more than rounding.
bool differ(const double* got, const double* want, int n, bool is_float32, double largest) {
  const double tolerance = (is_float32 ? 1e-4 : 1e-9) * std::max(1.0, largest);
  return !std::equal(got, got + n, want, [&](double g, double w) { return std::abs(g - w) <= tolerance; });
}

}  // namespace

template <class... Parts>
void Runner::complain(const Parts&... parts) {
  if (!problem_.empty()) return;
  std::ostringstream out;
  (out << ... << parts);
  problem_ = out.str();
}

void Runner::begin() {
  problem_.clear();
  shadow_.begin(options_.shared != nullptr);
  real_ = std::make_unique<Real>(options_.shared);
  for (int p = 0; p < kParameters; ++p)
    first_versions_[static_cast<std::size_t>(p)] = real_->parameter(p).version();
}

Outcome Runner::run(std::uint64_t seed) {
  begin();
  Generator generator(seed, shadow_, options_.generator);
  Outcome outcome;
  const int length = 15 + generator.random().below(45);
  for (int tries = 0; static_cast<int>(outcome.calls.size()) < length && tries < 4 * length; ++tries) {
    Call c = generator.next();
    c.id = static_cast<int>(outcome.calls.size());
    if (!perform_call(c)) continue;
    outcome.calls.push_back(std::move(c));
    if (!problem_.empty()) break;
    if (generator.random().percent(25)) compare(generator.random().below(kVars));
    if (!problem_.empty()) break;
  }
  end(seed);
  outcome.problem = problem_;
  return outcome;
}

Outcome Runner::replay(std::uint64_t seed, const Sequence& sequence) {
  begin();
  Outcome outcome;
  for (const Call& c : sequence) {
    if (!perform_call(c)) continue;
    outcome.calls.push_back(c);
    if (problem_.empty()) compare_all();
    if (!problem_.empty()) break;
  }
  end(seed);
  outcome.problem = problem_;
  return outcome;
}

// One call ----------------------------------------------------------------------------------------------

bool Runner::perform_call(const Call& call) {
  shadow_.mark_state();
  std::uint32_t expected = kNoError;
  try {
    perform(shadow_, call);
  } catch (const Fail& f) {
    expected = f.kinds;
  } catch (const Skip&) {
    shadow_.undo();
    return false;
  }
  if (call.fail_after >= 0 && shadow_.had_effect) {
    shadow_.undo();
    return false;
  }
  if (options_.verbose) std::cout << "  " << call << std::endl;

  const std::uint32_t kind = perform_really(call);
  const bool out_of_memory = kind == kBadAlloc && call.fail_after >= 0;
  if (!out_of_memory && (expected == kNoError ? kind != kNoError : (kind & expected) == 0)) {
    complain("throws ", kinds_text(kind), what_.empty() ? "" : " (" + what_ + ")", ", expected ",
             kinds_text(expected));
  } else if (kind) {
    after_error(call, kind);
  } else {
    after_success(call);
  }
  if (!real_->complaint.empty()) complain(real_->complaint);
  return true;
}

/// Which error the library throws.
std::uint32_t Runner::perform_really(const Call& call) {
  what_.clear();
  struct Armed {
    explicit Armed(int after) { arm_allocator(after); }
    ~Armed() { arm_allocator(-1); }
  };
  const auto caught = [&](const std::exception& e, std::uint32_t kind) {
    arm_allocator(-1);
    what_ = e.what();
    return kind;
  };
  try {
    const Armed armed(call.fail_after);
    perform(*real_, call);
  } catch (const ShapeError& e) {
    return caught(e, kShapeError);
  } catch (const DTypeError& e) {
    return caught(e, kDTypeError);
  } catch (const StaleVar& e) {
    return caught(e, kStaleVar);
  } catch (const TapeMismatch& e) {
    return caught(e, kTapeMismatch);
  } catch (const NotDifferentiable& e) {
    return caught(e, kNotDifferentiable);
  } catch (const ParameterModified& e) {
    return caught(e, kParameterModified);
  } catch (const NonFinite& e) {
    return caught(e, kNonFinite);
  } catch (const Error& e) {
    return caught(e, kPlainError);
  } catch (const CallbackError& e) {
    return caught(e, kCallbackError);
  } catch (const std::bad_alloc& e) {
    return caught(e, kBadAlloc);
  } catch (const std::exception& e) {
    return caught(e, kOther);
  }
  return kNoError;
}

void Runner::after_success(const Call& call) {
  for (const int name : call.out) compare(name);
  if (call.kind == Call::op) {
    const auto expect_donated = [&](int name, bool moved) {
      const bool assigned = name == call.out[0];
      if (moved && !assigned && real_->named(name).defined())
        complain("v", name, " was donated, but still names a value");
    };
    expect_donated(call.a, call.move_a);
    expect_donated(call.b, call.move_b);
  }
  const bool writes =
      call.kind == Call::backward || (call.kind >= Call::zero_grad && call.kind <= Call::pack);
  if (writes || shadow_.had_effect) compare_parameters();
  if (shadow_.had_effect) compare_all();
  compare_invocations();
}

/// Nothing may have changed but what the documentation names.
void Runner::after_error(const Call& call, std::uint32_t kind) {
  if (kind == kBadAlloc) {
    shadow_.undo();
    shadow_.mark_state();
    if (call.kind == Call::backward) {
      // Whether it had begun, the recording says; the gradients are forgotten or half-made.
      const N loss = shadow_.state.vars[static_cast<std::size_t>(call.a)];
      for (int t = 0; t < kTapes; ++t) {
        if (!loss || shadow_.state.tape_names[static_cast<std::size_t>(t)] != loss->tape) continue;
        for (int p = 0; p < kParameters; ++p) {
          auto& grad = shadow_.state.parameters[static_cast<std::size_t>(p)].grad;
          if (shadow_.has_leaf(loss->tape, p)) grad = State::Parameter::unknown;
        }
        const auto recording = static_cast<int>(real_->tape(t).statistics().recording);
        if (recording > shadow_.tape_of(loss->tape).recording) shadow_.clear(t);
      }
    }
  }
  // A donated argument is gone when the kernel failed, not when the op was refused.
  const bool refused = (kind & (kShapeError | kDTypeError | kStaleVar | kTapeMismatch)) != 0;
  for (const auto& [name, moved] : {std::pair(call.a, call.move_a), std::pair(call.b, call.move_b)}) {
    if (!moved || real_->named(name).defined()) continue;
    if (refused) complain("v", int{name}, " was given up, though the op was refused");
    shadow_.assign(name, nullptr);
  }
  for (std::size_t i = 0; i < real_->invocations.size(); ++i)
    shadow_.state.invocations[i] = real_->invocations[i];
  compare_all();
  compare_parameters();
}

// Comparing ---------------------------------------------------------------------------------------------

void Runner::compare(int name) {
  const N want = shadow_.state.vars[static_cast<std::size_t>(name)];
  const Var& got = real_->named(name);
  if (got.defined() != (want != nullptr)) {
    return complain("v", name, got.defined() ? " names a value" : " names nothing", ", unexpectedly");
  }
  if (!want) return;
  if (shadow_.is_dead(want)) {
    try {
      (void)got.shape();
      complain("v", name, " has a shape though its tape has ended");
    } catch (const StaleVar&) {
    }
    return;
  }
  try {
    const ConstView view = got.view();
    const int n = want->dims.size();
    bool same_shape = view.shape().rank() == want->dims.rank;
    for (int i = 0; same_shape && i < want->dims.rank; ++i)
      same_shape = view.shape()[i] == want->dims.n[static_cast<std::size_t>(i)];
    if (!same_shape) return complain("v", name, " has shape ", view.shape());
    if ((view.dtype == DType::float32) != want->is_float32)
      return complain("v", name, " has dtype ", view.dtype);
    const std::vector<double> elements = elements_of(view);
    const double* const wanted = shadow_.elements_of(want);
    if (differ(elements.data(), wanted, n, want->is_float32, want->largest)) {
      return complain("v", name, " is ", elements_text(elements.data(), n), ", expected ",
                      elements_text(wanted, n));
    }
    if (!shadow_.is_stale(want) && got.requires_grad() != want->is_source()) {
      complain("v", name, got.requires_grad() ? " requires a gradient" : " requires no gradient",
               ", unexpectedly");
    }
  } catch (const std::exception& e) {
    complain("v", name, " cannot be read: ", e.what());
  }
}

void Runner::compare_all() {
  for (int i = 0; i < kVars; ++i) compare(i);
}

void Runner::compare_parameters() {
  for (int p = 0; p < kParameters; ++p) {
    const auto k = static_cast<std::size_t>(p);
    State::Parameter& want = shadow_.state.parameters[k];
    const Parameter& got = real_->parameter(p);
    const int n = Shadow::size_of(p);
    const bool is_float32 = kParameterTypes[p].is_float32;
    if (options_.shared && p == kParameters - 1) continue;
    if (got.version() - first_versions_[k] != static_cast<std::uint64_t>(want.version))
      complain("p", p, " has version ", got.version() - first_versions_[k], ", expected ", want.version);
    const std::vector<double> elements = elements_of(got.view());
    double* const wanted = shadow_.values_of(p);
    if (differ(elements.data(), wanted, n, is_float32, 2))
      complain("p", p, " is ", elements_text(elements.data(), n), ", expected ", elements_text(wanted, n));
    if (is_float32) std::copy_n(elements.data(), n, wanted);  // or rounding would add up over the steps
    if (want.grad == State::Parameter::unknown) continue;
    if (got.has_grad() != (want.grad == State::Parameter::known)) {
      complain("p", p, got.has_grad() ? " has a gradient" : " has no gradient", ", unexpectedly");
      continue;
    }
    if (!got.has_grad()) continue;
    const std::vector<double> grad = elements_of(got.grad_view());
    if (differ(grad.data(), want.grad_elements.data(), n, is_float32, want.grad_largest)) {
      complain("p", p, "'s gradient is ", elements_text(grad.data(), n), ", expected ",
               elements_text(want.grad_elements.data(), n));
    }
  }
}

void Runner::compare_invocations() {
  for (std::size_t i = 0; i < real_->invocations.size(); ++i) {
    if (shadow_.state.uncounted[i] || real_->invocations[i] == shadow_.state.invocations[i]) continue;
    complain("the callback of call ", i, " was called ", real_->invocations[i], " times, expected ",
             shadow_.state.invocations[i]);
  }
}

// The end -----------------------------------------------------------------------------------------------

void Runner::end(std::uint64_t seed) {
  if (problem_.empty()) {
    compare_all();
    compare_parameters();
  }
  if (problem_.empty() && seed % 2) {
    // All handles go, so the tapes must be empty.
    for (Var& v : real_->vars) v = Var();
    for (auto& guard : real_->guards) guard.emplace<std::monostate>();
    for (int t = 0; t < kTapes; ++t) {
      if (!real_->tapes[static_cast<std::size_t>(t)]) continue;
      const TapeStatistics left = real_->tape(t).statistics();
      if (left.instructions || left.slots || left.bytes_in_use) {
        complain("tape ", t, " holds ", left.instructions, " instructions, ", left.slots, " values and ",
                 left.bytes_in_use, " bytes that nothing names");
      }
    }
  } else {
    for (auto& tape : real_->tapes) tape.reset();  // before the Vars and guards
  }
  real_.reset();
}

// Shrinking ---------------------------------------------------------------------------------------------

Outcome Runner::shrink(std::uint64_t seed, Outcome failed) {
  options_.verbose = false;
  const auto accept = [&](const Sequence& smaller) {
    Outcome o = replay(seed, smaller);
    if (o.problem.empty()) return false;
    failed = std::move(o);
    return true;
  };
  accept(failed.calls);
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (std::size_t length = std::max<std::size_t>(1, failed.calls.size() / 2); length; length /= 2) {
      for (std::size_t i = 0; i < failed.calls.size();) {
        Sequence without = failed.calls;
        const auto from = without.begin() + static_cast<std::ptrdiff_t>(i);
        without.erase(from, from + static_cast<std::ptrdiff_t>(std::min(length, without.size() - i)));
        if (accept(without)) {
          smaller = true;
        } else {
          i += length;
        }
      }
    }
    for (std::size_t i = 0; i < failed.calls.size(); ++i) {
      Sequence changed = failed.calls;
      Call& c = changed[i];
      if (c.fail_after < 0 && !c.move_a && !c.move_b) continue;
      c.fail_after = -1;
      c.move_a = c.move_b = false;
      smaller = accept(changed) || smaller;
    }
    // A step of a function gives its first operand instead.
    for (std::size_t i = 0; i < failed.calls.size(); ++i) {
      for (FnPtr Call::*member : {&Call::f, &Call::g}) {
        for (std::size_t k = 0; i < failed.calls.size() && failed.calls[i].*member &&
                                k < (failed.calls[i].*member)->steps.size();
             ++k) {
          const Step& step = (failed.calls[i].*member)->steps[k];
          if (step.kind == Step::op && step.what == Op::identity && !step.move_a) continue;
          Fn simpler = *(failed.calls[i].*member);
          Step& simple = simpler.steps[k];
          const std::int8_t a = std::max<std::int8_t>(simple.a, 0);
          simple = Step{};
          simple.what = Op::identity;
          simple.a = a;
          Sequence changed = failed.calls;
          changed[i].*member = std::make_shared<const Fn>(std::move(simpler));
          smaller = accept(changed) || smaller;
        }
      }
    }
  }
  return failed;
}

}  // namespace fuzz
