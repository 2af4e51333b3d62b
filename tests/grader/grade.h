// Grading: the tree's own files, or those of somebody else.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "compile.h"
#include "result.h"

namespace qlora::grader {

/// Runs every row of a task on a program; all are MISSING where there is none.
TaskResult grade_program(const Exercise& exercise, const Task& task, const Program& program,
                         const std::string& answered_by, const Settings& settings);

/// The files of this tree, built by its build tool.
std::vector<TaskResult> grade_own(const Exercise& exercise, const Settings& settings);

/// The references of this tree (for transfer tasks: the adapters of the oracles).
std::vector<TaskResult> grade_references(const Exercise& exercise, const Settings& settings);

/// The files NN_name/exercise/… in `folder`, compiled under limits.
std::vector<TaskResult> grade_submission(const std::vector<Exercise>& exercises,
                                         const std::filesystem::path& folder,
                                         const HeaderTree& tree, const Settings& settings);

}  // namespace qlora::grader
