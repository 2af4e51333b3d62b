// The grader's command line. `./course exercise`, `grade` and `handout` build it and call it.
#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <thread>

#include "class.h"
#include "core/error.h"
#include "core/files.h"
#include "course/options.h"
#include "course/provenance.h"
#include "course/run.h"
#include "handout.h"
#include "process.h"
#include "screen.h"

namespace qlora::grader {
namespace {

namespace fs = std::filesystem;

const fs::path kChapters = fs::path(QLORA_SOURCE_DIR) / "chapters";

Exercise exercise_of(std::int64_t number) {
  for (const Exercise& exercise : read_exercises(kChapters)) {
    if (std::stoi(exercise.chapter) == number) return exercise;
  }
  throw BadInput("chapters", "", fmt::format("chapter {} has no exercise", number));
}

// What to do where nothing is left to do here.
std::string next_exercise(std::int64_t number) {
  for (const Exercise& exercise : read_exercises(kChapters)) {
    const int other = std::stoi(exercise.chapter);
    if (other > number) return fmt::format("Next: ./course exercise {}\n", other);
  }
  return "All points; there is no exercise after this one.\n";
}

struct OwnOptions {
  std::int64_t chapter = 0;
  bool hints = false;
  bool references = false;
  std::string json;
};

int own(const OwnOptions& options) {
  for (const std::string& line : missing_protection()) {
    fmt::print(stderr, "not confined by {}\n", line);
  }
  const Exercise exercise = exercise_of(options.chapter);
  const Settings settings;
  const std::vector<TaskResult> results =
      options.references ? grade_references(exercise, settings) : grade_own(exercise, settings);
  std::fputs(screen(results, options.hints).c_str(), stdout);
  write_results(options.json, json(results));
  const Points all = add_up(results);
  if (all.won + all.skipped < all.possible) return 1;
  std::fputs(next_exercise(options.chapter).c_str(), stdout);
  return 0;
}

struct ClassOptions {
  std::string folder;
  std::string output;
  bool unsafe = false;
  std::int64_t jobs = std::thread::hardware_concurrency();
};

int grade_all(const ClassOptions& options) {
  const std::vector<std::string> missing = missing_protection();
  if (!missing.empty() && !options.unsafe) {
    std::string line = "strangers' programs are only run in a sandbox, and this machine lacks ";
    for (const std::string& part : missing) line += part + "; ";
    throw MachineLacks(line + "--unsafe runs them all the same, under limits of time and memory");
  }
  for (const std::string& line : missing) fmt::print(stderr, "--unsafe: without {}\n", line);
  const std::vector<Exercise> exercises = handed_in(read_exercises(kChapters), options.folder);
  if (exercises.empty()) {
    throw BadInput(options.folder, "", "no student's folder has a NN_name/exercise of this tree");
  }
  const Json::Array graded =
      grade_class(exercises, options.folder, Settings{}, static_cast<int>(options.jobs));
  const fs::path output = options.output;
  make_folder(output.string());
  write_atomically((output / "grades.csv").string(), class_csv(exercises, graded));
  write_atomically((output / "grades.html").string(), class_html(exercises, graded));
  Json all = Json::object();
  all["students"] = Json(graded);
  write_results((output / "grades.json").string(), std::move(all));
  for (const Json& student : graded) {
    const Json* points = student.find("points");
    fmt::print("{:<40} {}\n", student.at("student").as_string(),
               points == nullptr ? student.at("error").as_string()
                                 : fmt::format("{} of {}", points->as_integer(),
                                               student.at("possible").as_integer()));
  }
  fmt::print("{}\n{}\n", (output / "grades.csv").string(), (output / "grades.html").string());
  return 0;
}

// Names of the targets that a class's grading needs built before: one a line.
int targets(const std::string& folder) {
  for (const Exercise& exercise : handed_in(read_exercises(kChapters), folder)) {
    fmt::print("exercise_{}\n", exercise.chapter);
  }
  return 0;
}

}  // namespace
}  // namespace qlora::grader

int main(int argc, char** argv) {
  using namespace qlora;
  using namespace qlora::grader;
  adopt_orphans();
  Options options("grader", "Runs the tests of an exercise, each in a process of its own.");
  OwnOptions mine;
  Options& own_verb = options.verb("own", "The files of this tree.");
  own_verb.add("--chapter", mine.chapter, "its number").required();
  own_verb.add("--hints", mine.hints, "hints for what is still to do, too");
  own_verb.add("--references", mine.references, "grade the references instead");
  own_verb.add("--json", mine.json, "writes the report there");
  own_verb.action([&] { return own(mine); });
  ClassOptions all;
  Options& class_verb = options.verb("class", "A folder of students' folders.");
  class_verb.add("--folder", all.folder, "holds a folder for each student").required();
  class_verb.add("--output", all.output, "gets grades.csv, grades.html, grades.json").required();
  class_verb.add("--unsafe", all.unsafe, "goes on where the machine lacks the sandbox");
  class_verb.add("--jobs", all.jobs, "students at a time");
  class_verb.action([&] { return grade_all(all); });
  std::string folder;
  Options& targets_verb = options.verb("targets", "What must be built before a class is graded.");
  targets_verb.add("--folder", folder, "holds a folder for each student").required();
  targets_verb.action([&] { return targets(folder); });
  std::int64_t number = 0;
  std::string stubs;
  std::string output;
  Options& handout_verb = options.verb("handout", "What an instructor gives out.");
  handout_verb.add("--chapter", number, "its number").required();
  handout_verb.add("--stubs", stubs, "folder of pristine stubs").required();
  handout_verb.add("--output", output, "the folder to make").required();
  handout_verb.action([&] { hand_out(static_cast<int>(number), stubs, output); });
  return run(argc, argv, options);
}
