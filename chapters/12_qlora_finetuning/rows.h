// What a run trains on: rows of a file as tokens, packed where that is asked for, or random ones.
#pragma once

#include "text/dataset.h"
#include "train.h"

namespace qlora {

/// The rows to train on and to evaluate, and what fills short ones up.
struct Rows {
  TokenizedDataset train;   ///< at least one
  TokenizedDataset eval;    ///< may be empty
  std::int32_t pad_id = 0;  ///< it is masked
};

/// @throws UsageError where the options name no rows at all: said before the model is loaded
void require_rows(const TrainOptions& o);

/// Those that the options name; random ids where --random-model stands without --data. Says what
/// was cut, what was left out, and what was packed. @throws UsageError, BadInput
Rows rows_of(const TrainOptions& o, const LlamaConfig& config);

}  // namespace qlora
