#include "screen.h"

#include <fmt/core.h>

#include "course/table.h"
#include "course/text.h"

namespace qlora::grader {
namespace {

constexpr std::size_t kMostLines = 10;  // of one row's message

bool went_wrong(State state) {
  return state == State::fail || state == State::crash;
}

std::string indented(const std::string& text, const std::string& indent) {
  std::string out;
  std::size_t count = 0;
  std::string_view rest = text;
  while (!rest.empty() && rest.back() == '\n') rest.remove_suffix(1);
  const std::size_t width = kTextWidth - indent.size();
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    // A line that fits keeps its own indentation.
    const bool fits = display_width(line) <= width;
    for (const std::string& part : fits ? std::vector{std::string(line)} : wrapped(line, width)) {
      if (++count > kMostLines) return out + indent + "…\n";
      out += indent + part + "\n";
    }
  }
  return out;
}

std::string points(int won, int skipped, int possible) {
  std::string text = fmt::format("{} of {} points", won, possible);
  if (skipped > 0) text += fmt::format(", {} skipped", skipped);
  return text;
}

std::string task_report(const TaskResult& result, bool all_hints) {
  std::string out = fmt::format("{}, task {}: {}\n", result.chapter, result.task.id,
                                points(result.points(), result.skipped(), result.task.points()));
  out += "graded: " + result.answered_by + "\n";
  if (!result.problem.empty()) return out + indented(result.problem, "  ");
  Table table({"test", "state", "points"}, "llr");
  for (std::size_t i = 0; i < result.rows.size(); ++i) {
    const Row& row = result.task.rows[i];
    const bool passed = result.rows[i].state == State::pass;
    table.add({row.test, word(result.rows[i].state),
               fmt::format("{}/{}", passed ? row.points : 0, row.points)});
  }
  out += table.text();
  for (std::size_t i = 0; i < result.rows.size(); ++i) {
    const RowResult& row = result.rows[i];
    const bool hint = went_wrong(row.state) || (all_hints && row.state == State::todo);
    if (!hint && row.message.empty()) continue;
    out += fmt::format("\n{} {}\n", word(row.state), result.task.rows[i].test);
    out += indented(row.message, "  ");
    if (hint) out += indented("hint: " + result.task.rows[i].hint, "  ");
  }
  return out;
}

// The first row that is not there yet.
std::string next_step(const std::vector<TaskResult>& tasks) {
  for (const TaskResult& task : tasks) {
    if (!task.problem.empty()) return "Next: " + task.answered_by + " must compile.\n";
    for (std::size_t i = 0; i < task.rows.size(); ++i) {
      const State state = task.rows[i].state;
      if (state == State::pass || state == State::skipped) continue;
      return fmt::format("Next: {}\n", task.task.rows[i].test);
    }
  }
  return "";
}

}  // namespace

std::string screen(const std::vector<TaskResult>& tasks, bool all_hints) {
  std::string out;
  for (const TaskResult& task : tasks) out += task_report(task, all_hints) + "\n";
  const Points all = add_up(tasks);
  out += points(all.won, all.skipped, all.possible) + "\n" + next_step(tasks);
  return out;
}

}  // namespace qlora::grader
