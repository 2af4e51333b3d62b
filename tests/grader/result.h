// What came of a submission: points a row, a task and in all.
#pragma once

#include <string>
#include <vector>

#include "core/json.h"
#include "exercise.h"
#include "row.h"

namespace qlora::grader {

/// A task's rows, in the order of its rubric.
struct TaskResult {
  std::string chapter;
  Task task;
  std::string answered_by;  ///< the source file whose functions the tests called
  std::string problem;      ///< why there is no program: every row is MISSING then
  std::vector<RowResult> rows;

  /// The points of the rows that passed.
  int points() const;
  /// Points of the rows that were skipped: neither won nor lost.
  int skipped() const;
};

/// Points of several tasks.
struct Points {
  int won = 0;
  int skipped = 0;
  int possible = 0;
};
Points add_up(const std::vector<TaskResult>& tasks);

/// {"points", "skipped", "possible", "tasks": [{"chapter", "task", "answered_by", "problem",
/// "points", "skipped", "possible", "rows": [{"test", "state", "points", "possible", "seconds",
/// "message", "hint"}]}]}; the hint stands there where the row failed or crashed.
Json json(const std::vector<TaskResult>& tasks);

}  // namespace qlora::grader
