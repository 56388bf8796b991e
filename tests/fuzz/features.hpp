// Which parts of the library's semantics sequences rely on; all of them, unless --without names some.
#pragma once

namespace fuzz {

struct Features {
  bool nested_passes = true;     // derivatives, clear, rewind and pack inside callbacks
  bool wide_staleness = true;    // only what a derivative flows through gets stale
  bool strict_roots = true;      // grad of a y that depends on nothing throws
  bool paused_functions = true;  // functions of functions under no_grad
  bool loose_guards = true;      // guards end in any order, after their tape or after their profile
  bool reached_versions = true;  // ParameterModified only for what the pass reaches
};
inline Features features;

}  // namespace fuzz
