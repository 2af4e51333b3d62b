// A class: one folder a student.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/json.h"
#include "grade.h"

namespace qlora::grader {

/// The folders of students in `folder`, by name; hidden ones are left out.
/// @throws BadInput if it is no folder or has none
std::vector<std::string> students(const std::filesystem::path& folder);

/// Which of the exercises somebody handed a file in for; the others are not graded.
std::vector<Exercise> handed_in(const std::vector<Exercise>& exercises,
                                const std::filesystem::path& folder);

/// Grades all of them, a process a student and `jobs` at a time, so that nothing of one can reach
/// the next. @return in the order of students(): {"student", "points", …} of json(), or {"student",
/// "error"} where the grader itself failed on one
Json::Array grade_class(const std::vector<Exercise>& exercises, const std::filesystem::path& folder,
                        const Settings& settings, int jobs);

/// One line a student: points, then the state of every row (class_page.cpp).
std::string class_csv(const std::vector<Exercise>& exercises, const Json::Array& graded);
/// One page without scripts or outside resources: a table, and each student's report.
std::string class_html(const std::vector<Exercise>& exercises, const Json::Array& graded);

}  // namespace qlora::grader
