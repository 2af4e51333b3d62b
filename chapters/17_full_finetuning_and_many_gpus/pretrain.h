// The recipe of the embedded model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/json.h"
#include "text/corpus.h"

namespace qlora {

/// The command line of `pretrain`.
struct PretrainOptions {
  std::string output_dir;           ///< the model folder to write
  CorpusSources sources;            ///< of the text
  bool train_tokenizer = false;     ///< else the folder's own tokenizer.model is used
  std::int64_t max_steps = 6000;    ///< optimizer steps
  std::int64_t batch_size = 32;     ///< blocks a step, of all processes together
  std::int64_t block_length = 128;  ///< tokens of a block; documents run on from one into the next
  double learning_rate = 3e-3;      ///< at its peak
  std::int64_t save_steps = 500;    ///< steps between checkpoints
  std::uint64_t seed = 1;           ///< of the weights and of the order of blocks
  bool resume = false;              ///< go on from the newest checkpoint in output_dir
  std::int64_t num_processes = 0;   ///< that share each step's blocks; 0: what a launcher says
};

/// Builds the text, trains all weights on it, and writes a model folder with its log. The run of
/// several processes is, to rounding, that of one.
/// @return the exit code: 130 or 143 where a signal ended the run
int pretrain(const PretrainOptions& options);

/// Prints how the embedded model was made, from the log beside it.
/// @return that log, without its history
Json print_model_card();

}  // namespace qlora
