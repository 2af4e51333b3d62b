// The gates on the author: for every exercise of the tree.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>

#include "core/files.h"
#include "grade.h"
#include "handout.h"
#include "process.h"

namespace qlora::grader {

// How GoogleTest names the parameter of a test that fails.
static void PrintTo(const Exercise& exercise, std::ostream* out) {
  *out << exercise.chapter;
}

namespace {

namespace fs = std::filesystem;

const fs::path kSource = QLORA_SOURCE_DIR;
const fs::path kBuild = QLORA_BINARY_DIR;

// Output of a command of this tree's own; empty where it fails.
std::string output_of(const std::string& shell) {
  std::string text;
  FILE* pipe = ::popen(("exec 2>/dev/null; " + shell).c_str(), "re");
  char buffer[4096];
  while (const std::size_t n = std::fread(buffer, 1, sizeof(buffer), pipe)) text.append(buffer, n);
  return ::pclose(pipe) == 0 ? text : "";
}

// Names of the tests in a program.
std::set<std::string> tests_of(const fs::path& program) {
  std::istringstream in(output_of("'" + program.string() + "' --gtest_list_tests"));
  std::set<std::string> names;
  std::string suite;
  for (std::string line; std::getline(in, line);) {
    line = line.substr(0, line.find("  # "));
    if (line.starts_with("  ")) {
      names.insert(suite + line.substr(2));
    } else {
      suite = line.substr(0, line.find(' '));
    }
  }
  return names;
}

// Strong symbols that an object defines for others.
std::set<std::string> strong_symbols(const fs::path& object) {
  std::istringstream in(output_of("nm --format=posix '" + object.string() + "'"));
  std::set<std::string> names;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name;
    std::string kind;
    if (words >> name >> kind && std::string("TDBR").find(kind) != std::string::npos &&
        !name.starts_with("__odr_asan")) {
      names.insert(name);
    }
  }
  return names;
}

// The explicit instantiations of a source: weak symbols, which nm cannot tell from implicit ones.
std::set<std::string> instantiations(const fs::path& source) {
  const std::string text = read_file(source.string());
  const std::string keyword = "\ntemplate ";
  std::set<std::string> found;
  for (std::size_t at = text.find(keyword); at != std::string::npos; at = text.find(keyword, at)) {
    at += keyword.size();
    if (text[at] == '<') continue;  // a definition
    std::istringstream words(text.substr(at, text.find(';', at) - at));
    std::string statement;
    for (std::string word; words >> word;) statement += word + " ";
    found.insert(statement);
  }
  return found;
}

fs::path reference_object(const Exercise& exercise, const Task& task) {
  if (task.transfer) {
    return kBuild / "CMakeFiles" / (exercise.target(task, "oracle") + ".dir") /
           (task.reference + ".o");
  }
  return kBuild / "common" / "CMakeFiles" / (task.object + ".dir") /
         (fs::relative(task.reference, "common").string() + ".o");
}

// The stubs as they were given out. A learner's own tree holds answers in their place: there the
// committed ones are taken, the remote's first.
std::vector<fs::path> pristine_versions(const Exercise& exercise, const Task& task,
                                        const fs::path& scratch) {
  const fs::path file = exercise.folder / task.file;
  std::vector<fs::path> versions = {file};
  for (const char* commit : {"origin/HEAD", "HEAD"}) {
    const std::string text = output_of("git -C '" + kSource.string() + "' show " + commit + ":'" +
                                       fs::relative(file, kSource).string() + "'");
    if (text.empty() || text == read_file(file.string())) continue;
    versions.push_back(scratch / (std::to_string(versions.size()) + task.file));
    std::ofstream(versions.back()) << text;
  }
  return versions;
}

std::vector<Exercise> all_exercises() {
  std::vector<Exercise> exercises = read_exercises(kSource / "chapters");
  exercises.push_back(read_exercise(kSource / "tests/grader/fixture/exercise/exercise.json"));
  return exercises;
}

class Gate : public testing::TestWithParam<Exercise> {};

TEST_P(Gate, RowsAndTestsCorrespond) {
  for (const Task& task : GetParam().tasks) {
    std::set<std::string> rows;
    for (const Row& row : task.rows) {
      rows.insert(row.test);
      EXPECT_FALSE(row.hint.empty()) << row.test;
    }
    EXPECT_EQ(tests_of(kBuild / "exercises" / GetParam().target(task, "reference")), rows)
        << task.id;
  }
}

TEST_P(Gate, TheReferencePassesEveryRow) {
  for (const TaskResult& task : grade_references(GetParam(), {})) {
    for (std::size_t i = 0; i < task.rows.size(); ++i) {
      const State state = task.rows[i].state;
      EXPECT_TRUE(state == State::pass || state == State::skipped)
          << task.task.rows[i].test << ": " << word(state) << "\n"
          << task.rows[i].message;
    }
  }
}

// What is wrong with a version of a stub, or "".
std::string complaint(const Exercise& exercise, const Task& task, const fs::path& stub,
                      const HeaderTree& tree) {
  const ScratchFolder output;
  const Program program = compile_submission(exercise, task, stub, tree, output.path());
  if (!program.problem.empty()) return program.problem;
  std::string text;
  const TaskResult result = grade_program(exercise, task, program, task.file, {});
  for (std::size_t i = 0; i < result.rows.size(); ++i) {
    if (result.rows[i].state == State::todo) continue;
    text += task.rows[i].test + " is " + word(result.rows[i].state) + ", not todo\n";
  }
  const auto compare = [&](const auto& ours, const auto& references, const char* what) {
    for (const auto& name : references) {
      if (!ours.contains(name)) text += std::string("lacks ") + what + " " + name + "\n";
    }
    for (const auto& name : ours) {
      if (!references.contains(name)) text += std::string("adds ") + what + " " + name + "\n";
    }
  };
  compare(strong_symbols(program.object), strong_symbols(reference_object(exercise, task)),
          "symbol");
  compare(instantiations(stub), instantiations(kSource / task.reference), "instantiation");
  return text;
}

TEST_P(Gate, ThePristineStubIsAllToDoAndHasTheReferencesSymbols) {
  const ScratchFolder scratch;
  const HeaderTree tree({GetParam()}, scratch.path() / "tree");
  for (const Task& task : GetParam().tasks) {
    std::string complaints;
    bool found = false;
    for (const fs::path& stub : pristine_versions(GetParam(), task, scratch.path())) {
      const std::string text = complaint(GetParam(), task, stub, tree);
      found = found || text.empty();
      complaints += text;
    }
    EXPECT_TRUE(found) << task.id << ":\n" << complaints;
  }
}

std::string name_of(const testing::TestParamInfo<Exercise>& info) {
  return info.param.chapter;
}

INSTANTIATE_TEST_SUITE_P(, Gate, testing::ValuesIn(all_exercises()), name_of);

}  // namespace
}  // namespace qlora::grader
