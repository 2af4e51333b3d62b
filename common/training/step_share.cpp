#include "training/step_share.h"

#include "core/error.h"

namespace qlora {

std::vector<std::int64_t> turns_of(std::int64_t count, std::int64_t rank, std::int64_t processes) {
  require(rank >= 0 && processes >= 1, "turns_of", "a rank of at least one process");
  std::vector<std::int64_t> own;
  for (std::int64_t i = rank; i < count; i += processes) own.push_back(i);
  return own;
}

std::int64_t supervised_labels(const TokenizedExample& row) {
  std::int64_t seen = 0;
  for (std::size_t t = 1; t < row.labels.size(); ++t) seen += row.labels[t] != kIgnoredLabel;
  return seen;
}

StepShare share_of_step(std::span<const TokenizedExample> examples,
                        std::span<const std::vector<std::int64_t>> micro_batches, std::int64_t rank,
                        std::int64_t processes) {
  StepShare share;
  share.own = turns_of(static_cast<std::int64_t>(micro_batches.size()), rank, processes);
  for (const std::vector<std::int64_t>& rows : micro_batches) {
    for (const std::int64_t r : rows) {
      const TokenizedExample& row = examples[static_cast<std::size_t>(r)];
      share.supervised += supervised_labels(row);
      share.tokens += static_cast<std::int64_t>(row.input_ids.size());
    }
  }
  return share;
}

double gradient_scale(const StepShare& share, double loss_scale) {
  if (share.supervised == 0) return 0.0;
  return loss_scale / static_cast<double>(share.supervised);
}

}  // namespace qlora
