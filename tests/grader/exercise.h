// What a chapter's exercise/exercise.json says.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace qlora::grader {

/// A test that is graded.
struct Row {
  std::string test;  ///< GoogleTest's name of it, "Affine.ZeroComesBackExactly"
  int points = 0;
  std::string hint;  ///< a fact or a question
};

/// One file to write.
struct Task {
  std::string id;                  ///< "affine"
  std::string file;                ///< of the student, "affine.cpp"
  std::string reference;           ///< common/…; for a transfer task the adapter of its oracle
  std::string object;              ///< target of the reference's object
  bool transfer = false;           ///< its answer is not in the tree
  std::vector<std::string> suite;  ///< files of tests, from the root of the tree
  std::vector<Row> rows;
  double seconds = 10.0;  ///< that a row may take

  /// All points of its rows.
  int points() const;
};

/// A chapter's exercise.
struct Exercise {
  std::string chapter;           ///< "01_min_max_quantization"
  std::filesystem::path folder;  ///< with the stubs, the headers, exercise.json
  std::vector<Task> tasks;

  /// The target and program of a task: "01_min_max_quantization_affine" + "_student".
  std::string target(const Task& task, const std::string& kind) const;
};

/// @throws BadInput where a member is missing, of another kind, or cannot be (points below 1, a
/// name
///         with wildcards or slashes, a row that is there twice)
Exercise read_exercise(const std::filesystem::path& file);

/// The exercises below a folder of chapters, by number.
std::vector<Exercise> read_exercises(const std::filesystem::path& chapters);

}  // namespace qlora::grader
