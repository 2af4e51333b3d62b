// Softmax cross-entropy: which positions count, what they are to predict, and the CPU's arithmetic.
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace qlora {

/// Labels (B,T) I32 shifted to targets (B·T) I32: position t is to predict label t+1, the last of a
/// row nothing (kIgnoredLabel). transformers: ForCausalLMLoss.
Tensor shifted_targets(const Tensor& labels);

namespace ops {

/// The positions that a loss looks at, and the tokens that they are to predict.
struct Supervised {
  Tensor rows;     ///< (n) I32, ascending
  Tensor targets;  ///< (n) I32, below V
};

/// Those of targets (rows) I32 on the host that are not kIgnoredLabel; on the host too.
/// @throws std::invalid_argument on another target that is not in 0 … V−1
Supervised supervised(const Tensor& targets, std::int64_t V);

}  // namespace ops

namespace cpu {

/// loss[i] = log Σ_v exp(logits[i][v]) − logits[i][targets[i]]; where `gradient_scale` is not zero,
/// the logits are overwritten by gradient_scale · (softmax − onehot). Every target is below V.
template <typename T>
void cross_entropy(std::int64_t rows, std::int64_t V, T* logits, const std::int32_t* targets,
                   T gradient_scale, T* loss);

}  // namespace cpu
}  // namespace qlora
