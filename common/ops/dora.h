// DoRA adapters within a group of linear layers, on the CPU: what ops/linear.cpp does at theirs.
#pragma once

#include "ops/linear.h"

namespace qlora::cpu {

/// Columns of a group's activations that belong to one projection, and its rows of the weight.
template <typename T>
struct PartOfGroup {
  std::int64_t tokens = 0;  ///< T
  std::int64_t K = 0;       ///< in_features
  std::int64_t N = 0;       ///< the projection's out_features
  std::int64_t ld = 0;      ///< distance between rows of y, or of dy: ΣN
  const T* x = nullptr;     ///< (T,K)
  const T* W = nullptr;     ///< (N,K)
};

/// The adapter's LoRA.
template <typename T>
LoraWeights<T> lora_weights(const Adapter& adapter, std::int64_t K, std::int64_t N);

/// y, which is x · Wᵀ with the adapters before this one and no residual, with this one too.
/// @param u  (T,R), for the backward pass
template <typename T>
void dora_part_forward(const PartOfGroup<T>& part, const Adapter& adapter, const Dropout& dropout,
                       Arena& arena, T* u, T* y);

/// Adds to the adapter's gradients, and to dx what passes the projection, its base included; dx may
/// be nullptr. No other adapter is on the projection.
template <typename T>
void dora_part_backward(const PartOfGroup<T>& part, const Adapter& adapter, const Dropout& dropout,
                        Arena& arena, const T* u, const T* dy, T* dx);

}  // namespace qlora::cpu
