// The loss of a model on a data set.
#pragma once

#include <span>

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

}  // namespace qlora
