// The runs that chapter 9 plans, and what was measured of some.
#pragma once

#include <string>
#include <vector>

#include "llama/memory_plan.h"

namespace qlora::chapter09 {

/// A published model in NF4 with double quantization, rank R on all linears, B x T tokens.
TrainingShape run_of(const std::string& model, std::int64_t R, std::int64_t B, std::int64_t T,
                     ActivationPolicy policy);

/// A GPU and what of its memory a run may take: what it has, less 512 MiB for CUDA itself.
struct Card {
  std::string name;        ///< as it is sold
  std::int64_t bytes = 0;  ///< that a run may take
};

/// A T4 (15 GiB), a card of 24 GB and one of 80 GB.
std::vector<Card> cards();

/// A run that was made on an H100, and its peak (docs/performance.md).
struct MeasuredRun {
  std::string name;     ///< model, rows and policy
  TrainingShape shape;  ///< the same, for the plan
  double measured = 0;  ///< GiB of all that the process allocated, CUDA's own context not
};

std::vector<MeasuredRun> measured_runs();

/// Activations of a step of the embedded model on the CPU: as planned, and as the arena had them.
struct ArenaRow {
  ActivationPolicy policy;    ///< the one it is of
  std::int64_t planned = 0;   ///< bytes
  std::int64_t measured = 0;  ///< bytes
};

/// Every policy of the CPU, 8 rows of 128 tokens, run for it.
std::vector<ArenaRow> measured_arenas();

}  // namespace qlora::chapter09
