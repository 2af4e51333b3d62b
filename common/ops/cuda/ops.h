// The ops on the GPU. What each computes is said once, in ops/ops.h; arithmetic is in float32,
// activations are float32, bfloat16 or float16. All work is put on cuda::stream(), and nothing here
// waits for it, unless it says so.
#pragma once

#include <span>

#include "core/arena.h"
#include "core/tensor.h"
#include "ops/adamw_8bit.h"
#include "ops/attention.h"
#include "ops/gate_activation.h"

namespace qlora::cuda {

/// See ops::embedding_forward. table and x of one dtype. Nothing looks at the ids: each is below V.
void embedding_forward(const Tensor& table, const Tensor& ids, const Tensor& x, double scale);

/// See ops::embedding_backward. dtable is F32.
void embedding_backward(const Tensor& dx, const Tensor& ids, const Tensor& dtable, double scale);

/// See ops::rms_norm_forward. x, weight and y of one dtype; rstd (rows) F32.
void rms_norm_forward(const Tensor& x, const Tensor& weight, double eps, const Tensor& y,
                      const Tensor& rstd, double offset);

/// See ops::rms_norm_backward. dweight, where it is wanted, is F32.
void rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd,
                       const Tensor& dx, const Tensor& dweight, double offset);

/// See ops::rope_forward; a sign of −1 is ops::rope_backward. Nothing looks at the positions: each
/// is within the tables.
void rope(const Tensor& x, std::int64_t heads, std::int64_t D, const Tensor& positions,
          const Tensor& cos, const Tensor& sin, float sign);

/// See ops::swiglu_forward.
void swiglu_forward(const Tensor& gate_up, const Tensor& y, GateActivation activation);

/// See ops::swiglu_backward.
void swiglu_backward(const Tensor& gate_up, const Tensor& dy, const Tensor& dgate_up,
                     GateActivation activation);

/// See ops::gradient_norm. Gradients are F32.
void gradient_norm(std::span<const Tensor> gradients, Arena& arena, const Tensor& norm);

/// See ops::adamw_all. All tensors are F32.
void adamw_all(const AdamWStep& step, std::span<const AdamWTensors> all);

/// See ops::adamw_8bit_all.
void adamw_8bit_all(const AdamWStep& step, std::span<const AdamW8bitTensors> all);

/// See ops::attention_forward. qkv and out of one dtype; lse (B,H,T) F32.
void attention_forward(const AttentionShape& shape, const Tensor& qkv, const Tensor& segments,
                       const Tensor& out, const Tensor& lse, AttentionKernel kernel);

/// See ops::attention_backward. Equal inputs give equal bits.
void attention_backward(const AttentionShape& shape, const Tensor& qkv, const Tensor& segments,
                        const Tensor& out, const Tensor& lse, const Tensor& dout, Arena& arena,
                        const Tensor& dqkv, AttentionKernel kernel);

/// See ops::append_to_cache. Nothing looks at the positions.
void append_to_cache(const AttentionShape& shape, const Tensor& qkv, const Tensor& positions,
                     const Tensor& keys, const Tensor& values);

/// See ops::attention_cached. Few queries have their keys split over the GPU's multiprocessors.
void attention_cached(const AttentionShape& shape, const Tensor& qkv, const Tensor& keys,
                      const Tensor& values, const Tensor& positions, Arena& arena,
                      const Tensor& out, AttentionKernel kernel);

}  // namespace qlora::cuda
