// The op set: everything that the decoder, its backward pass and the optimizer compute, each op
// stated once. A function here checks its tensors' shapes and picks the back end from the device
// that they lie on. Arithmetic is in the dtype of the activations, float32 or float64 on the CPU.
//
// Dimensions: B batch, T sequence, C hidden, H query heads, K key-value heads, D head size,
// F feed-forward, V vocabulary, R rank, N out, K in; "rows" are the B·T tokens of a batch.
//
// On a GPU what goes into a linear layer, and the gradient of what comes out of it, may have room
// for the adapters behind the columns of each row (LinearGroup::room): where it says (rows, C +
// room), an op takes tensors of C columns or more, and leaves those behind C alone.
#pragma once

#include <span>

#include "core/arena.h"
#include "core/random.h"
#include "core/tensor.h"
#include "ops/adamw_8bit.h"
#include "ops/attention.h"
#include "ops/cross_entropy.h"
#include "ops/gate_activation.h"
#include "ops/linear.h"

/// Everything that a training step computes. Each op picks the back end from its tensors' device.
namespace qlora::ops {

/// The dtype of what is kept of sums over a row: float32, or float64 where the arithmetic is that.
inline DType statistics_of(DType arithmetic) {
  return arithmetic == DType::f64 ? DType::f64 : DType::f32;
}

/// x (rows,C) = scale · table (V,C)[ids (rows) I32]; the scale is rounded to the dtype of x first.
/// transformers: GemmaTextScaledWordEmbedding; 1 elsewhere.
void embedding_forward(const Tensor& table, const Tensor& ids, const Tensor& x, double scale = 1.0);

/// dtable (V,C)[ids] += scale · dx (rows,C), with the scale in the dtype of dx.
void embedding_backward(const Tensor& dx, const Tensor& ids, const Tensor& dtable,
                        double scale = 1.0);

/// y = x · rstd ⊙ (offset + weight) with rstd (rows) = 1 / sqrt(mean(x²) + eps); x (rows,C),
/// weight (C), y (rows, C + room), which is rounded once, behind both products. rstd is in the
/// dtype of statistics_of(). Zhang & Sennrich 2019; transformers: LlamaRMSNorm (eps inside the
/// root, no mean subtracted), GemmaRMSNorm (the same with an offset of 1).
void rms_norm_forward(const Tensor& x, const Tensor& weight, double eps, const Tensor& y,
                      const Tensor& rstd, double offset = 0.0);

/// dx (rows, C + room) += rstd · (g − x̂ · mean(g ⊙ x̂)) with x̂ = x · rstd and
/// g = (offset + weight) ⊙ dy; dy, x (rows,C). Added, because the residual stream's own gradient is
/// in dx already. dweight (C) += Σ dy ⊙ x̂ unless it is empty.
void rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& weight, const Tensor& rstd,
                       const Tensor& dx, const Tensor& dweight, double offset = 0.0);

/// Rotates the first `heads` heads of every row of x (rows, ld) in place. Row i stands at position
/// positions[i] (rows) I32; the pair (j, j + D/2) turns by the angle whose cosine and sine are
/// cos, sin (P, D/2) F32, positions below P. Su et al. 2021; transformers: apply_rotary_pos_emb
/// (rotate_half).
void rope_forward(const Tensor& x, std::int64_t heads, std::int64_t D, const Tensor& positions,
                  const Tensor& cos, const Tensor& sin);

/// The gradient of rope_forward: the rotation backwards, in place.
void rope_backward(const Tensor& dx, std::int64_t heads, std::int64_t D, const Tensor& positions,
                   const Tensor& cos, const Tensor& sin);

/// Causal attention of the stacked projections qkv (B·T, (H+2K)·D), q then k then v:
/// out (B·T, H·D + room) = softmax(q · kᵀ / sqrt D + mask) · v, head h reading key-value head h /
/// (H/K). segments (B,T) I32 say which examples share a row: a query sees the keys of its own
/// segment, up to its own position. 0 is padding, which no query sees; another number stands for
/// one example, whose tokens follow each other, but for padding. A row of zeros and ones is one
/// example with padding; empty: every row is one example without. What a query gets that is padding
/// itself means nothing (here it sees the example that it stands in or behind). lse (B,H,T) = log Σ
/// exp of each query's scores, which the backward pass needs; a query that sees no key gives zeros.
/// The T×T matrix is never stored whole, and no score between two examples is computed. lse is in
/// the dtype of statistics_of().
void attention_forward(const AttentionShape& shape, const Tensor& qkv, const Tensor& segments,
                       const Tensor& out, const Tensor& lse,
                       AttentionKernel kernel = AttentionKernel::fastest);

