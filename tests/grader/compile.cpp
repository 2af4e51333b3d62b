#include "compile.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <vector>

#include "core/error.h"
#include "core/files.h"
#include "process.h"
#include "row.h"
#include "symbols.h"

namespace qlora::grader {
namespace {

namespace fs = std::filesystem;

constexpr double kSeconds = 120.0;
constexpr std::size_t kMemory = std::size_t{3} << 30;
constexpr std::size_t kLargestFile = 1u << 20;

const fs::path kSource = QLORA_SOURCE_DIR;
const fs::path kBuild = QLORA_BINARY_DIR;

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// Standard output and standard error of a command of this project's own.
std::string output_of(const std::string& shell, int& code) {
  std::string text;
  FILE* pipe = ::popen((shell + " 2>&1").c_str(), "re");
  if (pipe == nullptr) throw MachineLacks("a process: none is to be had");
  char buffer[4096];
  while (const std::size_t n = std::fread(buffer, 1, sizeof(buffer), pipe)) text.append(buffer, n);
  code = ::pclose(pipe);
  return text;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos;
       at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// The build tool's own commands for the student's program: options need not be told twice.
struct Recipe {
  std::string compile;
  std::string link;
  std::string object;   // as it stands in both
  std::string source;   // as it stands in `compile`
  std::string program;  // as it stands in `link`
};

Recipe recipe(const Exercise& exercise, const Task& task) {
  const std::string target = exercise.target(task, "student");
  int code = 0;
  const std::string commands = output_of(
      quoted(QLORA_NINJA) + " -C " + quoted(kBuild.string()) + " -t commands " + quoted(target),
      code);
  Recipe found;
  found.program = "exercises/" + target;
  const std::string folder = exercise.target(task, "unit") + ".dir/";
  std::istringstream in(commands);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string word;
    std::string object;
    std::string source;
    while (words >> word) {
      if (word == "-o") words >> object;
      if (word == "-c") words >> source;
    }
    if (object.find(folder) != std::string::npos && !source.empty()) {
      found.compile = line;
      found.object = object;
      found.source = source;
    }
    if (object == found.program) found.link = line;
  }
  if (code != 0 || found.compile.empty() || found.link.empty()) {
    throw MachineLacks("the build in " + kBuild.string() + " has no commands for " + target);
  }
  return found;
}

// The file's text; symbolic links, pipes and devices are not followed.
std::string submitted_text(const fs::path& file, std::string& problem) {
  const int opened = ::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  struct stat about{};
  std::string text;
  if (opened < 0) {
    problem = errno == ELOOP ? "is a symbolic link" : "is not there";
  } else if (::fstat(opened, &about) != 0 || !S_ISREG(about.st_mode)) {
    problem = "is not a regular file";
  } else if (about.st_size > static_cast<off_t>(kLargestFile)) {
    problem = "is larger than 1 MiB";
  } else {
    text.resize(static_cast<std::size_t>(about.st_size));
    const ssize_t n = ::read(opened, text.data(), text.size());
    text.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
  }
  if (opened >= 0) ::close(opened);
  if (!problem.empty()) problem = "the file " + file.filename().string() + " " + problem;
  return text;
}

Ended run_tool(const std::string& shell, const HeaderTree& tree, const fs::path& output,
               const fs::path& rest) {
  Command command;
  command.arguments = {"/bin/sh", "-c", shell};
  command.environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8",
                         "TMPDIR=" + output.string()};
  command.folder = output;
  command.sandbox = {{tree.folder(), rest}, {output}, true};
  command.seconds = kSeconds;
  command.memory = kMemory;
  return run_limited(command);
}

std::string problem_of(const Ended& ended, const std::string& what) {
  if (ended.killed.empty() && ended.code == 0) return "";
  if (!ended.killed.empty()) return what + ": it took too much " + ended.killed;
  return what + ":\n" + printable(ended.output, 3000);
}

}  // namespace

Program build_in_tree(const std::string& target) {
  int code = 0;
  const std::string text = output_of(
      quoted(QLORA_NINJA) + " -C " + quoted(kBuild.string()) + " " + quoted(target), code);
  if (code == 0) return {kBuild / "exercises" / target, ""};
  const std::size_t error = text.find("error:");
  const std::size_t begin = error == std::string::npos ? 0 : text.rfind('\n', error) + 1;
  return {"", "it does not compile:\n" + printable(text.substr(begin), 3000)};
}

HeaderTree::HeaderTree(const std::vector<Exercise>& exercises, fs::path folder)
    : folder_(std::move(folder)) {
  const auto copy = [&](const fs::path& from) {
    for (const auto& entry : fs::recursive_directory_iterator(from)) {
      if (!entry.is_regular_file() || entry.path().extension() != ".h") continue;
      const fs::path to = folder_ / fs::relative(entry.path(), kSource);
      fs::create_directories(to.parent_path());
      fs::copy_file(entry.path(), to, fs::copy_options::overwrite_existing);
    }
  };
  copy(kSource / "common");
  for (const Exercise& exercise : exercises) copy(exercise.folder);
}

Program compile_submission(const Exercise& exercise, const Task& task, const fs::path& file,
                           const HeaderTree& tree, const fs::path& output) {
  std::string problem;
  const std::string text = submitted_text(file, problem);
  if (!problem.empty()) return {"", problem};
  fs::create_directories(output);
  const fs::path source = output / task.file;
  const fs::path object = output / (task.id + ".o");
  const fs::path program = output / exercise.target(task, "student");
  const fs::path rest = kBuild / "exercises" / (exercise.target(task, "rest") + ".o");
  write_atomically(source.string(), text);

  const Recipe known = recipe(exercise, task);
  std::string compile = replaced(known.compile, known.source, source.string());
  compile = replaced(compile, known.object, object.string());
  compile = replaced(compile, kSource.string() + "/", tree.folder().string() + "/");
  Ended ended = run_tool(compile, tree, output, rest);
  problem = problem_of(ended, "it does not compile");
  if (!problem.empty()) return {"", replaced(problem, output.string() + "/", "")};

  ended = run_tool("nm --format=posix " + quoted(object.string()), tree, output, rest);
  problem = problem_of(ended, "its symbols cannot be read");
  if (problem.empty()) {
    const std::string refused = refusal(ended.output);
    if (!refused.empty()) problem = "the file is not graded: " + refused;
  }
  if (!problem.empty()) return {"", problem};

  std::string link = replaced(known.link, known.object, object.string());
  link = replaced(link, "-o " + known.program, "-o " + quoted(program.string()));
  const std::string relative = "exercises/" + rest.filename().string();
  link = replaced(link, " " + relative, " " + rest.string());
  ended = run_tool(link, tree, output, rest);
  problem = problem_of(ended, "it cannot be linked");
  if (!problem.empty()) return {"", replaced(problem, output.string() + "/", "")};
  return {program, "", object};
}

}  // namespace qlora::grader
