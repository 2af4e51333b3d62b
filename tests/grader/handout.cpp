#include "handout.h"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "core/error.h"
#include "core/files.h"
#include "exercise.h"

namespace qlora::grader {
namespace {

namespace fs = std::filesystem;

const fs::path kSource = QLORA_SOURCE_DIR;

int number_of(const Exercise& exercise) {
  return std::stoi(exercise.chapter);
}

// The NAME of every golden("NAME/…") in a source.
std::set<std::string> golden_folders(const std::string& text) {
  const std::string call = "golden(\"";
  std::set<std::string> names;
  for (std::size_t at = text.find(call); at != std::string::npos; at = text.find(call, at)) {
    at += call.size();
    names.insert(text.substr(at, text.find_first_of("/\"", at) - at));
  }
  return names;
}

class Handout {
 public:
  Handout(const Exercise& exercise, const std::vector<Exercise>& all, fs::path stubs, fs::path to)
      : exercise_(exercise), stubs_(std::move(stubs)), to_(std::move(to)) {
    for (const Exercise& other : all) {
      if (number_of(other) < number_of(exercise)) continue;
      for (const Task& task : other.tasks) {
        // The adapter of a later chapter's oracle is not copied at all.
        if (task.transfer && &other != &exercise) continue;
        withheld_[task.reference] = stubs_ / other.chapter / task.file;
      }
    }
  }

  void make() const {
    for (const char* file : {"course", "CMakeLists.txt", "CMakePresets.json", "LICENSE", "NOTICE",
                             ".gitignore", ".clang-format", "common/CMakeLists.txt"}) {
      if (fs::exists(kSource / file)) copy_file(file);
    }
    copy_folder("cmake");
    copy_folder("tests/support");
    for (const std::string& folder : folders()) copy_folder(fs::path("common") / folder);
    copy_grader();
    copy_chapter();
    for (const Task& task : exercise_.tasks) copy_tests(task);
    write_atomically((to_ / "HANDOUT.md").string(), about());
  }

 private:
  void copy_file(const fs::path& file) const {
    const auto stub = withheld_.find(file.string());
    const fs::path from = stub == withheld_.end() ? kSource / file : stub->second;
    fs::create_directories((to_ / file).parent_path());
    fs::copy_file(from, to_ / file, fs::copy_options::overwrite_existing);
  }

  // The same computation on the GPU would give the answer away: rope.cu, attention_forward.cu.
  bool is_twin(const fs::path& file) const {
    const std::string name = file.stem();
    return std::ranges::any_of(withheld_, [&](const auto& entry) {
      const std::string unit = fs::path(entry.first).stem();
      return file.parent_path().filename() == "cuda" &&
             (name == unit || name.starts_with(unit + "_"));
    });
  }

  void copy_folder(const fs::path& folder) const {
    if (!fs::exists(kSource / folder)) return;
    for (const auto& entry : fs::recursive_directory_iterator(kSource / folder)) {
      const fs::path file = fs::relative(entry.path(), kSource);
      if (entry.is_regular_file() && !is_twin(file)) copy_file(file);
    }
  }

  // Folders of common/ that the tests link, as the build knows them; course/ is the grader's.
  std::set<std::string> folders() const {
    std::set<std::string> names = {"course"};
    for (const Task& task : exercise_.tasks) {
      const fs::path list =
          fs::path(QLORA_BINARY_DIR) / "exercises" / (exercise_.target(task, "folders.txt"));
      std::istringstream in(read_file(list.string()));
      for (std::string name; std::getline(in, name, ';');) {
        names.insert(name.substr(0, name.find('\n')));
      }
    }
    return names;
  }

  void copy_grader() const {
    for (const auto& entry : fs::directory_iterator(kSource / "tests" / "grader")) {
      const std::string name = entry.path().filename();
      if (!entry.is_regular_file() || name.ends_with("_test.cpp")) continue;
      if (name.ends_with(".cpp") || name.ends_with(".h") || name == "CMakeLists.txt") {
        copy_file(fs::relative(entry.path(), kSource));
      }
    }
  }

  // The lesson and the stubs, not the program that shows the results.
  void copy_chapter() const {
    const fs::path folder = fs::path("chapters") / exercise_.chapter;
    for (const char* file : {"README.md", "numbers.json"}) {
      if (fs::exists(kSource / folder / file)) copy_file(folder / file);
    }
    copy_folder(folder / "figures");
    for (const auto& entry : fs::directory_iterator(kSource / folder / "exercise")) {
      const std::string name = entry.path().filename();
      if (name.ends_with(".h") || name == "exercise.json") copy_file(folder / "exercise" / name);
    }
    for (const Task& task : exercise_.tasks) {
      const fs::path stub = stubs_ / exercise_.chapter / task.file;
      for (const fs::path& place :
           {folder / "exercise", "pristine" / fs::path(exercise_.chapter)}) {
        fs::create_directories(to_ / place);
        fs::copy_file(stub, to_ / place / task.file, fs::copy_options::overwrite_existing);
      }
    }
    for (const auto& [reference, stub] : withheld_) {
      if (reference.starts_with("tests/")) copy_file(reference);
    }
  }

  // A suite, the headers beside it, and the golden folders that they name.
  void copy_tests(const Task& task) const {
    for (const std::string& suite : task.suite) {
      std::vector<fs::path> files = {suite};
      for (const auto& entry : fs::directory_iterator((kSource / suite).parent_path())) {
        if (entry.path().extension() == ".h") files.push_back(fs::relative(entry.path(), kSource));
      }
      for (const fs::path& file : files) {
        copy_file(file);
        const std::string text = read_file((kSource / file).string());
        for (const std::string& folder : golden_folders(text)) {
          copy_folder(fs::path("tests/golden") / folder);
        }
      }
    }
  }

  std::string about() const {
    std::string text = fmt::format(
        "# {}\n\nThe lesson is [chapters/{}/README.md](chapters/{}/README.md). To write:\n\n",
        exercise_.chapter, exercise_.chapter, exercise_.chapter);
    for (const Task& task : exercise_.tasks) {
      text += fmt::format("* `chapters/{}/exercise/{}`, {} points\n", exercise_.chapter, task.file,
                          task.points());
    }
    text += fmt::format(
        "\n```sh\n./course exercise {0}            # build, run the tests, count points\n"
        "./course exercise {0} --hints    # with a hint for every row\n"
        "./course exercise {0} --reset    # the stubs again; what was there is kept beside them\n"
        "```\n\nWhat a task uses of an earlier one is yours; where that file does not compile, it "
        "counts as not begun there.\n\n"
        "These files of the course stand here as stubs, so that the rest links; they are not "
        "graded:\n\n",
        number_of(exercise_));
    for (const auto& [reference, stub] : withheld_) {
      if (fs::exists(to_ / reference)) text += "* `" + reference + "`\n";
    }
    return text;
  }

  const Exercise& exercise_;
  fs::path stubs_;
  fs::path to_;
  std::map<std::string, fs::path> withheld_;  // reference, and the stub that takes its place
};

}  // namespace

void hand_out(int number, const fs::path& stubs, const fs::path& output) {
  const std::vector<Exercise> all = read_exercises(kSource / "chapters");
  const auto found = std::ranges::find(all, number, number_of);
  if (found == all.end()) {
    throw BadInput("chapters", "", fmt::format("chapter {} has no exercise", number));
  }
  if (fs::exists(output)) throw BadInput(output.string(), "", "is there already");
  write_folder_atomically(output.string(), [&](const std::string& unfinished) {
    Handout(*found, all, stubs, unfinished).make();
  });
}

}  // namespace qlora::grader
