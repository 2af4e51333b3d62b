// What of an optimizer step each of several processes computes, and what makes the plain sum of
// their gradients the gradient of one process alone.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "text/examples.h"

namespace qlora {

/// The places that one of P processes takes among `count`: rank, rank + P, rank + 2P, … The numbers
/// of two processes differ by one at most; where there are fewer places than processes the last
/// ones have none.
/// @throws std::invalid_argument unless rank >= 0 and processes >= 1
std::vector<std::int64_t> turns_of(std::int64_t count, std::int64_t rank, std::int64_t processes);

/// Labels of a row that the loss sees: position t is predicted from t − 1, so the first position
/// has no label, nor has one of kIgnoredLabel (text/batch.h: Batch::supervised).
std::int64_t supervised_labels(const TokenizedExample& row);

/// One process's part of a step, and what it must know of the others'.
struct StepShare {
  std::vector<std::int64_t> own;  ///< its micro-batches, by their places in the step
  std::int64_t supervised = 0;    ///< labels that the loss sees, in the micro-batches of all
  std::int64_t tokens = 0;        ///< tokens, likewise
};

/// The part of process `rank` of `processes`. Every process counts all rows of the step: the
/// numbers need no message.
/// @param micro_batches  the rows of each micro-batch, as places in `examples`
StepShare share_of_step(std::span<const TokenizedExample> examples,
                        std::span<const std::vector<std::int64_t>> micro_batches, std::int64_t rank,
                        std::int64_t processes);

/// What each micro-batch's gradient of Σ loss is multiplied by: loss_scale / supervised, with the
/// labels of the whole step. Then
///   Σ over processes Σ over own micro-batches of scale · ∇(Σ loss) = loss_scale · ∇(mean loss),
/// whoever computes which (transformers 5: num_items_in_batch). 0 where no label is seen.
double gradient_scale(const StepShare& share, double loss_scale = 1.0);

}  // namespace qlora