/// dqkv (B·T, (H+2K)·D + room) from dout (B·T, H·D); overwritten. The probabilities are computed
/// again from lse (Dao 2023, FlashAttention-2, algorithm 2).
void attention_backward(const AttentionShape& shape, const Tensor& qkv, const Tensor& segments,
                        const Tensor& out, const Tensor& lse, const Tensor& dout, Arena& arena,
                        const Tensor& dqkv, AttentionKernel kernel = AttentionKernel::fastest);

/// Bytes of scratch that attention_backward() takes from an arena on this device beside its own
/// kernels' F32 (B,H,T): what cuDNN wants, where it is used.
std::int64_t attention_scratch(Device device, const AttentionShape& shape, DType arithmetic,
                               std::int64_t room_of_out, std::int64_t room_of_dqkv);

/// Generation: the k and v columns of row i of qkv (B·T, (H+2K)·D) become row positions[i] of keys
/// and values (B, capacity, K·D); positions (B·T) I32, below the capacity.
void append_to_cache(const AttentionShape& shape, const Tensor& qkv, const Tensor& positions,
                     const Tensor& keys, const Tensor& values);

/// Attention of the queries of qkv (B·T, (H+2K)·D) over cached keys and values (B, capacity, K·D),
/// of which the first shape.S rows are in use, the new ones among them. Where positions (B·T) I32
/// are given, positions[T−1] + 1 rows are in use (in every row of the batch), and shape.S is the
/// most that it may be: on a GPU nobody waits for the number.
void attention_cached(const AttentionShape& shape, const Tensor& qkv, const Tensor& keys,
                      const Tensor& values, const Tensor& positions, Arena& arena,
                      const Tensor& out, AttentionKernel kernel = AttentionKernel::fastest);

/// y (rows, F + room) = act(gate) ⊙ up of gate_up (rows, 2F), gate then up; silu(z) = z / (1 +
/// e^−z) is SwiGLU's, gelu_tanh GeGLU's. Shazeer 2020; transformers: LlamaMLP, GemmaMLP.
void swiglu_forward(const Tensor& gate_up, const Tensor& y,
                    GateActivation activation = GateActivation::silu);

/// dgate_up (rows, 2F + room) from dy (rows, F); overwritten.
void swiglu_backward(const Tensor& gate_up, const Tensor& dy, const Tensor& dgate_up,
                     GateActivation activation = GateActivation::silu);

/// y (T, ΣN) = residual + x (T, K + room) · [W_0; W_1; …]ᵀ + Σ s · drop(x) · Aᵀ · Bᵀ; `residual`
/// may be empty. An adapter with magnitudes does what qlora::dora_forward says instead. `saved` (of
/// take_saved) is for the backward pass, nullptr where there is none. With y empty `saved` alone is
/// made. The room behind x's columns is written to. bitsandbytes: Linear4bit.forward; PEFT: result
/// += lora_B(lora_A(dropout(x))) * scaling.
void linear_forward(const LinearGroup& group, const Tensor& x, const Tensor& residual,
                    const DropoutRun& run, Arena& arena, const Tensor& y, const LinearSaved* saved);

/// dx (T,K) = dy (T, ΣN + room) · W + adapters' parts, overwritten; empty: nobody needs it.
/// Gradients of adapters, and of the base where group.grad_weight is there, are added to. A frozen
/// base gets none. The room behind dy's columns is written to. An adapter of DoRA has to be alone
/// on its projection.
void linear_backward(const LinearGroup& group, const Tensor& x, const LinearSaved& saved,
                     const DropoutRun& run, const Tensor& dy, Arena& arena, const Tensor& dx);

/// norm (N) = ‖W + s · B · A‖ of each row of the weight (N,K), 1 for a row of zeros; see
/// qlora::dora_norm. Adapter and norm in float32 on a GPU, where the weight may be in 16 bits; on
/// the CPU all in one dtype.
void dora_norm(const Tensor& weight, const Adapter& adapter, const Tensor& norm);

