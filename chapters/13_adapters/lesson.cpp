#include "lesson.h"

#include <fmt/format.h>

#include "course/table.h"
#include "measurements.h"
#include "switching.h"

namespace qlora::chapter13 {
namespace {

Json tell_merging() {
  Table table({"update / W", "lost: merged and unmerged", "merged in bfloat16", "merged in NF4"},
              "rrrr");
  Json rows = Json::array();
  for (const Survival& s : survivals(QLORA_DATA_DIR "/tiny-llama")) {
    table.add({fmt::format("{:.1f} %", 100 * s.size), fmt::format("{:.4f} %", 100 * s.lost_float32),
               fmt::format("{:.1f} %", 100 * s.lost_bf16),
               fmt::format("{:.0f} %", 100 * s.lost_nf4)});
    Json row = Json::object();
    row["size"] = s.size;
    row["lost_float32"] = s.lost_float32;
    row["lost_bf16"] = s.lost_bf16;
    row["lost_nf4"] = s.lost_nf4;
    rows.push_back(row);
  }
  fmt::print(
      "q_proj of layer 1 of the embedded model in NF4, and an update of rank 4 merged into it.\n"
      "What is off afterwards, as a share of the update:\n{}\n",
      table.text());
  return rows;
}

Json tell_switching() {
  Table table({"on the base", "loss on text 1", "on text 2", "weights changed", "off by"}, "lrrrr");
  Json rows = Json::array();
  for (const Switched& s : switched(QLORA_DATA_DIR "/tiny-llama")) {
    table.add({s.name, fmt::format("{:.2f}", s.first), fmt::format("{:.2f}", s.second),
               fmt::format("{:.0f} %", 100 * s.changed),
               s.off == 0 ? "0" : fmt::format("{:.0e}", s.off)});
    Json row = Json::object();
    row["name"] = s.name;
    row["loss_on_first"] = s.first;
    row["loss_on_second"] = s.second;
    row["changed"] = s.changed;
    row["off"] = s.off;
    rows.push_back(row);
  }
  fmt::print("Two adapters of rank 4 that learned one text each, and the base beneath them:\n{}\n",
             table.text());
  return rows;
}

Json tell_combining() {
  Table table({"two adapters of rank 4", "rank", "off the sum of the updates"}, "lrr");
  Json rows = Json::array();
  for (const Mix& mix : mixes()) {
    table.add({mix.name, std::to_string(mix.R), fmt::format("{:.1f} %", 100 * mix.off)});
    Json row = Json::object();
    row["name"] = mix.name;
    row["off"] = mix.off;
    rows.push_back(row);
  }
  fmt::print("Combined with the weights 1 and 1:\n{}\n", table.text());
  return rows;
}

}  // namespace

Json tell() {
  Json j = Json::object();
  j["merging"] = tell_merging();
  j["switching"] = tell_switching();
  j["combining"] = tell_combining();
  return j;
}

}  // namespace qlora::chapter13
