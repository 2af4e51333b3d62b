// The verb `cluster`: a run on many GPUs, on paper.
#pragma once

#include <string>
#include <vector>

#include "cases.h"
#include "course/options.h"

namespace qlora::chapter17 {

/// Its command line.
struct ClusterOptions {
  std::string model;                                    ///< a Hugging Face folder: its config.json
  std::string random_model;                             ///< or the name of a published shape
  std::vector<std::int64_t> gpus = gpu_counts();        ///< numbers of GPUs, a column each
  std::int64_t B = 4;                                   ///< rows of a micro-batch
  std::int64_t T = 2048;                                ///< tokens a row
  std::int64_t M = 1;                                   ///< micro-batches of a GPU in a step
  std::int64_t r = 16;                                  ///< of the adapters
  std::string activations = "checkpoint";               ///< what is kept for the backward pass
  std::string card_memory = "80GB";                     ///< what a run may take of a card
  std::int64_t gpus_per_node = 8;                       ///< that NVLink joins
  double within = h100_cluster().links.within / 1e9;    ///< GB/s that a GPU sends in its node
  double between = h100_cluster().links.between / 1e9;  ///< GB/s that a node sends
  std::string json;                                     ///< where the figures go
};

/// Adds its options.
void add_cluster_options(Options& verb, ClusterOptions& o);

/// Prints memory, messages and efficiency by method and number of GPUs: the memory in GB a GPU, in
/// brackets what is more than the card has.
/// @throws UsageError, BadInput
void run_cluster(const ClusterOptions& o);

}  // namespace qlora::chapter17
