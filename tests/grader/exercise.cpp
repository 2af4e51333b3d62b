#include "exercise.h"

#include <algorithm>
#include <set>

#include "core/json.h"

namespace qlora::grader {
namespace {

namespace fs = std::filesystem;

// A name that becomes part of a path or of a GoogleTest filter.
std::string name(const Json& value, const char* letters) {
  const std::string& text = value.as_string();
  const bool fits = std::ranges::all_of(text, [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view(letters).find(c) != std::string_view::npos;
  });
  if (text.empty() || !fits || text.find("..") != std::string::npos) {
    value.reject(std::string("a name of letters, digits and ") + letters);
  }
  return text;
}

Row read_row(const Json& json) {
  Row row;
  row.test = name(json.at("test"), "_./");
  row.points = static_cast<int>(json.at("points").as_integer());
  if (row.points < 1 || row.points > 1000) json.at("points").reject("points from 1 to 1000");
  row.hint = json.at("hint").as_string();
  return row;
}

Task read_task(const Json& json) {
  Task task;
  task.id = name(json.at("id"), "_");
  task.file = name(json.at("file"), "_.");
  if (const Json* transfer = json.find("transfer")) task.transfer = transfer->as_bool();
  task.reference = name(json.at(task.transfer ? "oracle" : "reference"), "_./");
  if (!task.transfer) task.object = name(json.at("object"), "_");
  for (const Json& file : json.at("suite").as_array()) task.suite.push_back(name(file, "_./"));
  if (const Json* seconds = json.find("seconds")) task.seconds = seconds->as_number();
  std::set<std::string> seen;
  for (const Json& row : json.at("rows").as_array()) {
    task.rows.push_back(read_row(row));
    if (!seen.insert(task.rows.back().test).second) row.at("test").reject("a test once");
  }
  if (task.rows.empty()) json.at("rows").reject("at least one row");
  return task;
}

}  // namespace

int Task::points() const {
  int sum = 0;
  for (const Row& row : rows) sum += row.points;
  return sum;
}

std::string Exercise::target(const Task& task, const std::string& kind) const {
  return chapter + "_" + task.id + "_" + kind;
}

Exercise read_exercise(const fs::path& file) {
  const Json json = Json::read(file.string());
  Exercise exercise;
  exercise.chapter = name(json.at("chapter"), "_");
  exercise.folder = file.parent_path();
  for (const Json& task : json.at("tasks").as_array()) exercise.tasks.push_back(read_task(task));
  return exercise;
}

std::vector<Exercise> read_exercises(const fs::path& chapters) {
  std::vector<Exercise> exercises;
  if (!fs::is_directory(chapters)) return exercises;
  for (const auto& entry : fs::directory_iterator(chapters)) {
    const fs::path file = entry.path() / "exercise" / "exercise.json";
    if (fs::exists(file)) exercises.push_back(read_exercise(file));
  }
  std::ranges::sort(exercises, {}, &Exercise::chapter);
  return exercises;
}

}  // namespace qlora::grader
