#include "result.h"

#include <cmath>

namespace qlora::grader {

int TaskResult::points() const {
  int sum = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].state == State::pass) sum += task.rows[i].points;
  }
  return sum;
}

int TaskResult::skipped() const {
  int sum = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].state == State::skipped) sum += task.rows[i].points;
  }
  return sum;
}

Points add_up(const std::vector<TaskResult>& tasks) {
  Points all;
  for (const TaskResult& task : tasks) {
    all.won += task.points();
    all.skipped += task.skipped();
    all.possible += task.task.points();
  }
  return all;
}

Json json(const std::vector<TaskResult>& tasks) {
  const Points all = add_up(tasks);
  Json out = Json::object();
  out["points"] = all.won;
  out["skipped"] = all.skipped;
  out["possible"] = all.possible;
  out["tasks"] = Json::array();
  for (const TaskResult& task : tasks) {
    Json entry = Json::object();
    entry["chapter"] = task.chapter;
    entry["task"] = task.task.id;
    entry["answered_by"] = task.answered_by;
    entry["problem"] = task.problem;
    entry["points"] = task.points();
    entry["skipped"] = task.skipped();
    entry["possible"] = task.task.points();
    entry["rows"] = Json::array();
    for (std::size_t i = 0; i < task.rows.size(); ++i) {
      const RowResult& result = task.rows[i];
      const Row& row = task.task.rows[i];
      Json line = Json::object();
      line["test"] = row.test;
      line["state"] = word(result.state);
      line["points"] = result.state == State::pass ? row.points : 0;
      line["possible"] = row.points;
      line["seconds"] = std::round(result.seconds * 1000.0) / 1000.0;
      line["message"] = result.message;
      if (result.state == State::fail || result.state == State::crash) line["hint"] = row.hint;
      entry["rows"].push_back(std::move(line));
    }
    out["tasks"].push_back(std::move(entry));
  }
  return out;
}

}  // namespace qlora::grader
