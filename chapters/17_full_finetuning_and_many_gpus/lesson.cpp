#include "lesson.h"

#include <fmt/format.h>

#include "cases.h"
#include "course/table.h"
#include "gradients.h"
#include "llama/load.h"
#include "llama/memory_plan.h"
#include "pretrain.h"

namespace qlora::chapter17 {
namespace {

// Bytes of one GPU by method: full training in mixed precision, LoRA on a dense base, QLoRA.
Json tell_memory() {
  Table table({"GB on one GPU", "full, 16 B each", "LoRA", "QLoRA", "activations"}, "lrrrr");
  Json rows = Json::array();
  const Cluster h100 = h100_cluster();
  for (const char* name : {"llama-3.2-1b", "llama-3.2-3b", "llama-3.1-8b", "llama-3.1-70b"}) {
    const TrainingShape shape = shape_of(named_config(name));
    TrainingShape dense = shape;
    dense.base = BaseFormat::dense;
    const ClusterPlan full = cluster_plan(run_of(shape, methods().front(), 1), h100);
    const ClusterPlan qlora = cluster_plan(run_of(shape, methods().back(), 1), h100);
    const double lora = static_cast<double>(training_memory(dense).resident);
    table.add({name, fmt::format("{:.1f}", full.state / 1e9), fmt::format("{:.1f}", lora / 1e9),
               fmt::format("{:.1f}", qlora.state / 1e9),
               fmt::format("{:.1f}", qlora.activations / 1e9)});
    Json row = Json::object();
    row["model"] = name;
    row["full"] = full.state;
    row["lora"] = lora;
    row["qlora"] = qlora.state;
    rows.push_back(row);
  }
  fmt::print(
      "Weights, gradients and AdamW; adapters of rank 16. Beside them the activations of 4 x 2048\n"
      "tokens with checkpointing:\n{}\n",
      table.text());
  return rows;
}

// What is rounding depends on the processor: only that it is no more is worth reading.
std::string distance_text(double distance) {
  constexpr double kRounding = 1e-6;  // of sums of thousands of float32 products, by far
  if (distance == 0) return "0";
  return distance < kRounding ? "< 1e-06" : fmt::format("{:.2g}", distance);
}

Json tell_gradients() {
  const GradientStudy study = study_gradients();
  Table table({"processes", "sum, each by the step's labels", "mean of the processes' own means"},
              "rrr");
  Json rows = Json::array();
  for (const GradientRow& row : study.rows) {
    table.add({std::to_string(row.processes), distance_text(row.summed),
               distance_text(row.mean_of_means)});
    Json j = Json::object();
    j["processes"] = row.processes;
    j["summed"] = row.summed;
    j["mean_of_means"] = row.mean_of_means;
    rows.push_back(j);
  }
  std::string labels;
  for (const std::int64_t n : study.labels) labels += (labels.empty() ? "" : ", ") + grouped(n);
  fmt::print(
      "A step of four micro-batches with {} labels. How far its gradient is from that of\n"
      "one process, relative to its length:\n{}\n",
      labels, table.text());
  return rows;
}

Json tell_pairs() {
  Table table(
      {"two H100s, 3B QLoRA", "step, ms", "exchange, ms", "predicted", "measured", "lost, ms"},
      "lrrrrr");
  Json rows = Json::array();
  for (const MeasuredPair& pair : measured_pairs()) {
    const PairEfficiency e = efficiency_of(pair);
    table.add({pair.name, fmt::format("{:.1f}", 1e3 * e.step),
               fmt::format("{:.2f}", 1e3 * e.exchange), fmt::format("{:.1f} %", 100 * e.predicted),
               fmt::format("{:.1f} %", 100 * e.measured), fmt::format("{:.1f}", 1e3 * e.lost)});
    Json row = Json::object();
    row["run"] = pair.name;
    row["predicted"] = e.predicted;
    row["measured"] = e.measured;
    rows.push_back(row);
  }
  fmt::print("{}\n", table.text());
  return rows;
}

std::string first_text(const ClusterRun& run, const std::vector<std::int64_t>& counts) {
  const Cluster h100 = h100_cluster();
  const auto first = first_that_fits(run, h100, counts);
  if (!first) return "never";
  ClusterRun at = run;
  at.gpus = *first;
  return fmt::format("{} ({:.1f})", *first, cluster_plan(at, h100).bytes() / 1e9);
}

Json tell_cluster() {
  const std::vector<std::int64_t> counts = all_gpu_counts();
  Table table({"GPUs that it first fits (GB each)", "8B", "70B", "8B on 1,024", "70B on 1,024"},
              "lrrrr");
  const TrainingShape small = shape_of(named_config("llama-3.1-8b"));
  const TrainingShape large = shape_of(named_config("llama-3.1-70b"));
  Json rows = Json::array();
  for (const Method& method : methods()) {
    const auto of_all = [&](const TrainingShape& shape) {
      const ClusterPlan plan = cluster_plan(run_of(shape, method, 1024), h100_cluster());
      if (plan.bytes() > h100_cluster().memory) return std::string("-");
      return fmt::format("{:.1f}-{:.0f} %", 100 * plan.efficiency.apart,
                         100 * plan.efficiency.hidden);
    };
    const std::string of_small = first_text(run_of(small, method, 1), counts);
    const std::string of_large = first_text(run_of(large, method, 1), counts);
    table.add({method.name, of_small, of_large, of_all(small), of_all(large)});
    Json row = Json::object();
    row["method"] = method.name;
    row["8B"] = of_small;
    row["70B"] = of_large;
    rows.push_back(row);
  }
  fmt::print("H100s of 80 GB, 4 x 2048 tokens each; efficiency without and with overlap:\n{}\n",
             table.text());
  return rows;
}

}  // namespace

Json tell() {
  Json j = print_model_card();
  fmt::print("\n");
  j["memory"] = tell_memory();
  j["gradients"] = tell_gradients();
  j["two_gpus"] = tell_pairs();
  j["cluster"] = tell_cluster();
  return j;
}

}  // namespace qlora::chapter17
