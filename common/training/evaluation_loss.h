// The loss of a model on a data set.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "core/arena.h"
#include "llama/model.h"
#include "ops/processes.h"
#include "text/examples.h"

namespace qlora {

/// Mean loss over the supervised tokens of a data set, without dropout; several processes share its
/// batches.
double evaluation_loss(const LlamaModel& model, std::span<const TokenizedExample> examples,
                       std::int64_t batch_size, std::int32_t pad_id, Arena& arena,
                       Processes* processes = nullptr);

/// The loss of one row.
struct RowLoss {
  double sum = 0.0;         ///< over its supervised tokens
  std::int64_t tokens = 0;  ///< supervised ones
};

/// The same row by row, in the order of the rows, which are one example each: Σ sum / Σ tokens is
/// evaluation_loss() but for rounding, for a position's loss is in the dtype of
/// ops::statistics_of().
/// @param on_progress  called with the number of rows done
std::vector<RowLoss> row_losses(const LlamaModel& model, std::span<const TokenizedExample> examples,
                                std::int64_t batch_size, std::int32_t pad_id, Arena& arena,
                                const std::function<void(std::int64_t)>& on_progress = {});

}  // namespace qlora
