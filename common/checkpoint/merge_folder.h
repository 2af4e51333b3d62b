// Adapters merged into a model folder, one tensor at a time.
#pragma once

#include <optional>
#include <span>

#include "checkpoint/peft_adapter.h"
#include "checkpoint/quantize_files.h"

namespace qlora {

/// What is merged, and into what.
struct MergeSettings {
  std::vector<PeftAdapter> adapters;  ///< in this order; those of DoRA scale what is there by then
  std::vector<double> weights;        ///< one an adapter: w in W + w · s · B · A; none: all 1
  std::optional<DType> dtype;         ///< of the merged folder; none: the one that its layers had
  bool requantize = false;            ///< quantize the layers again as the folder had them
};

/// How far a requantized folder is from the merged one that it stands for.
struct RequantizationError {
  double largest = 0;   ///< |quantized − merged| of a weight
  double relative = 0;  ///< root of Σ (quantized − merged)² / Σ merged²
  double change = 0;    ///< the same of what the merge changed, Σ (merged − base)² / Σ base²
};

/// What was done.
struct MergeSummary {
  std::size_t merged = 0;                    ///< tensors that adapters changed
  std::size_t kept = 0;                      ///< tensors that they did not
  std::optional<RequantizationError> error;  ///< of the merged tensors, where they were requantized
};

/// Merges adapters into a Hugging Face folder: W (N,K) + Σ w · s · B · A of each module, in float32
/// and rounded once; with DoRA m / norm ⊙ (W + s · B · A), norms of the base as it was (PEFT:
/// merge_and_unload). Layers in 4 or 8 bits are restored first and stay so, but for `requantize`,
/// which loses part of what was merged. No more than one weight is in memory. `output` appears when
/// all is in it, with the tokenizer and the like.
/// @throws BadInput as read_adapter and check_fits: where an adapter is of another base; UsageError
///         on another number of weights, a weight other than 1 for an adapter of DoRA, or
///         `requantize` where the folder is not quantized
MergeSummary merge_folder(const std::string& input, const std::string& output,
                          const MergeSettings& settings,
                          const QuantizeProgress& progress = nullptr);

}  // namespace qlora
