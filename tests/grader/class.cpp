#include "class.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "core/error.h"
#include "core/files.h"
#include "process.h"

namespace qlora::grader {
namespace {

namespace fs = std::filesystem;

// A process that has a process for each of its children to itself: what a row leaves behind is
// adopted, and ended, by the worker of that student.
pid_t start_worker(const std::vector<Exercise>& exercises, const fs::path& student,
                   const HeaderTree& tree, const fs::path& result, const Settings& settings) {
  const pid_t worker = ::fork();
  if (worker != 0) return worker;
  int code = 1;
  try {
    adopt_orphans();
    const Json graded = json(grade_submission(exercises, student, tree, settings));
    write_atomically(result.string(), graded.dump() + "\n");
    code = 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", student.filename().c_str(), error.what());
  }
  ::_exit(code);
}

Json result_of(const std::string& student, const fs::path& file) {
  Json out = Json::object();
  out["student"] = printable(student, 200);
  if (!fs::exists(file)) {
    out["error"] = "the grader did not come to an end";
    return out;
  }
  const Json graded = Json::read(file.string());
  for (const auto& [key, value] : graded.as_object()) out[key] = value;
  return out;
}

}  // namespace

std::vector<std::string> students(const fs::path& folder) {
  if (!fs::is_directory(folder)) throw BadInput(folder.string(), "", "is not a folder");
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (entry.is_directory() && !entry.is_symlink() && !name.starts_with('.'))
      names.push_back(name);
  }
  if (names.empty()) {
    throw BadInput(folder.string(), "", "has no folders; expected one for each student");
  }
  std::ranges::sort(names);
  return names;
}

std::vector<Exercise> handed_in(const std::vector<Exercise>& exercises, const fs::path& folder) {
  std::vector<Exercise> found;
  for (const Exercise& exercise : exercises) {
    const bool any = std::ranges::any_of(students(folder), [&](const std::string& student) {
      return fs::exists(folder / student / exercise.chapter / "exercise");
    });
    if (any) found.push_back(exercise);
  }
  return found;
}

Json::Array grade_class(const std::vector<Exercise>& exercises, const fs::path& folder,
                        const Settings& settings, int jobs) {
  const std::vector<std::string> names = students(folder);
  const ScratchFolder scratch;
  const HeaderTree tree(exercises, scratch.path() / "tree");
  const auto result = [&](std::size_t i) { return scratch.path() / (std::to_string(i) + ".json"); };
  int running = 0;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (running == std::max(jobs, 1)) {
      ::wait(nullptr);
      --running;
    }
    if (start_worker(exercises, folder / names[i], tree, result(i), settings) < 0) {
      throw MachineLacks("a process: none is to be had");
    }
    ++running;
  }
  while (::wait(nullptr) > 0) {
  }
  Json::Array graded;
  for (std::size_t i = 0; i < names.size(); ++i) graded.push_back(result_of(names[i], result(i)));
  return graded;
}

}  // namespace qlora::grader
