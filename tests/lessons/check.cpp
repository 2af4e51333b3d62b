#include "lessons/check.h"

#include <filesystem>
#include <regex>

#include "core/error.h"
#include "core/files.h"
#include "lessons/document.h"
#include "lessons/output.h"

namespace qlora::testing {
namespace {

// "$ ./course run 3 …  # exit code 3": a command of a block, and the output shown below it.
struct Shown {
  std::size_t line = 0;   // of the command in the block, from 0
  std::size_t begin = 0;  // of the output: the command may go on in the next line
  std::size_t end = 0;
  std::string command;
  std::string remark;  // behind the command's "#"
};

std::string without_prompt(const std::string& line) {
  return begins_with(line, "$ ") ? line.substr(2) : line;
}

// The command that begins at a line, with those that "\" joins to it; `at` goes behind them.
std::string command_at(const Lines& lines, std::size_t& at) {
  std::string command = without_prompt(lines[at++]);
  while (!command.empty() && command.back() == '\\' && at < lines.size()) {
    command.pop_back();
    command += lines[at++];
  }
  return command;
}

std::vector<Shown> commands_of(const Lines& lines) {
  std::vector<Shown> all;
  for (std::size_t at = 0; at < lines.size();) {
    if (!begins_with(lines[at], "$ ")) {
      ++at;
      continue;
    }
    Shown shown;
    shown.line = at;
    shown.command = command_at(lines, at);
    const std::size_t hash = shown.command.find(" #");
    if (hash != std::string::npos) {
      shown.remark = shown.command.substr(hash + 2);
      shown.command = shown.command.substr(0, hash);
    }
    shown.command.erase(shown.command.find_last_not_of(' ') + 1);
    shown.begin = at;
    while (at < lines.size() && !begins_with(lines[at], "$ ")) ++at;
    shown.end = at;
    all.push_back(std::move(shown));
  }
  return all;
}

class Checker {
 public:
  Checker(Course& course, const std::string& path)
      : course_(course), path_(path), folder_(std::filesystem::path(path).parent_path()) {}

  Findings check() {
    const std::string text = read_file(course_.root() + "/" + path_);
    std::vector<Block> blocks = blocks_of(text);
    for (Block& block : blocks) check_block(block);
    findings_.updated = with_blocks(text, blocks);
    for (const Mention& span : code_spans(text)) {
      named(span.line, course_.problem_with_span(span.text, folder_));
    }
    for (const Mention& link : link_targets(text)) {
      named(link.line, course_.problem_with_link(link.text, folder_));
    }
    return std::move(findings_);
  }

 private:
  void complain(std::size_t line, const std::string& problem) {
    findings_.problems.push_back(path_ + ":" + std::to_string(line) + ": " + problem);
  }
  // A line of a block, from 0.
  void complain(const Block& block, std::size_t line, const std::string& problem) {
    complain(block.line + 1 + line, problem);
  }
  void named(std::size_t line, const std::string& problem) {
    ++findings_.names;
    if (!problem.empty()) complain(line, problem);
  }

  void check_block(Block& block) {
    static const std::regex kSource(R"((?://|#) (\S+\.\S+): ([A-Za-z0-9_-]+))");
    std::smatch match;
    const std::string first = block.lines.empty() ? "" : block.lines[0];
    if (std::regex_match(first, match, kSource)) {
      check_code(block, match[1], match[2]);
    } else if (begins_with(first, "$ ")) {
      check_outputs(block);
    } else if (block.is("sh")) {
      check_commands(block);
    } else if (block.is("cpp") || block.is("text")) {
      complain(block.line, "the block does not begin with the source or the command it comes from");
    }
  }

  void check_code(Block& block, const std::string& file, const std::string& marker) {
    ++findings_.code;
    Lines lines;
    try {
      lines = marked_lines(read_file(course_.root() + "/" + file), marker, file);
    } catch (const BadInput& e) {
      complain(block, 0, e.what());
      return;
    }
    lines.insert(lines.begin(), block.lines[0]);
    for (std::size_t i = 0; i < std::max(lines.size(), block.lines.size()); ++i) {
      const bool both = i < lines.size() && i < block.lines.size();
      if (both && lines[i] == block.lines[i]) continue;
      complain(block, i, file + " has: " + (i < lines.size() ? lines[i] : "no more lines"));
      break;
    }
    block.lines = std::move(lines);
  }

  void check_commands(const Block& block) {
    for (std::size_t at = 0; at < block.lines.size();) {
      const std::size_t line = at;
      const std::string command = command_at(block.lines, at);
      if (begins_with(command, "./course")) {
        named(block.line + 1 + line, course_.problem_with_command(command));
      }
    }
  }

  void check_outputs(Block& block) {
    Lines lines;
    for (const Shown& shown : commands_of(block.lines)) {
      ++findings_.outputs;
      const auto at = [&](std::size_t i) {
        return block.lines.begin() + static_cast<std::ptrdiff_t>(i);
      };
      lines.insert(lines.end(), at(shown.line), at(shown.begin));
      const Lines printed = output(block, shown, Lines(at(shown.begin), at(shown.end)));
      lines.insert(lines.end(), printed.begin(), printed.end());
    }
    block.lines = std::move(lines);
  }

  // Complains about a shown output; returns it as it ought to be.
  Lines output(const Block& block, const Shown& shown, const Lines& lines) {
    static const std::regex kDate(R"(.*\b\d{4}-\d\d-\d\d\b.*)");
    static const std::regex kExitCode(R"(.*\bexit code (\d+).*)");
    const std::string problem = course_.problem_with_command(shown.command);
    if (!problem.empty()) {
      complain(block, shown.line, problem);
      return lines;
    }
    if (block.is("recorded")) {
      if (!std::regex_match(shown.remark, kDate)) {
        complain(block, shown.line,
                 "recorded output has its date behind the command: # 2026-01-31");
      }
      return lines;
    }
    if (!begins_with(shown.command, "./course run ")) {
      complain(block, shown.line,
               "only ./course run N can be run here; else it is \"text recorded\"");
      return lines;
    }
    std::smatch match;
    const bool has_code = std::regex_match(shown.remark, match, kExitCode);
    const int code = has_code ? std::stoi(match[1]) : 0;
    return ran(block, shown, lines, code);
  }

  Lines ran(const Block& block, const Shown& shown, const Lines& lines, int code) try {
    const Ended& ended = course_.run(shown.command, path_);
    if (ended.timed_out || ended.signal != 0 || ended.exit_code != code) {
      complain(block, shown.line,
               "ended with " + std::string(ended.timed_out ? "the time limit, not " : "") +
                   "exit code " + std::to_string(ended.exit_code) + ":\n" + ended.output);
      return lines;
    }
    const Lines printed = lines_of(ended.output);
    const bool band = block.is("band");
    const auto different = band ? band_difference(lines, printed) : difference(lines, printed);
    if (!different) return lines;
    complain(block, shown.begin + different->line, different->problem);
    const auto updated_lines = band ? std::nullopt : updated(lines, printed);
    return updated_lines ? *updated_lines : lines;
  } catch (const BadInput& e) {
    complain(block, shown.line, e.what());
    return lines;
  }

  Course& course_;
  std::string path_, folder_;
  Findings findings_;
};

}  // namespace

Findings check_lesson(Course& course, const std::string& path) {
  return Checker(course, path).check();
}

}  // namespace qlora::testing
