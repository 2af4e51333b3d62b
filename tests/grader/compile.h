// From a submitted file to a program: compiled and linked under limits, by the commands of the
// build.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "exercise.h"

namespace qlora::grader {

/// A program, or why there is none.
struct Program {
  std::filesystem::path path;
  std::string problem;                ///< what the compiler or the linker said
  std::filesystem::path object = {};  ///< of the submitted file
};

/// Has the build tool make a program of the tree: for one's own files, and references.
Program build_in_tree(const std::string& target);

/// A copy of the tree's headers, without any reference: what submissions are compiled in.
class HeaderTree {
 public:
  HeaderTree(const std::vector<Exercise>& exercises, std::filesystem::path folder);
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

/// Compiles `file` as the task's unit and links it with the tests and the other units, which were
/// built before (target …_rest). Object and program are made in `output`.
/// @param file  is read here, once; it must be a regular file of at most 1 MiB
Program compile_submission(const Exercise& exercise, const Task& task,
                           const std::filesystem::path& file, const HeaderTree& tree,
                           const std::filesystem::path& output);

}  // namespace qlora::grader
