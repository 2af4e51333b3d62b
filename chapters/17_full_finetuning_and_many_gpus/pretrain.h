// The recipe of the embedded model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "text/corpus.h"

namespace qlora {

struct PretrainOptions {
  std::string output_dir;
  CorpusSources sources;
  bool train_tokenizer = false;  ///< else the folder's own tokenizer.model is used
  std::int64_t max_steps = 6000;
  std::int64_t batch_size = 32;
  std::int64_t block_length = 128;
  double learning_rate = 3e-3;
  std::int64_t save_steps = 500;
  std::uint64_t seed = 1;
  bool resume = false;
};

/// Builds the text, trains all weights on it, and writes a model folder with its log. @return exit code
int pretrain(const PretrainOptions& options);

}  // namespace qlora
