// The op set: everything that the decoder, its backward pass and the optimizer compute, each op
// stated once. A function here checks its tensors' shapes and picks the back end from the device
// that they lie on. Arithmetic is in the dtype of the activations, float32 or float64 on the CPU.
//
// Dimensions: B batch, T sequence, C hidden, H query heads, K key-value heads, D head size,
// F feed-forward, V vocabulary, R rank, N out, K in; "rows" are the B·T tokens of a batch.
#pragma once

#include "core/arena.h"
#include "core/random.h"
#include "core/tensor.h"
#include "ops/adamw.h"
#include "ops/attention.h"
#include "ops/linear.h"

/// Everything that a training step computes. Each op picks the back end from its tensors' device.
namespace qlora::ops {

/// x (rows,C) = table (V,C)[ids (rows) I32].
void embedding_forward(const Tensor& table, const Tensor& ids, const Tensor& x);

/// dtable (V,C)[ids] += dx (rows,C).
void embedding_backward(const Tensor& dx, const Tensor& ids, const Tensor& dtable);

/// y = x · rstd ⊙ weight with rstd (rows) = 1 / sqrt(mean(x²) + eps); x, y (rows,C), weight (C).
/// Zhang & Sennrich 2019; transformers: LlamaRMSNorm (eps inside the root, no mean subtracted).
void rms_norm_forward(const Tensor& x, const Tensor& weight, double eps, const Tensor& y,
                      const Tensor& rstd);

/// dx (rows,C) += rstd · (g − x̂ · mean(g ⊙ x̂)) with x̂ = x · rstd and g = weight ⊙ dy. Added,
/// because the residual stream's own gradient is in dx already. dweight (C) += Σ dy ⊙ x̂ unless it
/// is empty.
void rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd,
                       const Tensor& dx, const Tensor& dweight);

/// Rotates the first `heads` heads of every row of x (rows, ld) in place. Row i stands at position
/// first_position + i mod T; the pair (j, j + D/2) turns by the angle whose cosine and sine are
/// cos, sin (positions, D/2) F32. Su et al. 2021; transformers: apply_rotary_pos_emb (rotate_half).
void rope_forward(const Tensor& x, std::int64_t heads, std::int64_t D, std::int64_t T,
                  std::int64_t first_position, const Tensor& cos, const Tensor& sin);

/// The gradient of rope_forward: the rotation backwards, in place.
void rope_backward(const Tensor& dx, std::int64_t heads, std::int64_t D, std::int64_t T,
                   std::int64_t first_position, const Tensor& cos, const Tensor& sin);

/// Causal attention of the stacked projections qkv (B·T, (H+2K)·D), q then k then v:
/// out (B·T, H·D) = softmax(q · kᵀ / sqrt D + mask) · v, head h reading key-value head h / (H/K).
/// key_mask (B,T) I32, 0 for padding, may be empty. lse (B,H,T) = log Σ exp of each query's scores,
/// which the backward pass needs; a query that sees no key gives zeros. The T×T matrix is never
/// stored whole. On a GPU lse is F32 whatever the others are.
void attention_forward(const AttentionShape& shape, const Tensor& qkv, const Tensor& key_mask,
                       const Tensor& out, const Tensor& lse,
                       AttentionKernel kernel = AttentionKernel::fastest);

/// dqkv (B·T, (H+2K)·D) from dout (B·T, H·D); overwritten. The probabilities are computed again
/// from lse (Dao 2023, FlashAttention-2, algorithm 2).
void attention_backward(const AttentionShape& shape, const Tensor& qkv, const Tensor& key_mask,
                        const Tensor& out, const Tensor& lse, const Tensor& dout, Arena& arena,
                        const Tensor& dqkv, AttentionKernel kernel = AttentionKernel::fastest);

/// The same forward for generation: queries of qkv (B·T, (H+2K)·D) over cached keys and values
/// (B, capacity, K·D), of which the first shape.S rows are in use (the new ones among them).
void attention_cached(const AttentionShape& shape, const Tensor& qkv, const Tensor& keys,
                      const Tensor& values, Arena& arena, const Tensor& out,
                      AttentionKernel kernel = AttentionKernel::fastest);

/// y (rows, F) = silu(gate) ⊙ up of gate_up (rows, 2F), gate then up; silu(z) = z / (1 + e^−z).
/// Shazeer 2020; transformers: LlamaMLP.
void swiglu_forward(const Tensor& gate_up, const Tensor& y);

/// dgate_up (rows, 2F) from dy (rows, F); overwritten.
void swiglu_backward(const Tensor& gate_up, const Tensor& dy, const Tensor& dgate_up);

/// y (T, ΣN) = residual + x (T,K) · [W_0; W_1; …]ᵀ + Σ s · drop(x) · Aᵀ · Bᵀ; `residual` may be
/// empty. `saved` (taken from the arena) is for the backward pass, nullptr where there is none.
/// bitsandbytes: Linear4bit.forward; PEFT: result += lora_B(lora_A(dropout(x))) * scaling.
void linear_forward(const LinearGroup& group, const Tensor& x, const Tensor& residual,
                    const DropoutRun& run, Arena& arena, const Tensor& y, LinearSaved* saved);

/// dx (T,K) = dy (T, ΣN) · W + adapters' parts, overwritten; empty: nobody needs it. Gradients of
/// adapters, and of the base where group.grad_weight is there, are added to. A frozen base gets
/// none.
void linear_backward(const LinearGroup& group, const Tensor& x, const LinearSaved& saved,
                     const DropoutRun& run, const Tensor& dy, Arena& arena, const Tensor& dx);

/// Logits (rows,V) = x (rows,C) · head (V,C)ᵀ.
void head_forward(const Tensor& x, const Tensor& head, const Tensor& logits);

/// Cross-entropy of the head, in chunks of tokens, positions with target −100 skipped: returns
/// Σ_i loss_i over the others. Where dx (rows,C) is given it is overwritten by
/// gradient_scale · dΣ/dx, made in the same pass, and dhead (V,C), unless empty, is added to.
/// targets (rows) I32 are already shifted. torch: cross_entropy(ignore_index=-100).
/// losses (rows) in the dtype of x, unless empty, gets each position's loss (0 where skipped).
/// @throws std::invalid_argument on a target that is neither −100 nor in 0 … V−1
double head_cross_entropy(const Tensor& x, const Tensor& head, const Tensor& targets,
                          double gradient_scale, Arena& arena, const Tensor& dx,
                          const Tensor& dhead, const Tensor& losses);

/// One step of AdamW with decoupled decay (Loshchilov & Hutter 2019; torch.optim.AdamW):
///   g ← factor·g,  p ← p·(1 − lr·wd),  m ← β1 m + (1−β1) g,  v ← β2 v + (1−β2) g²,
///   p ← p − lr · (m / (1−β1^t)) / ( sqrt(v) / sqrt(1−β2^t) + eps ).
void adamw(const AdamWStep& step, const Tensor& gradient, const Tensor& parameter, const Tensor& m,
           const Tensor& v);

/// Σ g² in double.
double squared_norm(const Tensor& gradient);

}  // namespace qlora::ops
