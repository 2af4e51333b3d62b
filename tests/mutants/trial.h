// One source in a unit's place, judged by the unit's suite.
#pragma once

#include <string>

#include "mutants/unit_build.h"

namespace qlora::testing {

/// What became of a source.
enum class Fate { passed, failed, crashed, timed_out, not_compiled, not_linked };

/// The fate of a source, with the first test that failed, the signal, or the compiler's error.
struct Outcome {
  Fate fate = Fate::passed;
  std::string detail;
};

/// Where trials are made, and how long a suite may take.
struct Workshop {
  std::string folder;     ///< of sources, objects and programs
  std::string cache;      ///< folder of the outcomes of earlier runs
  double seconds = 10.0;  ///< for the suite
};

/// Compiles the text as the unit is compiled, but at -O1 and without warnings, links it with the
/// suite and the other units, and runs the suite up to the first test that fails. An outcome that
/// the cache has for the same text, objects and flags is taken from there.
/// @param name  no two trials at the same time bear the same
Outcome try_source(const Workshop& shop, const Unit& unit, const std::string& name,
                   const std::string& text);

/// "Suite.Test" of the first failed test that GoogleTest's output names, or "".
std::string failed_test(const std::string& output);

}  // namespace qlora::testing