/// Quantization-aware training: w_q (N,K) = dequantize(quantize(w)) of a dense weight w (N,K) of
/// the same dtype, in each block clamp(round(w / s), -Q, Q) · s, or the nearest value of NF4; see
/// qlora::fake_quantize. A GPU computes in float32, and rounds w_q once where they are in 16 bits.
/// Jacob et al. 2018, section 3.1; torch: fake_quantize_per_channel_affine.
void fake_quantize(const FakeFormat& format, const Tensor& w, const Tensor& w_q);

/// dw (N,K) += dw_q (N,K) where |w| is within the range of its block, nothing elsewhere: the
/// straight-through estimator (Bengio et al. 2013); see qlora::fake_quantize_backward. Gradients
/// are in float32 on a GPU.
void fake_quantize_backward(const FakeFormat& format, const Tensor& w, const Tensor& dw_q,
                            const Tensor& dw);

/// Logits (rows,V) = x (rows,C) · head (V,C)ᵀ.
void head_forward(const Tensor& x, const Tensor& head, const Tensor& logits);

/// ids (rows) I32: the column of the largest of each row's logits (rows,V), of equal ones the
/// first; a NaN is larger than nothing.
void argmax(const Tensor& logits, const Tensor& ids);

/// counts (n) I32 += 1.
void increment(const Tensor& counts);

/// What a pass over the head writes; each may be empty.
struct HeadOutputs {
  Tensor sum;     ///< (1) F64, Σ_i loss_i is added to it; nobody waits for it
  Tensor dx;      ///< (rows, C), overwritten by gradient_scale · dΣ/dx, made in the same pass
  Tensor dhead;   ///< (V,C), added to
  Tensor losses;  ///< (rows), each position's loss, 0 where it is skipped (statistics_of())
};

/// Cross-entropy of the head, in chunks of supervised positions; the others are skipped.
/// x (rows,C), head (V,C). torch: cross_entropy(ignore_index=-100).
void head_cross_entropy(const Tensor& x, const Tensor& head, const Supervised& supervised,
                        double gradient_scale, Arena& arena, const HeadOutputs& out);

/// The same for targets (rows) I32 on the host, −100 where a position is skipped. It waits, and
/// returns Σ_i loss_i; dx, dhead and losses may be empty.
double head_cross_entropy(const Tensor& x, const Tensor& head, const Tensor& targets,
                          double gradient_scale, Arena& arena, const Tensor& dx,
                          const Tensor& dhead, const Tensor& losses);

/// One step of AdamW with decoupled decay (Loshchilov & Hutter 2019; torch.optim.AdamW):
///   g ← clip·g,  p ← p·(1 − lr·wd),  m ← β1 m + (1−β1) g,  v ← β2 v + (1−β2) g²,
///   p ← p − lr · (m / (1−β1^t)) / ( sqrt(v) / sqrt(1−β2^t) + eps ).
void adamw(const AdamWStep& step, const Tensor& gradient, const Tensor& parameter, const Tensor& m,
           const Tensor& v);

/// The same for many parameters, in few launches.
void adamw_all(const AdamWStep& step, std::span<const AdamWTensors> all);

/// One step of AdamW whose moments are in blocks of 8-bit codes (Dettmers et al. 2021;
/// bitsandbytes: kOptimizerStatic8bit2StateBlockwise). Both moments are restored, moved on as in
/// adamw(), and quantized again with their blocks' new maxima; where that changes the sign of a
/// mean, its code moves by one. The step is made with the moments as they are before, and the decay
/// comes last:
///   p ← (p − lr · (m / (1−β1^t)) / ( sqrt(v) / sqrt(1−β2^t) + eps )) · (1 − lr·wd).
/// A gradient that is not finite sets its two moments to 0. All moments of a kind share one map.
void adamw_8bit_all(const AdamWStep& step, std::span<const AdamW8bitTensors> all);

/// norm (1) F64 = sqrt(Σ g²) over all gradients, on their device, summed in double and in an order
/// that depends on the sizes alone. With Clip a step uses it without anybody waiting for it.
void gradient_norm(std::span<const Tensor> gradients, Arena& arena, const Tensor& norm);

}  // namespace qlora::ops
