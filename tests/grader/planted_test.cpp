// A file with three mistakes of the mutants' lists loses the rows that planted.json names for them,
// and no other: points follow what is wrong, not how much is.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>

#include "core/files.h"
#include "grade.h"
#include "mutants/mutant.h"
#include "process.h"

namespace qlora::grader {

// How GoogleTest names the parameter of a test that fails.
static void PrintTo(const Exercise& exercise, std::ostream* out) {
  *out << exercise.chapter;
}

namespace {

namespace fs = std::filesystem;

const fs::path kTests = fs::path(QLORA_SOURCE_DIR) / "tests";

// What planted.json has for an exercise: a task, and for each mistake the rows that it costs.
struct Planted {
  Task task;
  std::map<std::string, std::set<std::string>> mistakes;
};

Planted planted_in(const Exercise& exercise) {
  const Json all = Json::read((kTests / "grader" / "planted.json").string());
  const Json& entry = all.at(exercise.chapter);
  Planted planted;
  for (const Task& task : exercise.tasks) {
    if (task.id == entry.at("task").as_string()) planted.task = task;
  }
  for (const auto& [mutant, rows] : entry.at("mistakes").as_object()) {
    for (const Json& row : rows.as_array()) planted.mistakes[mutant].insert(row.as_string());
  }
  return planted;
}

// The reference with all these mistakes in it.
std::string with_mistakes(const Exercise& exercise, const Planted& planted) {
  std::string text = read_file((fs::path(QLORA_SOURCE_DIR) / planted.task.reference).string());
  std::size_t made = 0;
  for (const testing::Mutant& mutant : testing::read_mutants(
           (kTests / "mutants" / exercise.chapter / (planted.task.id + ".json")).string())) {
    if (!planted.mistakes.contains(mutant.id)) continue;
    EXPECT_EQ(testing::occurrences(text, mutant.find), 1u) << mutant.id;
    text = testing::mutated(text, mutant);
    ++made;
  }
  EXPECT_EQ(made, planted.mistakes.size()) << "a mistake is not in the mutants' list";
  return text;
}

class ThreeMistakes : public ::testing::TestWithParam<Exercise> {};

TEST_P(ThreeMistakes, LoseExactlyTheirRows) {
  const Exercise& exercise = GetParam();
  const Planted planted = planted_in(exercise);
  ASSERT_EQ(planted.mistakes.size(), 3u);
  const ScratchFolder scratch;
  const fs::path file = scratch.path() / planted.task.file;
  write_atomically(file.string(), with_mistakes(exercise, planted));
  const HeaderTree tree({exercise}, scratch.path() / "tree");
  const Program program =
      compile_submission(exercise, planted.task, file, tree, scratch.path().string());
  ASSERT_EQ(program.problem, "");
  const TaskResult result =
      grade_program(exercise, planted.task, program, planted.task.file, Settings{});

  std::set<std::string> expected;
  for (const auto& [mutant, rows] : planted.mistakes) expected.insert(rows.begin(), rows.end());
  std::set<std::string> lost;
  int points = 0;
  for (std::size_t i = 0; i < result.rows.size(); ++i) {
    if (result.rows[i].state == State::fail) {
      lost.insert(planted.task.rows[i].test);
    } else {
      EXPECT_EQ(result.rows[i].state, State::pass) << planted.task.rows[i].test;
      points += planted.task.rows[i].points;
    }
  }
  EXPECT_EQ(lost, expected);
  EXPECT_EQ(result.points(), points);
  EXPECT_LT(points, planted.task.points());
  EXPECT_GT(points, 0);
}

std::string name_of(const ::testing::TestParamInfo<Exercise>& info) {
  return info.param.chapter;
}

INSTANTIATE_TEST_SUITE_P(, ThreeMistakes,
                         ::testing::ValuesIn(read_exercises(fs::path(QLORA_SOURCE_DIR) /
                                                            "chapters")),
                         name_of);

}  // namespace
}  // namespace qlora::grader
