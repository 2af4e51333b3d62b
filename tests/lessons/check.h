// One lesson held against the course.
#pragma once

#include <string>
#include <vector>

#include "lessons/course.h"

namespace qlora::testing {

/// What was looked at, and what is wrong.
struct Findings {
  std::vector<std::string> problems;  ///< "chapters/…/README.md:57: …"
  int code = 0;                       ///< blocks of code
  int outputs = 0;                    ///< outputs of commands
  int names = 0;                      ///< spans, links and commands looked at
  std::string updated;                ///< the lesson with its blocks as they ought to be
};

/// Checks a lesson; `path` is relative to the course's root. The first line of a block says what it
/// is held against:
///
///   // common/core/x.cpp: name      the lines between "// [name]" and "// [/name]" there
///   $ ./course run N …              what that prints; it must end with exit code 0, or with the
///   one
///                                   that stands behind it ("# exit code 3"); several in a block
///                                   follow each other. A block "text band" is held to ranges only
///   $ ./course …  # 2026-01-31      in a block "text recorded": output that is not made again,
///   with
///                                   the date when it was
///
/// A block of cpp or text must have such a line; a block of sh lists commands, which must exist.
Findings check_lesson(Course& course, const std::string& path);

}  // namespace qlora::testing
