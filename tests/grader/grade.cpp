#include "grade.h"

#include "process.h"

namespace qlora::grader {
namespace {

namespace fs = std::filesystem;

// A submission may not send the grader elsewhere: no part of the path is a symbolic link.
bool leads_elsewhere(const fs::path& folder, const fs::path& relative) {
  fs::path path = folder;
  for (const fs::path& part : relative) {
    path /= part;
    std::error_code ignored;
    if (fs::is_symlink(fs::symlink_status(path, ignored))) return true;
  }
  return false;
}

}  // namespace

TaskResult grade_program(const Exercise& exercise, const Task& task, const Program& program,
                         const std::string& answered_by, const Settings& settings) {
  TaskResult result{exercise.chapter, task, answered_by, program.problem, {}};
  for (const Row& row : task.rows) {
    result.rows.push_back(program.problem.empty()
                              ? run_row(program.path, row.test, task.seconds, settings)
                              : RowResult{});
  }
  return result;
}

std::vector<TaskResult> grade_own(const Exercise& exercise, const Settings& settings) {
  std::vector<TaskResult> results;
  for (const Task& task : exercise.tasks) {
    const fs::path file = fs::relative(exercise.folder / task.file, QLORA_SOURCE_DIR);
    const Program program = fs::exists(exercise.folder / task.file)
                                ? build_in_tree(exercise.target(task, "student"))
                                : Program{"", "the file " + task.file + " is not there"};
    results.push_back(grade_program(exercise, task, program, file.string(), settings));
  }
  return results;
}

std::vector<TaskResult> grade_references(const Exercise& exercise, const Settings& settings) {
  std::vector<TaskResult> results;
  for (const Task& task : exercise.tasks) {
    const fs::path program =
        fs::path(QLORA_BINARY_DIR) / "exercises" / exercise.target(task, "reference");
    results.push_back(grade_program(exercise, task, {program, ""}, task.reference, settings));
  }
  return results;
}

std::vector<TaskResult> grade_submission(const std::vector<Exercise>& exercises,
                                         const fs::path& folder, const HeaderTree& tree,
                                         const Settings& settings) {
  std::vector<TaskResult> results;
  for (const Exercise& exercise : exercises) {
    for (const Task& task : exercise.tasks) {
      const fs::path file = fs::path(exercise.chapter) / "exercise" / task.file;
      const ScratchFolder output;
      Program program;
      if (leads_elsewhere(folder, file)) {
        program.problem = "the file " + task.file + " is a symbolic link, or is behind one";
      } else {
        program = compile_submission(exercise, task, folder / file, tree, output.path());
      }
      results.push_back(grade_program(exercise, task, program, file.string(), settings));
    }
  }
  return results;
}

}  // namespace qlora::grader
