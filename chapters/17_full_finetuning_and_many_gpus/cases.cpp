#include "cases.h"

#include "llama/load.h"

namespace qlora::chapter17 {

std::vector<Method> methods() {
  std::vector<Method> all;
  all.reserve(kShardings.size() + 1);
  for (const Sharding s : kShardings) {
    all.push_back({"full, " + std::string(to_string(s)), Tuning::full, s});
  }
  all.push_back({"QLoRA, data parallel", Tuning::lora, Sharding::none});
  return all;
}

TrainingShape shape_of(const LlamaConfig& config) {
  TrainingShape shape;
  shape.config = config;
  shape.lora.r = 16;
  shape.lora.target_modules = std::string("all-linear");
  shape.B = 4;
  shape.T = 2048;
  shape.activations = ActivationPolicy::checkpoint;
  return shape;
}

ClusterRun run_of(const TrainingShape& shape, const Method& method, std::int64_t gpus) {
  return {shape, method.tuning, method.sharding, gpus, 1};
}

std::vector<std::int64_t> gpu_counts() {
  return {8, 16, 32, 64, 128, 256, 512, 1024};
}

std::vector<std::int64_t> all_gpu_counts() {
  std::vector<std::int64_t> counts{1, 2, 4};
  for (const std::int64_t P : gpu_counts()) counts.push_back(P);
  return counts;
}

std::vector<MeasuredPair> measured_pairs() {
  return {{"4 x 2048, 1 micro-batch", 4, 1, 34711, 68360},
          {"1 x 2048, 1 micro-batch", 1, 1, 28845, 56418},
          {"4 x 2048, 4 micro-batches", 4, 4, 34478, 68839}};
}

PairEfficiency efficiency_of(const MeasuredPair& pair) {
  ClusterRun run = run_of(shape_of(named_config("llama-3.2-3b")), methods().back(), 2);
  run.shape.B = pair.B;
  run.shape.activations = ActivationPolicy::keep;
  run.micro_batches = pair.M;
  const ClusterPlan plan = cluster_plan(run, h100_cluster());
  const double tokens = plan.tokens / 2;  // of one GPU
  PairEfficiency e;
  e.step = tokens / pair.one;
  e.exchange = plan.exchange;
  e.predicted = efficiency(e.step, e.exchange).apart;
  e.measured = pair.two / (2 * pair.one);
  e.lost = plan.tokens / pair.two - e.step;
  return e;
}

}  // namespace qlora::chapter17
