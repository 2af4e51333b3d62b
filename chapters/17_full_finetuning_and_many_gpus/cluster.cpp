#include "cluster.h"

#include <fmt/format.h>

#include "core/error.h"
#include "course/provenance.h"
#include "course/table.h"
#include "llama/load.h"
#include "llama/shapes.h"
#include "support/model_options.h"
#include "support/training_options.h"

namespace qlora::chapter17 {
namespace {

// One method on one number of GPUs.
struct Cell {
  Method method;
  std::int64_t gpus;
  ClusterPlan plan;
  bool fits;
};

std::vector<Cell> cells_of(const ClusterRun& one, const Cluster& cluster,
                           const std::vector<std::int64_t>& gpus) {
  std::vector<Cell> cells;
  for (const Method& method : methods()) {
    for (const std::int64_t P : gpus) {
      ClusterRun run = run_of(one.shape, method, P);
      run.micro_batches = one.micro_batches;
      const ClusterPlan plan = cluster_plan(run, cluster);
      cells.push_back({method, P, plan, plan.bytes() <= cluster.memory});
    }
  }
  return cells;
}

std::string memory_text(const Cell& cell) {
  const double gigabytes = cell.plan.bytes() / 1e9;
  const std::string text =
      gigabytes < 100 ? fmt::format("{:.1f}", gigabytes) : fmt::format("{:.0f}", gigabytes);
  return cell.fits ? text : "(" + text + ")";
}

// A row a method, a column a number of GPUs.
std::string memory_table(const std::vector<Cell>& cells, const std::vector<std::int64_t>& gpus) {
  std::vector<std::string> headings{"GB a GPU, by GPUs"};
  for (const std::int64_t P : gpus) headings.push_back(grouped(P));
  Table table(headings, "l" + std::string(gpus.size(), 'r'));
  for (std::size_t i = 0; i < cells.size(); i += gpus.size()) {
    std::vector<std::string> row{cells[i].method.name};
    for (std::size_t j = 0; j < gpus.size(); ++j) row.push_back(memory_text(cells[i + j]));
    table.add(row);
  }
  return table.text();
}

// What a step takes inside a node and beyond it: the first and the last number of GPUs.
std::string time_table(const std::vector<Cell>& cells, std::size_t columns) {
  const auto on = [](const Cell& cell) { return fmt::format("on {}, ms", grouped(cell.gpus)); };
  Table table({"a step of each GPU", "computes, ms", "sends, GB:", on(cells.front()),
               on(cells[columns - 1]), "efficiency, %"},
              "lrrrrr");
  for (std::size_t i = 0; i < cells.size(); i += columns) {
    const ClusterPlan &few = cells[i].plan, &many = cells[i + columns - 1].plan;
    table.add({cells[i].method.name, fmt::format("{:.0f}", 1e3 * many.compute),
               fmt::format("{:.2f}", many.sent / 1e9), fmt::format("{:.1f}", 1e3 * few.exchange),
               fmt::format("{:.1f}", 1e3 * many.exchange),
               fmt::format("{:.1f} to {:.1f}", 100 * many.efficiency.apart,
                           100 * many.efficiency.hidden)});
  }
  return table.text();
}

Json json_of(const Cell& cell) {
  Json row = Json::object();
  row["method"] = cell.method.name;
  row["gpus"] = cell.gpus;
  row["bytes"] = cell.plan.bytes();
  row["fits"] = cell.fits;
  row["sent"] = cell.plan.sent;
  row["exchange_seconds"] = cell.plan.exchange;
  row["compute_seconds"] = cell.plan.compute;
  row["efficiency"] = cell.plan.efficiency.apart;
  row["efficiency_hidden"] = cell.plan.efficiency.hidden;
  row["tokens_per_second"] = cell.plan.tokens_per_second(false);
  return row;
}

// @return rows {method, gpus, bytes, fits, sent, exchange_seconds, compute_seconds, efficiency: …}
Json print_cluster(const std::string& name, const ClusterRun& one, const Cluster& cluster,
                   const std::vector<std::int64_t>& gpus) {
  const std::vector<Cell> cells = cells_of(one, cluster, gpus);
  fmt::print("{}: {} parameters; {} x {} tokens a GPU and micro-batch\n", name,
             grouped(one.shape.config.parameter_count()), one.shape.B, one.shape.T);
  fmt::print("{}\n", memory_table(cells, gpus));
  fmt::print("{}\n", time_table(cells, gpus.size()));
  Json rows = Json::array();
  for (const Cell& cell : cells) rows.push_back(json_of(cell));
  return rows;
}

}  // namespace

void add_cluster_options(Options& verb, ClusterOptions& o) {
  verb.add("--model", o.model, "a Hugging Face model folder, of which config.json is read")
      .value_name("DIR");
  verb.add("--random-model", o.random_model, "or a published shape").choices(named_models());
  verb.add("--gpus", o.gpus, "numbers of GPUs").comma_separated().at_least(1);
  verb.add("--per-device-train-batch-size", o.B, "rows a micro-batch").at_least(1);
  verb.add("--max-length", o.T, "tokens a row").at_least(1);
  verb.add("--gradient-accumulation-steps", o.M, "micro-batches of a GPU in a step").at_least(1);
  verb.add("--r", o.r, "rank of the adapters, on every linear layer").at_least(1);
  verb.add("--activations", o.activations, "what is kept for the backward pass")
      .choices({"keep", "lean", "checkpoint", "offload"});
  verb.add("--card-memory", o.card_memory, "80GB, 24GiB, …: what a run may take of a card")
      .value_name("SIZE");
  verb.add("--gpus-per-node", o.gpus_per_node, "that have a fast link between them").at_least(1);
  const auto positive = [](double x) { return x > 0; };
  verb.add("--within", o.within, "GB/s that a GPU sends inside its node")
      .must("be above 0", positive);
  verb.add("--between", o.between, "GB/s that a node sends to others").must("be above 0", positive);
  verb.add("--json", o.json, "write the figures there").value_name("FILE");
}

void run_cluster(const ClusterOptions& o) {
  ModelOptions asked;
  asked.model = o.model;
  asked.random_model = o.random_model;
  const Json config = model_config(asked);
  model_shapes(config);  // refuses more layers than anybody has
  ClusterRun run{shape_of(llama_config(config))};
  run.shape.B = o.B;
  run.shape.T = o.T;
  run.shape.lora.r = o.r;
  run.shape.activations = activation_policy_from(o.activations);
  run.micro_batches = o.M;
  Cluster cluster = h100_cluster();
  cluster.memory = static_cast<double>(bytes_of("--card-memory", o.card_memory));
  cluster.links = {o.gpus_per_node, o.within * 1e9, o.between * 1e9};
  Json j = Json::object();
  j["rows"] = print_cluster(o.model.empty() ? o.random_model : o.model, run, cluster, o.gpus);
  fmt::print(
      "In brackets: more than a card's {:.0f} GB. Efficiency, on the last number of GPUs: the "
      "share\n"
      "of a step that computes, with the exchange after the computation and with all of it "
      "hidden.\n"
      "Computing is at the rates measured on an H100. Assumed: {:.0f} GB/s a GPU inside a node of "
      "{},\n"
      "{:.0f} GB/s a node beyond it; hops, stragglers, the host and other users take no time.\n",
      cluster.memory / 1e9, o.within, o.gpus_per_node, o.between);
  write_results(o.json, j);
}

}  // namespace qlora::chapter17
