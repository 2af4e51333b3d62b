// check_witnesses ROOT BIN TESTS OUTCOMES: whether something stands behind every claim of the
// chapters. Runs each executable BIN/chNN_name whose chapter has claims and looks at its --json:
// witnesses.h says what must hold. TESTS is a file with the names of all tests, one a line,
// OUTCOMES the folder of GoogleTest's reports: the CTest of this program comes after all suites.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <sstream>

#include "core/files.h"
#include "support/check_main.h"
#include "support/process.h"
#include "witnesses/witnesses.h"

namespace qlora::testing {
namespace {

namespace fs = std::filesystem;

constexpr double kSeconds = 300.0;

void append(std::vector<std::string>& to, const std::vector<std::string>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

std::set<std::string> names_in(const std::string& file) {
  std::set<std::string> names;
  std::istringstream in(read_file(file));
  for (std::string line; std::getline(in, line);) names.insert(line);
  return names;
}

std::vector<std::string> problems_with_sources(const fs::path& root) {
  std::vector<std::string> problems;
  for (const auto& entry : fs::recursive_directory_iterator(root / "chapters")) {
    const fs::path& file = entry.path();
    if (file.extension() != ".cpp" && file.extension() != ".h") continue;
    append(problems, problems_with_source(fs::relative(file, root), read_file(file)));
  }
  return problems;
}

// A chapter's executable without a verb; of the main job a short one: its claims do not depend on
// how much was trained.
std::vector<std::string> lesson_of(const std::string& chapter, const std::string& program) {
  if (chapter != "12_qlora_finetuning") return {program};
  return {program, "--items", "16", "--test-items", "2"};
}

// Runs a chapter; `problems` gets what is wrong with the run itself.
ChapterClaims told(const fs::path& folder, const std::string& bin, const std::string& work,
                   std::vector<std::string>& problems) {
  ChapterClaims chapter{folder.filename(), Json::read(folder / "numbers.json"), Json::object(), ""};
  const std::string program = bin + "/ch" + chapter.name, json = work + "/" + chapter.name;
  if (!fs::exists(program)) {
    problems.push_back("chapter " + chapter.name + ": has claims and no executable");
    return chapter;
  }
  std::vector<std::string> lesson = lesson_of(chapter.name, program);
  lesson.insert(lesson.end(), {"--json", json});
  const Ended ended = run_process(lesson, work, kSeconds);
  if (!ended.ok()) {
    problems.push_back("chapter " + chapter.name + ": ended with exit code " +
                       std::to_string(ended.exit_code) + ":\n" + ended.output);
  }
  if (fs::exists(json)) chapter.results = Json::read(json);
  const Ended help = run_process({program, "experiment", "--help"}, work, kSeconds);
  if (help.ok()) chapter.experiments = help.output;
  return chapter;
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.size() != 4) {
    throw UsageError("usage: check_witnesses ROOT BIN TESTS OUTCOMES");
  }
  const fs::path root = fs::canonical(arguments[0]), bin = fs::canonical(arguments[1]);
  const Outcomes outcomes(names_in(arguments[2]), arguments[3]);
  const fs::path work =
      fs::temp_directory_path() / ("qlora-witnesses-" + std::to_string(::getpid()));
  fs::create_directories(work);

  std::vector<std::string> problems = problems_with_sources(root);
  std::map<std::string, std::vector<std::string>> ids;
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(root / "chapters")) {
    if (!fs::exists(entry.path() / "numbers.json")) continue;
    const ChapterClaims chapter = told(entry.path(), bin, work, problems);
    for (const Json& claim : chapter.numbers.as_array()) {
      ids[chapter.name].push_back(claim.at("id").as_string());
    }
    count += chapter.numbers.size();
    append(problems, problems_with_claims(chapter, outcomes));
  }
  append(problems, problems_with_ids(ids));
  fs::remove_all(work);
  for (const std::string& problem : problems) std::printf("%s\n", problem.c_str());
  std::printf("%zu claims of %zu chapters\n", count, ids.size());
  return problems.empty() ? 0 : 1;
}

}  // namespace
}  // namespace qlora::testing

int main(int argc, char** argv) {
  return qlora::testing::check_main("check_witnesses", qlora::testing::run, argc, argv);
}
