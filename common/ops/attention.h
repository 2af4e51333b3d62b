// Causal grouped-query attention on the CPU.
#pragma once

#include <cstdint>

namespace qlora {

/// Sizes of an attention. Query t of a row stands at position S-T+t and sees keys up to its own.
struct AttentionShape {
  std::int64_t B = 0;  ///< rows of the batch
  std::int64_t T = 0;  ///< queries a row
  std::int64_t S = 0;  ///< keys a row, at least T
  std::int64_t H = 0;  ///< query heads
  std::int64_t K = 0;  ///< key-value heads; head h reads key-value head h / (H/K)
  std::int64_t D = 0;  ///< head size
};

/// Which of a GPU's kernels an attention runs on. The others than `fastest` are what runs where
/// something is lacking; asking for them tests them where nothing is.
enum class AttentionKernel {
  fastest,  ///< what this build, card, dtype and head size allow
  cudnn,    ///< cuDNN's; where it serves no such attention, that is an error
  own,      ///< the fastest of this project's own
  small,    ///< tensor cores, and no more than 64 KiB of shared memory a block
  plain     ///< no tensor cores
};

/// The CPU's back end: what stands behind the functions of qlora::ops.
namespace cpu {

/// Where the heads of q, k or v lie: element d of head h at row t of batch row b is
/// data[b·batch + t·row + h·D + d].
template <typename T>
struct Heads {
  T* data = nullptr;       ///< the first element
  std::int64_t row = 0;    ///< elements from one position to the next
  std::int64_t batch = 0;  ///< elements from one row of the batch to the next
};

/// See ops::attention_forward. out (B·T, H·D); lse (B,H,T); segments (B,T) or nullptr, and only
/// where S is T.
template <typename T>
void attention_forward(const AttentionShape& s, Heads<const T> q, Heads<const T> k,
                       Heads<const T> v, const std::int32_t* segments, T* out, T* lse);

/// See ops::attention_backward. dq, dk and dv are overwritten.
template <typename T>
void attention_backward(const AttentionShape& s, Heads<const T> q, Heads<const T> k,
                        Heads<const T> v, const std::int32_t* segments, const T* out, const T* lse,
                        const T* dout, Heads<T> dq, Heads<T> dk, Heads<T> dv);

}  // namespace cpu
}  // namespace qlora
