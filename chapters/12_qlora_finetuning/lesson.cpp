#include "lesson.h"

#include <fmt/format.h>

#include "claims.h"
#include "course/table.h"

namespace qlora::chapter12 {
namespace {

constexpr double kGiga = 1e9, kMega = 1e6, kFloat = 4;

double number(std::int64_t n) {
  return static_cast<double>(n);
}

Json tell_configurations() {
  const CourseInputs in;
  Table table({"configs/", "r", "alpha", "alpha / r", "trained", "of all", "adapter, MB",
               "base, GB", "+ scales"},
              "lrrrrrrrr");
  Json rows = Json::array();
  for (const Configuration* c : {&in.basic, &in.lite, &in.full, &in.gemma, &in.llama2}) {
    const ConfigurationSizes s = sizes_of(*c);
    const double percent = trainable_percentage({s.trainable, s.base + s.trainable});
    table.add({c->name, std::to_string(c->lora.r), fmt::format("{}", c->lora.lora_alpha),
               fmt::format("{}", s.scaling), grouped(s.trainable), fmt::format("{:.3f} %", percent),
               fmt::format("{:.1f}", number(s.trainable) * kFloat / kMega),
               fmt::format("{:.3f}", number(s.footprint) / kGiga),
               fmt::format("{:.3f}", number(s.resident) / kGiga)});
    Json row = Json::object();
    row["name"] = c->name;
    row["trainable"] = s.trainable;
    row["scaling"] = s.scaling;
    row["footprint"] = s.footprint;
    row["resident"] = s.resident;
    rows.push_back(std::move(row));
  }
  fmt::print(
      "\nThe course's configurations, from shapes alone (adapters in float32; what is not\n"
      "quantized in 16 bits):\n{}",
      table.text());
  return rows;
}

}  // namespace

Json tell(const MainJobResult& job) {
  Json results = report_json(job.report);
  results["configurations"] = tell_configurations();
  return results;
}

}  // namespace qlora::chapter12
