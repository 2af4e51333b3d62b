// What is handed out of each exercise of the tree.
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "core/files.h"
#include "exercise.h"
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

// A lesson may show this many lines of its own chapter's unit.
constexpr std::size_t kMostLines = 10;

std::vector<std::string> code_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    const std::size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string::npos || line.find_first_not_of(" \t{}();/") == std::string::npos) {
      continue;
    }
    lines.push_back(line.substr(begin));
  }
  return lines;
}

// The longest run of lines of `of` that stands in `in`, without lines that `known` has too.
std::size_t longest_run(const std::vector<std::string>& of, const std::set<std::string>& known,
                        const std::string& in) {
  const std::vector<std::string> lines = code_lines(in);
  std::size_t longest = 0;
  for (std::size_t i = 0; i < of.size(); ++i) {
    for (std::size_t k = 0; k < lines.size(); ++k) {
      std::size_t n = 0;
      std::size_t told = 0;
      while (i + n < of.size() && k + n < lines.size() && of[i + n] == lines[k + n]) {
        told += known.contains(of[i + n]) ? 0 : 1;
        ++n;
      }
      longest = std::max(longest, told);
    }
  }
  return longest;
}

class Handouts : public testing::TestWithParam<Exercise> {};

TEST_P(Handouts, HoldNoReferenceOfThisChapterOrALaterOne) {
  const Exercise& exercise = GetParam();
  const ScratchFolder scratch;
  const std::vector<Exercise> all = read_exercises(kSource / "chapters");
  for (const Exercise& other : all) {
    for (const Task& task : other.tasks) {
      fs::create_directories(scratch.path() / "stubs" / other.chapter);
      fs::copy_file(other.folder / task.file, scratch.path() / "stubs" / other.chapter / task.file);
    }
  }
  const fs::path folder = scratch.path() / "handout";
  hand_out(std::stoi(exercise.chapter), scratch.path() / "stubs", folder);

  for (const Task& task : exercise.tasks) {
    EXPECT_TRUE(fs::exists(folder / "chapters" / exercise.chapter / "exercise" / task.file));
  }
  std::vector<std::pair<fs::path, std::string>> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const fs::path file = fs::relative(entry.path(), folder);
    EXPECT_FALSE(file.string().find("mutants") != std::string::npos) << file;
    const std::string type = file.extension();
    if (type == ".cpp" || type == ".h" || type == ".cu" || type == ".md" || type == ".json") {
      files.emplace_back(file, read_file(entry.path().string()));
    }
  }
  for (const Exercise& other : all) {
    if (other.chapter < exercise.chapter) continue;
    for (const Task& task : other.tasks) {
      const std::vector<std::string> reference =
          code_lines(read_file((kSource / task.reference).string()));
      const std::vector<std::string> stub =
          code_lines(read_file((other.folder / task.file).string()));
      const std::set<std::string> known(stub.begin(), stub.end());
      for (const auto& [file, text] : files) {
        EXPECT_LE(longest_run(reference, known, text), kMostLines)
            << file << " tells of " << task.reference;
      }
    }
  }
}

std::string name_of(const testing::TestParamInfo<Exercise>& info) {
  return info.param.chapter;
}

INSTANTIATE_TEST_SUITE_P(, Handouts, testing::ValuesIn(read_exercises(kSource / "chapters")),
                         name_of);

TEST(LongestRun, CountsLinesThatTheStubDoesNotHave) {
  const std::vector<std::string> reference = {"a = 1;", "b = 2;", "c = 3;"};
  EXPECT_EQ(longest_run(reference, {}, "x;\n  a = 1;\n\n  b = 2;\n  d = 4;\n"), 2u);
  EXPECT_EQ(longest_run(reference, {"b = 2;"}, "a = 1;\nb = 2;\nc = 3;\n"), 2u);
  EXPECT_EQ(longest_run(reference, {}, "nothing\n"), 0u);
}

}  // namespace
}  // namespace qlora::grader
