// A training run on many GPUs, on paper: the memory of each, what it sends, and how long that takes
// beside the computation.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "training/sharding.h"
#include "training/step_floor.h"

namespace qlora {

/// GPUs of one kind, and what lies between them.
struct Cluster {
  double memory = 0;  ///< bytes of a card
  DeviceRates rates;  ///< of one card
  Links links;        ///< between the cards
};

/// Nodes of eight H100 80GB. Rates as gpu_rates() has them, measured; of the links what their data
/// sheets say, NVLink 4 with 450 GB/s in each direction and eight adapters of 400 Gbit/s a node,
/// times 0.8, an assumption: what such links are known to reach.
Cluster h100_cluster();

/// What is trained.
enum class Tuning {
  full,  ///< every weight, in kMixedPrecision
  lora   ///< adapters on a frozen base, in float32; the whole base on every GPU
};

/// A run: the same shape on every GPU.
struct ClusterRun {
  TrainingShape shape;           ///< of a micro-batch; base and adapters where these are trained
  Tuning tuning = Tuning::lora;  ///< what is trained
  Sharding sharding = Sharding::none;  ///< of full training's state; adapters are too small for it
  std::int64_t gpus = 1;               ///< P
  std::int64_t micro_batches = 1;      ///< M: of each GPU, in an optimizer step
};

/// What comes out, by GPU and step.
struct ClusterPlan {
  double state = 0;        ///< bytes: weights, gradients, optimizer, a frozen base
  double activations = 0;  ///< bytes: of a micro-batch, at the largest moment
  double gathered = 0;     ///< bytes: whole layers, where weights are shared out
  double compute = 0;      ///< seconds: the floor of M micro-batches (training/step_floor.h)
  double sent = 0;         ///< bytes
  double exchange = 0;     ///< seconds: sent, over the ring's rate
  Efficiency efficiency;   ///< of the two
  double tokens = 0;       ///< of the step, by all GPUs

  /// Bytes of a GPU.
  double bytes() const { return state + activations + gathered; }
  /// With the exchange behind the computation as far as it goes, or after it.
  double tokens_per_second(bool hidden) const {
    return tokens * (hidden ? efficiency.hidden : efficiency.apart) / compute;
  }
};

/// The parts of a step that trains every weight: those of a dense base without adapters
/// (step_costs), and
///   linears and head, dW  2 · rows · weights, 2 · supervised rows · V·C
///   AdamW                 2 · (optimizer + gradient + weight) bytes for each of its parameters
/// @param share  of all parameters, that this GPU steps
std::vector<StepCost> full_step_costs(const TrainingShape& shape, double share);

/// Computes the plan. Activations of full training are those of a dense base with an adapter on
/// every linear layer: an adapter's gradient needs the same inputs that a weight's does. It is the
/// best case: hops, stragglers, the host and the network's other users take no time here.
/// @throws std::invalid_argument unless P >= 1 and M >= 1; UsageError, MachineLacks as
///         training_memory()
ClusterPlan cluster_plan(const ClusterRun& run, const Cluster& cluster);

/// The first of these numbers of GPUs on which the run's bytes are at most the card's; nothing
/// where there is none.
std::optional<std::int64_t> first_that_fits(const ClusterRun& run, const Cluster& cluster,
                                            std::span<const std::int64_t> gpus);

}  // namespace qlora
