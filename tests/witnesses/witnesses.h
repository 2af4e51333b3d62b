// What stands behind the claims of the chapters: values, tests, experiments.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/json.h"

namespace qlora::testing {

/// The tests of a build, and how each ended when it was last run by ctest.
class Outcomes {
 public:
  /// @param tests   the names of all tests, "Suite.Name"
  /// @param folder  of GoogleTest's reports, Suite.Name.xml
  Outcomes(std::set<std::string> tests, std::string folder)
      : tests_(std::move(tests)), folder_(std::move(folder)) {}

  /// Why the test shows nothing (there is none, it has not run, was skipped, failed), or "".
  std::string problem_with(const std::string& test) const;

 private:
  std::set<std::string> tests_;
  std::string folder_;
};

/// What a chapter says of its claims.
struct ChapterClaims {
  std::string name;         ///< "01_min_max_quantization"
  Json numbers;             ///< its numbers.json
  Json results;             ///< what its executable wrote, with the member "claims"
  std::string experiments;  ///< the help of its verb `experiment`, or ""
};

/// What is wrong with a chapter's claims: each of its numbers.json must have one row, whose
/// `computed` is not empty; "test:NAME" must be a test that passed; "experiment:NAME" must be an
/// experiment that the lesson made, so that its results have a member NAME, or one that the help of
/// the verb `experiment` names.
std::vector<std::string> problems_with_claims(const ChapterClaims& chapter,
                                              const Outcomes& outcomes);

/// Claims that several chapters have. The ids by chapter.
std::vector<std::string> problems_with_ids(
    const std::map<std::string, std::vector<std::string>>& ids);

/// Lines of a chapter's source that take a right value out of numbers.json, which is the ledger's
/// to read: they name that file or one of its values.
std::vector<std::string> problems_with_source(const std::string& file, const std::string& text);

}  // namespace qlora::testing
