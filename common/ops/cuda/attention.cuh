// What the kernels of attention share: where its tensors lie, who sees whom, which kernels there
// are. Element is the type of the activations, T the number of queries, as everywhere.
#pragma once

#include <cmath>

#include "core/arena.h"
#include "ops/attention.h"
#include "ops/cuda/numeric.cuh"

namespace qlora::cuda {

using cpu::Heads;

/// q (B,T,H,D), k and v (B,S,K,D); query t stands at position S − T + t.
template <typename Element>
struct AttentionInputs {
  AttentionShape shape;
  Heads<const Element> q, k, v;
  const std::int32_t* segments = nullptr;  ///< (B,S); nullptr: no padding
  /// Where the last query stands; nullptr: at shape.S − 1, which else is the last that it may be.
  const std::int32_t* last_position = nullptr;
};

/// S, the number of keys.
template <typename Element>
__device__ int keys_of(const AttentionInputs<Element>& in) {
  return in.last_position == nullptr ? static_cast<int>(in.shape.S) : *in.last_position + 1;
}

/// What the backward pass has besides, and what it writes.
template <typename Element>
struct AttentionGradients {
  Heads<const Element> dout;
  const float* lse = nullptr;    ///< (B,H,T) log Σ exp of each query's scores
  const float* delta = nullptr;  ///< (B,H,T) dout · out
  Heads<Element> dq, dk, dv;
};

/// The segment of a position: 0 is padding, as all that lies past the end is; tokens of one example
/// share a number, 1 where nothing is said.
template <typename Element>
__device__ int segment_of(const AttentionInputs<Element>& in, int b, int position) {
  if (position >= in.shape.S) return 0;
  return in.segments == nullptr ? 1 : in.segments[b * in.shape.S + position];
}

/// Whether a query sees a key: one of its own segment up to itself. A query that is padding sees
/// every key before it that is not, as on the CPU.
__device__ inline bool visible(int query, int key, int query_segment, int key_segment) {
  return key <= query && key_segment != 0 && (query_segment == 0 || query_segment == key_segment);
}

/// The first element of head h of row b.
template <typename T>
__device__ T* head_of(const Heads<T>& heads, const AttentionShape& s, int b, int h) {
  return heads.data + b * heads.batch + h * s.D;
}

/// Launches a kernel that needs `shared` bytes of a block's shared memory.
template <typename... Parameters>
void launch(const char* op, void (*kernel)(Parameters...), dim3 grid, int threads,
            std::size_t shared, Parameters... arguments) {
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(shared)),
        op);
  kernel<<<grid, static_cast<unsigned>(threads), shared, stream()>>>(arguments...);
  check_launch(op);
}

/// For every card, element type and head size up to 256, in float32 (attention_plain.cu). lse may
/// be nullptr.
template <typename Element>
void plain_forward(const AttentionInputs<Element>& in, Heads<Element> out, float* lse);
template <typename Element>
void plain_backward(const AttentionInputs<Element>& in, const AttentionGradients<Element>& grad);

/// On the tensor cores (attention_forward.cu, attention_backward.cu): 16-bit elements, head sizes
/// 32, 64 and 128, rows that begin at multiples of 16 bytes. With `small` a block takes no more
/// than 64 KiB of shared memory.
template <typename Element>
void tensor_core_forward(const AttentionInputs<Element>& in, Heads<Element> out, float* lse);
template <typename Element>
void tensor_core_backward(const AttentionInputs<Element>& in,
                          const AttentionGradients<Element>& grad, bool small);

/// The head sizes that split_forward has: a warp reads a key in one access, of 16 bytes a lane.
template <typename Element>
constexpr bool splits_heads_of(std::int64_t D) {
  return D == 32 || D == 64 || D == 128 || (D == 256 && D <= kWarp * kWide<Element>);
}

/// For few queries over many keys: the keys are split over blocks, whose sums `parts` holds
/// (attention_cached.cu).
template <typename Element>
void split_forward(const AttentionInputs<Element>& in, Heads<Element> out, Arena& arena);

}  // namespace qlora::cuda
