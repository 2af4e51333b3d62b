// The runs on many GPUs that the lesson, its figures and the verb `cluster` speak of.
#pragma once

#include <string>
#include <vector>

#include "training/cluster_plan.h"

namespace qlora::chapter17 {

/// A way to train a model on P GPUs.
struct Method {
  std::string name;   ///< "full, ZeRO-3"
  Tuning tuning;      ///< what is trained
  Sharding sharding;  ///< of full training's state
};

/// Full training in its four forms, then QLoRA in plain data parallel.
std::vector<Method> methods();

/// The shape of a micro-batch: 4 rows of 2,048 tokens, layers computed again in the backward pass;
/// NF4 with double quantization and adapters of rank 16 on every linear layer where these are
/// trained.
TrainingShape shape_of(const LlamaConfig& config);

/// That shape by a method on P GPUs, one micro-batch a step.
ClusterRun run_of(const TrainingShape& shape, const Method& method, std::int64_t gpus);

/// Whole nodes: 8, 16, … 1,024.
std::vector<std::int64_t> gpu_counts();

/// 1, 2 and 4, then those.
std::vector<std::int64_t> all_gpu_counts();

/// Two H100s of a host beside one of them (docs/performance.md): `train` on the shape of Llama 3.2
/// 3B, nothing computed again.
struct MeasuredPair {
  std::string name;    ///< "4 x 2048, 1 micro-batch"
  std::int64_t B = 0;  ///< rows of 2,048 tokens a micro-batch
  std::int64_t M = 0;  ///< micro-batches of a GPU in a step
  double one = 0;      ///< tokens a second of one GPU alone
  double two = 0;      ///< of both together
};

/// Those three runs.
std::vector<MeasuredPair> measured_pairs();

/// The same by formula and as measured.
struct PairEfficiency {
  double step = 0;       ///< seconds of one GPU's step, measured
  double exchange = 0;   ///< seconds, by bytes alone
  double predicted = 0;  ///< step / (step + exchange)
  double measured = 0;   ///< two / (2 · one)
  double lost = 0;       ///< seconds a step by which two are slower than one, measured
};

/// @return both, of a pair
PairEfficiency efficiency_of(const MeasuredPair& pair);

}  // namespace qlora::chapter17
