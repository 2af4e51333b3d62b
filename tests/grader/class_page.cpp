#include <fmt/core.h>

#include "class.h"
#include "course/text.h"

namespace qlora::grader {
namespace {

constexpr const char* kStyle = R"(<style>
body { font: 15px/1.4 sans-serif; margin: 2em auto; max-width: 70em; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: .5em 0 } th, td { padding: .15em .7em; text-align: left;
  border-bottom: 1px solid #ddd } td.n, th.n { text-align: right }
pre { white-space: pre-wrap; background: #f5f5f5; padding: .5em; margin: .2em 0 }
.pass { color: #1a7f37 } .FAIL, .CRASH, .MISSING { color: #b42318 } .todo, .skipped { color: #777 }
</style>
)";

// A field of a CSV file; spreadsheets take a leading = + - @ for a formula.
std::string field(std::string text) {
  if (!text.empty() && std::string("=+-@").find(text[0]) != std::string::npos) text = "'" + text;
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

std::string points(const Json& json) {
  std::string text =
      fmt::format("{} of {}", json.at("points").as_integer(), json.at("possible").as_integer());
  const std::int64_t skipped = json.at("skipped").as_integer();
  return skipped == 0 ? text : text + fmt::format(" ({} skipped)", skipped);
}

std::string task_report(const Json& task) {
  std::string out = fmt::format("<h3>{}, task {}: {}</h3>\n<p>graded: <code>{}</code></p>\n",
                                escaped_markup(task.at("chapter").as_string()),
                                escaped_markup(task.at("task").as_string()), points(task),
                                escaped_markup(task.at("answered_by").as_string()));
  const std::string& problem = task.at("problem").as_string();
  if (!problem.empty()) return out + "<pre>" + escaped_markup(problem) + "</pre>\n";
  out += "<table>\n";
  for (const Json& row : task.at("rows").as_array()) {
    const std::string& state = row.at("state").as_string();
    const std::string& message = row.at("message").as_string();
    out += fmt::format(
        "<tr><td>{}</td><td class=\"{}\">{}</td><td class=\"n\">{}/{}</td><td>{}</td></tr>\n",
        escaped_markup(row.at("test").as_string()), state, state, row.at("points").as_integer(),
        row.at("possible").as_integer(),
        message.empty() ? "" : "<pre>" + escaped_markup(message) + "</pre>");
  }
  return out + "</table>\n";
}

}  // namespace

std::string class_csv(const std::vector<Exercise>& exercises, const Json::Array& graded) {
  std::string out = "student,points,skipped,possible";
  for (const Exercise& exercise : exercises) {
    for (const Task& task : exercise.tasks) {
      out += "," + field(exercise.chapter + " " + task.id);
      for (const Row& row : task.rows) out += "," + field(row.test);
    }
  }
  out += "\n";
  for (const Json& student : graded) {
    out += field(student.at("student").as_string());
    if (const Json* error = student.find("error")) {
      out += ",0,0,0," + field(error->as_string()) + "\n";
      continue;
    }
    for (const char* key : {"points", "skipped", "possible"}) {
      out += fmt::format(",{}", student.at(key).as_integer());
    }
    for (const Json& task : student.at("tasks").as_array()) {
      out += fmt::format(",{}", task.at("points").as_integer());
      for (const Json& row : task.at("rows").as_array()) out += "," + row.at("state").as_string();
    }
    out += "\n";
  }
  return out;
}

std::string class_html(const std::vector<Exercise>& exercises, const Json::Array& graded) {
  std::string out =
      "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Marks</title>\n";
  out += kStyle;
  out += "<h1>Marks</h1>\n<table>\n<tr><th>student</th><th class=\"n\">points</th>";
  for (const Exercise& exercise : exercises) {
    for (const Task& task : exercise.tasks) {
      out += "<th class=\"n\">" + escaped_markup(exercise.chapter.substr(0, 2) + " " + task.id) +
             "</th>";
    }
  }
  out += "</tr>\n";
  std::string reports;
  int number = 0;
  for (const Json& student : graded) {
    const std::string name = escaped_markup(student.at("student").as_string());
    const std::string anchor = fmt::format("s{}", ++number);
    reports += fmt::format("<h2 id=\"{}\">{}</h2>\n", anchor, name);
    out += fmt::format("<tr><td><a href=\"#{}\">{}</a></td>", anchor, name);
    if (const Json* error = student.find("error")) {
      out += "<td class=\"n\">" + escaped_markup(error->as_string()) + "</td></tr>\n";
      continue;
    }
    out += "<td class=\"n\">" + points(student) + "</td>";
    for (const Json& task : student.at("tasks").as_array()) {
      out += "<td class=\"n\">" + points(task) + "</td>";
      reports += task_report(task);
    }
    out += "</tr>\n";
  }
  return out + "</table>\n" + reports + "</html>\n";
}

}  // namespace qlora::grader
