#include "lesson.h"

#include <fmt/format.h>

#include "course/table.h"
#include "regression.h"

namespace qlora::chapter16 {
namespace {

Json tell_regression() {
  Table table({"what has changed", "method", "r", "parameters", "loss", "lengths", "1 - cosine"},
              "llrrrrr");
  Json rows = Json::array();
  for (const auto& [change, name] : {std::pair{Change::magnitude, "lengths of the rows"},
                                     {Change::direction, "rank 4"},
                                     {Change::both, "both"}}) {
    for (const std::int64_t R : {1, 4}) {
      for (const bool dora : {false, true}) {
        const Run run = train(change, dora, R);
        table.add({dora || R > 1 ? "" : name, dora ? "DoRA" : "LoRA", std::to_string(R),
                   std::to_string(run.parameters), fmt::format("{:.5f}", run.loss.back()),
                   fmt::format("{:.1f} %", 100 * run.magnitude_change),
                   fmt::format("{:.4f}", run.direction_change)});
        Json row = Json::object();
        row["change"] = name;
        row["dora"] = dora;
        row["r"] = R;
        row["loss"] = run.loss.back();
        rows.push_back(row);
      }
    }
  }
  fmt::print(
      "A frozen layer (48 x 48) learns the work of one that differs from it; 300 steps of Adam.\n"
      "Loss: 1 without an adapter. How far rows went in length and in angle:\n{}\n",
      table.text());
  return rows;
}

Json tell_stability() {
  Table table({"r", "alpha / r", "alpha / sqrt r"}, "rrr");
  Json rows = Json::array();
  for (const Stability& s : stability()) {
    table.add(
        {std::to_string(s.R), fmt::format("{:.3f}", s.lora), fmt::format("{:.3f}", s.rslora)});
    Json row = Json::object();
    row["r"] = s.R;
    row["lora"] = s.lora;
    row["rslora"] = s.rslora;
    rows.push_back(row);
  }
  fmt::print("Size of s · B · A · x with random A and B, relative to r = 1:\n{}\n", table.text());
  return rows;
}

}  // namespace

Json tell() {
  Json j = Json::object();
  j["regression"] = tell_regression();
  j["stability"] = tell_stability();
  return j;
}

}  // namespace qlora::chapter16
