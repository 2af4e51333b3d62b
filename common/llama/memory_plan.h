// The memory of a run, part by part, from the configuration alone: before anything is allocated.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "llama/step_memory.h"
#include "llama/training_shape.h"

namespace qlora {

/// One part of a run's memory.
struct MemoryPart {
  std::string name;        ///< what it holds
  std::int64_t bytes = 0;  ///< at the largest moment
  std::int64_t most = 0;   ///< at its own; more than `bytes`: it is in the place of other parts
};

/// All parts. What a device's driver takes for itself (the CUDA context, some hundred MiB) is not
/// among them, nor what loading takes before the first step.
struct MemoryPlan {
  std::vector<MemoryPart> parts;  ///< in the order in which they are printed
  std::int64_t program = 0;       ///< on the CPU, where they count: code, tokenizer and data
  std::int64_t resident = 0;      ///< tensors that live as long as the run
  std::int64_t arena = 0;         ///< activations and scratch at the largest moment
  std::int64_t pinned = 0;  ///< of the host, beside the device's memory: offloaded layer inputs
  std::string moment;       ///< "forward", "head", "backward": when the arena is at its largest

  /// Σ of all parts' bytes.
  std::int64_t total() const { return program + resident + arena; }
};

/// The plan of a training run: base, adapters, gradients, moments, and one micro-batch.
/// @throws UsageError if no module is targeted, on sizes whose sum 64 bits do not count, and on
/// offload on the CPU; MachineLacks on what the device has no version of
MemoryPlan training_memory(const TrainingShape& shape);

/// The plan of a generation (llama/generation.h): base, adapters, the cache of keys and values, and
/// the pass over the prompt. shape.B, T and the policy do not matter.
MemoryPlan generation_memory(const TrainingShape& shape, std::int64_t prompt_tokens,
                             std::int64_t max_new_tokens);

/// The largest batch of a policy that stays within a limit.
struct FittingBatch {
  ActivationPolicy policy = ActivationPolicy::keep;  ///< the one it is of
  std::int64_t B = 0;                                ///< 0: not even one row fits
  std::int64_t bytes = 0;  ///< that this batch needs; of one row where none fits
};

/// The policies that the device has, each with its largest batch; everything else as in `shape`.
std::vector<FittingBatch> what_fits(const TrainingShape& shape, std::int64_t limit);

/// "--activations lean; --per-device-train-batch-size 2; …": options that would bring a run which
/// does not fit below the limit, the fastest first, or "" where none of them does.
std::string fitting_options(const TrainingShape& shape, std::int64_t limit);

/// "" if the plan needs at most `limit` bytes; else what it needs, what there is, and
/// fitting_options(), in one line.
std::string memory_shortage(const TrainingShape& shape, std::int64_t limit);

/// @throws MachineLacks with memory_shortage(), if there is one
void require_memory(const TrainingShape& shape, std::int64_t limit);

/// "23.1 GiB"; below one GiB in MiB.
std::string readable_bytes(std::int64_t bytes);

}  // namespace qlora
