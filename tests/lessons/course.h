// The course as a lesson speaks of it: its commands, files, functions and tests.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/process.h"

namespace qlora::testing {

/// A checkout and the chapter executables built from it.
class Course {
 public:
  /// @param root  of the checkout
  /// @param bin   folder of the executables chNN_name
  /// @param work  a scratch folder, where commands run
  Course(std::string root, std::string bin, std::string work);

  /// Where the checkout is.
  const std::string& root() const { return root_; }

  /// Runs "./course run N …" as a command line of a lesson in a folder of its own, which has links
  /// to what stands in the checkout. Commands of one lesson see each other's files; the same
  /// command is run once.
  /// @throws BadInput if it names no chapter, or is more than one command
  const Ended& run(const std::string& command, const std::string& lesson);

  /// What is wrong with a command line that begins with "./course", or "": the verb, the chapter,
  /// its verb and each option must be known to the help texts. Words in capitals and "…" stand for
  /// what the reader puts there.
  std::string problem_with_command(const std::string& command);

  /// What is wrong with the text of a span in backticks, or "". Looked at are commands, paths,
  /// functions ("scale()", "qlora::scale") and tests ("Affine.ZeroIsExact").
  /// @param folder  of the lesson, relative to the root
  std::string problem_with_span(const std::string& span, const std::string& folder);

  /// What is wrong with a link's target, or "".
  std::string problem_with_link(const std::string& target, const std::string& folder) const;

 private:
  std::string executable(const std::string& chapter) const;  // "" if there is none
  const Ended& help_of(const std::vector<std::string>& command);
  std::string problem_with_path(const std::string& path, const std::string& folder) const;
  void read_sources();

  std::string root_, bin_, work_;
  std::map<std::string, Ended> runs_;                // by lesson and command
  std::map<std::vector<std::string>, Ended> helps_;  // by command
  std::set<std::string> words_;                      // every identifier of the sources
  std::set<std::string> tests_;                      // "Suite.Name"
  std::set<std::string> file_names_;                 // of the sources
};

}  // namespace qlora::testing
