#include "training/cluster_plan.h"

#include <algorithm>

#include "core/error.h"
#include "llama/memory_plan.h"

namespace qlora {
namespace {

double d(std::int64_t n) {
  return static_cast<double>(n);
}

// A dense base; an adapter of rank 1 on every linear layer, for the plan knows no run without one.
TrainingShape dense(TrainingShape shape) {
  shape.base = BaseFormat::dense;
  shape.lora = {};
  shape.lora.r = 1;
  shape.lora.target_modules = std::string("all-linear");
  return shape;
}

double layer_weights(const TrainingShape& s) {
  const LayerShape layer = layer_shapes(s.config, s.lora).front();
  double weights = 0;
  for (const GroupShape* group : layer.groups()) weights += d(group->weights());
  return weights;
}

double head_weights(const TrainingShape& s) {
  return d(s.config.vocab_size) * d(s.config.hidden_size);
}

std::int64_t trained_parameters(const ClusterRun& run) {
  return run.tuning == Tuning::full
             ? run.shape.config.parameter_count()
             : adapter_parameters(layer_shapes(run.shape.config, run.shape.lora));
}

void add_memory(const ClusterRun& run, ClusterPlan& plan) {
  if (run.tuning == Tuning::lora) {
    const MemoryPlan memory = training_memory(run.shape);
    plan.state = d(memory.resident);
    plan.activations = d(memory.arena);
    return;
  }
  const TrainingShape shape = dense(run.shape);
  plan.state = d(state_bytes(trained_parameters(run), kMixedPrecision, run.sharding, run.gpus));
  plan.activations = d(training_memory(shape).arena);
  if (run.sharding == Sharding::parameters && run.gpus > 1) {
    // The layer that is computed and the one that is on its way; or else the head alone.
    plan.gathered =
        d(kMixedPrecision.weight) * std::max(2 * layer_weights(shape), head_weights(shape));
  }
}

// Seconds of M micro-batches; the optimizer steps once.
double compute_seconds(const std::vector<StepCost>& costs, const DeviceRates& rates, double M) {
  double seconds = 0;
  for (const StepCost& cost : costs) {
    seconds += seconds_of(cost, rates) * (cost.part == ops::Part::optimizer ? 1 : M);
  }
  return seconds;
}

}  // namespace

Cluster h100_cluster() {
  constexpr double kReached = 0.8;
  return {80e9,
          gpu_rates("H100 80GB", DType::bf16).value_or(DeviceRates{}),
          {8, kReached * 450e9, kReached * 8 * 400e9 / 8}};
}

std::vector<StepCost> full_step_costs(const TrainingShape& shape, double share) {
  const TrainingShape s = dense(shape);
  std::vector<StepCost> costs = step_costs(s);
  std::erase_if(costs, [](const StepCost& cost) {
    return cost.part == ops::Part::lora || cost.part == ops::Part::optimizer;
  });
  const double linears = layer_weights(s) * d(s.config.num_hidden_layers);
  const double parameters = d(s.config.parameter_count()) * share;
  costs.push_back({"linears, dW", ops::Part::products, Bound::products, 2 * d(s.rows()) * linears});
  costs.push_back({"head, dW", ops::Part::head_products, Bound::products,
                   2 * d(s.supervised_rows()) * head_weights(s)});
  costs.push_back(
      {"AdamW", ops::Part::optimizer, Bound::bytes, 2 * d(kMixedPrecision.total()) * parameters});
  return costs;
}

ClusterPlan cluster_plan(const ClusterRun& run, const Cluster& cluster) {
  require(run.gpus >= 1 && run.micro_batches >= 1, "cluster_plan", "a GPU and a micro-batch");
  const bool full = run.tuning == Tuning::full;
  ClusterPlan plan;
  add_memory(run, plan);
  const double share = run.sharding == Sharding::none ? 1.0 : 1.0 / d(run.gpus);
  const auto costs = full ? full_step_costs(run.shape, share) : step_costs(run.shape);
  plan.compute = compute_seconds(costs, cluster.rates, d(run.micro_batches));
  plan.sent = step_bytes(trained_parameters(run), full ? kMixedPrecision : kAllFloat32,
                         full ? run.sharding : Sharding::none, run.gpus, run.micro_batches);
  plan.exchange = plan.sent / ring_rate(cluster.links, run.gpus);
  plan.efficiency = efficiency(plan.compute, plan.exchange);
  plan.tokens = d(run.shape.rows()) * d(run.micro_batches) * d(run.gpus);
  return plan;
}

std::optional<std::int64_t> first_that_fits(const ClusterRun& run, const Cluster& cluster,
                                            std::span<const std::int64_t> gpus) {
  for (const std::int64_t P : gpus) {
    ClusterRun at = run;
    at.gpus = P;
    if (cluster_plan(at, cluster).bytes() <= cluster.memory) return P;
  }
  return std::nullopt;
}

}  // namespace qlora
