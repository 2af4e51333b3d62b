// A chapter without a verb: its lesson at the terminal, its claims, its figures.
#pragma once

#include <functional>
#include <string>

#include "core/json.h"
#include "course/ledger.h"
#include "course/options.h"

namespace qlora {

/// What the command line of a lesson asks for.
struct LessonOptions {
  std::string json;         ///< file for the results, with a row for every claim
  std::string figures;      ///< folder for the SVG files
  bool all_claims = false;  ///< print every claim, not only those worth reading
};

/// Adds --json, --figures and --all-claims.
void add_lesson_options(Options& options, LessonOptions& lesson);

/// The parts of a chapter.
struct Chapter {
  std::string folder;                                 ///< where its numbers.json is
  std::function<Json(const Ledger&)> tell;            ///< prints the lesson; returns its figures
  std::function<void(Ledger&)> claims;                ///< computes a value for every claim
  std::function<void(const std::string&)> draw = {};  ///< writes the SVG files into a folder
};

/// Fills the ledger, tells the lesson, prints the claims beside their computed values, and writes
/// what the options ask for.
/// @throws Error (ExitCode::check_failed) if a claim does not hold or got no value, at the very end
void run_lesson(const Chapter& chapter, const LessonOptions& options);

}  // namespace qlora
