#include "lessons/course.h"

#include <algorithm>
#include <filesystem>
#include <regex>

#include "core/error.h"
#include "core/files.h"
#include "lessons/document.h"

namespace qlora::testing {
namespace {

namespace fs = std::filesystem;

constexpr double kSeconds = 120.0;

bool is_source(const fs::path& path) {
  static const std::set<std::string> kEndings = {".cpp", ".h", ".cu", ".cmake", ".sh"};
  return kEndings.count(path.extension()) > 0;
}

// "FILE", "N", "NN_name", "checkpoint-N/", "…": the reader puts something there.
bool is_placeholder(const std::string& word) {
  static const std::regex kPlaceholder(R"(.*(…|\*|<|\bN\b|NN|\b[A-Z]{3,}\b).*)");
  return std::regex_match(word, kPlaceholder);
}

bool has_word(const std::string& text, const std::string& word) {
  const auto is_part = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-';
  };
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || !is_part(text[at - 1])) && (end == text.size() || !is_part(text[end]))) {
      return true;
    }
  }
  return false;
}

bool is_number(const std::string& word) {
  return !word.empty() && word.find_first_not_of("0123456789") == std::string::npos;
}

}  // namespace

Course::Course(std::string root, std::string bin, std::string work)
    : root_(std::move(root)), bin_(std::move(bin)), work_(std::move(work)) {
  read_sources();
}

void Course::read_sources() {
  static const std::regex kWord("[A-Za-z_][A-Za-z0-9_]*");
  static const std::regex kTest(R"(TEST(?:_F|_P)?\((\w+),\s*(\w+)\))");
  for (const char* folder : {"common", "chapters", "tests", "cmake"}) {
    if (!fs::is_directory(root_ + "/" + folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root_ + "/" + folder)) {
      if (!entry.is_regular_file() || !is_source(entry.path())) continue;
      file_names_.insert(entry.path().filename());
      const std::string text = read_file(entry.path());
      for (std::sregex_iterator m(text.begin(), text.end(), kWord), end; m != end; ++m) {
        words_.insert(m->str());
      }
      for (std::sregex_iterator m(text.begin(), text.end(), kTest), end; m != end; ++m) {
        tests_.insert((*m)[1].str() + "." + (*m)[2].str());
      }
    }
  }
}

std::string Course::executable(const std::string& chapter) const {
  const std::string begin = "ch" + std::string(chapter.size() < 2 ? "0" : "") + chapter + "_";
  if (!fs::is_directory(bin_)) return "";
  for (const auto& entry : fs::directory_iterator(bin_)) {
    if (begins_with(entry.path().filename().string(), begin)) return entry.path();
  }
  return "";
}

const Ended& Course::run(const std::string& command, const std::string& lesson) {
  const auto [place, is_new] = runs_.try_emplace(lesson + '\n' + command);
  if (!is_new) return place->second;
  std::vector<std::string> words = shell_words(command);
  for (const std::string& word : words) {
    if (word.find_first_of("|<>;&") != std::string::npos) {
      throw BadInput("", command, "is more than one command");
    }
  }
  const std::string program = words.size() < 3 ? "" : executable(words[2]);
  if (program.empty()) throw BadInput("", command, "names no chapter");
  words.erase(words.begin(), words.begin() + 3);
  words.insert(words.begin(), program);

  std::string name = lesson;
  std::replace(name.begin(), name.end(), '/', '_');
  const fs::path folder = fs::path(work_) / name;
  if (!fs::exists(folder)) {
    fs::create_directories(folder);
    for (const auto& entry : fs::directory_iterator(root_)) {
      const std::string file = entry.path().filename();
      if (file[0] != '.' && file != "build" && file != "runs") {
        fs::create_symlink(entry.path(), folder / file);
      }
    }
  }
  place->second = run_process(words, folder, kSeconds);
  return place->second;
}

const Ended& Course::help_of(const std::vector<std::string>& command) {
  const auto [place, is_new] = helps_.try_emplace(command);
  if (is_new) {
    std::vector<std::string> words = command;
    words.emplace_back("--help");
    fs::create_directories(work_);
    place->second = run_process(words, work_, kSeconds);
  }
  return place->second;
}

std::string Course::problem_with_command(const std::string& command) {
  const std::vector<std::string> words = shell_words(command.substr(0, command.find(" #")));
  if (words.size() < 2 || is_placeholder(words[1])) return "";
  const std::string& help = help_of({root_ + "/course"}).output;
  if (!has_word(help, "./course " + words[1])) return command + ": there is no verb " + words[1];

  std::string known = help;
  if (words[1] == "run" && words.size() > 2 && is_number(words[2])) {
    const std::string program = executable(words[2]);
    if (program.empty()) return command + ": there is no chapter " + words[2];
    std::vector<std::string> asked = {program};
    for (std::size_t i = 3; i < words.size(); ++i) {  // verbs, and verbs of verbs
      if (words[i][0] == '-' || is_placeholder(words[i])) break;
      asked.push_back(words[i]);
    }
    const Ended& answer = help_of(asked);
    if (!answer.ok()) return command + ": there is no verb " + asked.back();
    known = answer.output;
  }
  for (std::size_t i = 2; i < words.size(); ++i) {
    const std::string option = words[i].substr(0, words[i].find('='));
    if (begins_with(option, "--") && !is_placeholder(option) && !has_word(known, option)) {
      return std::string(command).append(": there is no option ") + option;
    }
  }
  return "";
}

std::string Course::problem_with_path(const std::string& path, const std::string& folder) const {
  if (is_placeholder(path)) return "";
  const std::string first = path.substr(0, path.find('/'));
  const bool is_output = first == "build" || first == "runs";
  const bool from_root = !is_output && fs::is_directory(fs::path(root_) / first);
  if (path.find('/') == std::string::npos) {
    const bool there = file_names_.count(path) > 0 || !is_source(path);
    return there ? "" : "there is no file " + path;
  }
  for (const char* base : {"", "common", "tests"}) {
    if (fs::exists(fs::path(root_) / base / path)) return "";
  }
  if (fs::exists(fs::path(root_) / folder / path)) return "";
  return from_root || is_source(path) ? "there is no file " + path : "";
}

std::string Course::problem_with_span(const std::string& span, const std::string& folder) {
  static const std::regex kPath(R"([A-Za-z0-9_.*…-]+(/[A-Za-z0-9_.*…-]+)*/?)");
  static const std::regex kTest("[A-Z][A-Za-z0-9]*\\.[A-Z][A-Za-z0-9]*");
  static const std::regex kFunction(R"((?:[A-Za-z_]\w*::)*([A-Za-z_]\w*)(?:<[^>]*>)?\(.*\))");
  std::smatch match;
  if (begins_with(span, "./course")) return problem_with_command(span);
  if (std::regex_match(span, kTest)) {
    return tests_.count(span) > 0 ? "" : "there is no test " + span;
  }
  if (std::regex_match(span, match, kFunction) && !begins_with(span, "std::")) {
    return words_.count(match[1]) > 0 ? "" : "there is no function " + match[1].str();
  }
  if (std::regex_match(span, kPath)) return problem_with_path(span, folder);
  return "";
}

std::string Course::problem_with_link(const std::string& target, const std::string& folder) const {
  static const std::regex kElsewhere("(https?:|mailto:|#).*");
  if (std::regex_match(target, kElsewhere)) return "";
  const std::string file = target.substr(0, target.find('#'));
  return fs::exists(fs::path(root_) / folder / file) ? ""
                                                     : "links " + file + ", which is not there";
}

}  // namespace qlora::testing
