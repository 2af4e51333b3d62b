// check_lessons ROOT BIN [--update] [DOCUMENT …]: whether README.md, docs/*.md and
// chapters/*/README.md (or the documents named, relative to ROOT) show what is there: code as it
// stands in the source, output as the commands print it, and no file, function, test or command
// that does not exist; and whether README.md links each of the others. check.h says what a block
// must look like. BIN holds the chapter executables.
//
// With --update the blocks are rewritten in place; what it cannot mend is still reported. Exit code
// 1 if something is wrong and stays so.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "core/files.h"
#include "lessons/check.h"
#include "support/check_main.h"

namespace qlora::testing {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> all_documents(const std::string& root) {
  std::vector<std::string> found = {"README.md"};
  for (const auto& entry : fs::directory_iterator(root + "/docs")) {
    if (entry.path().extension() == ".md") found.push_back(fs::relative(entry.path(), root));
  }
  for (const auto& entry : fs::directory_iterator(root + "/chapters")) {
    const fs::path lesson = entry.path() / "README.md";
    if (fs::exists(lesson)) found.push_back(fs::relative(lesson, root));
  }
  std::sort(found.begin(), found.end());
  return found;
}

// Checks a document, and mends it where asked to; true if nothing is left to complain about.
bool handle(Course& course, const std::string& path, bool update, Findings& sum) {
  Findings findings = check_lesson(course, path);
  const std::string file = course.root() + "/" + path;
  if (update && findings.updated != read_file(file)) {
    write_atomically(file, findings.updated);
    std::printf("%s: rewritten\n", path.c_str());
    findings = check_lesson(course, path);
  }
  for (const std::string& problem : findings.problems) std::printf("%s\n", problem.c_str());
  sum.code += findings.code;
  sum.outputs += findings.outputs;
  sum.names += findings.names;
  return findings.problems.empty();
}

// The documents that README.md does not link.
std::vector<std::string> unlinked(const std::string& root) {
  const std::string readme = read_file(root + "/README.md");
  std::vector<std::string> documents = all_documents(root);
  std::erase_if(documents, [&](const std::string& path) {
    return path == "README.md" || readme.find("](" + path + ")") != std::string::npos;
  });
  return documents;
}

int run(std::vector<std::string> arguments) {
  const bool update = std::erase(arguments, "--update") > 0;
  if (arguments.size() < 2) {
    throw UsageError("usage: check_lessons ROOT BIN [--update] [DOCUMENT …]");
  }
  const std::string root = fs::canonical(arguments[0]), bin = fs::canonical(arguments[1]);
  std::vector<std::string> documents(arguments.begin() + 2, arguments.end());
  if (documents.empty()) documents = all_documents(root);

  const fs::path work = fs::temp_directory_path() / ("qlora-lessons-" + std::to_string(::getpid()));
  Course course(root, bin, work);
  Findings sum;
  bool good = true;
  for (const std::string& path : documents) good = handle(course, path, update, sum) && good;
  fs::remove_all(work);
  for (const std::string& path : unlinked(root)) {
    std::printf("README.md: does not link %s\n", path.c_str());
    good = false;
  }
  std::printf("%zu documents: %d blocks of code, %d outputs, %d names\n", documents.size(),
              sum.code, sum.outputs, sum.names);
  return good ? 0 : 1;
}

}  // namespace
}  // namespace qlora::testing

int main(int argc, char** argv) {
  return qlora::testing::check_main("check_lessons", qlora::testing::run, argc, argv);
}
