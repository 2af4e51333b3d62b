// Softmax cross-entropy on the CPU.
#pragma once

#include <cstdint>

namespace qlora::cpu {

/// loss[i] = log Σ_v exp(logits[i][v]) − logits[i][targets[i]]; where `gradient_scale` is not zero,
/// the logits are overwritten by gradient_scale · (softmax − onehot). Every target is below V.
template <typename T>
void cross_entropy(std::int64_t rows, std::int64_t V, T* logits, const std::int32_t* targets,
                   T gradient_scale, T* loss);

}  // namespace qlora::cpu
