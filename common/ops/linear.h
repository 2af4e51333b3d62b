// Linear layers that share an input: a frozen base, dense or in 4 bits, with LoRA beside it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/arena.h"
#include "core/tensor.h"
#include "lora/lora.h"
#include "quantization/eight_bit_tensor.h"
#include "quantization/quantized_tensor.h"
#include "quantization/straight_through.h"

namespace qlora {

/// One LoRA adapter of one projection; with magnitudes it is one of DoRA (lora/dora.h). Gradients
/// are empty where it is not trained.
struct Adapter {
  Tensor A;                  ///< (R,K)
  Tensor B;                  ///< (N,R)
  Tensor magnitude;          ///< (N), lengths of the rows; empty: LoRA alone
  Tensor grad_A;             ///< (R,K), added to by the backward pass
  Tensor grad_B;             ///< (N,R)
  Tensor grad_magnitude;     ///< (N)
  double scaling = 1.0;      ///< s, see scaling_of (lora/config.h)
  float dropout = 0.0f;      ///< probability, in training only
  std::uint64_t stream = 0;  ///< tells this adapter's dropout masks from all others'
};

/// One named linear of the model: rows of a group's stacked weight, or codes of its own.
struct Projection {
  std::string name;                          ///< the module, e.g. "model.layers.0.self_attn.q_proj"
  std::int64_t N = 0;                        ///< out_features
  std::optional<QuantizedTensor> quantized;  ///< (N,K) in 4 bits, or
  std::optional<Int8Tensor> int8;            ///< (N,K) in int8; neither: rows of the group's weight
  std::optional<FakeFormat> fake;            ///< in which every pass sees those rows; none: as is
  std::vector<Adapter> adapters;             ///< applied in this order
};

/// Whether an adapter of the projection is one of DoRA.
bool has_dora(const Projection& p);

/// Whether passes see the projection's weight quantized and restored (ops::fake_quantize).
bool has_fake(const Projection& p);

/// The values of a projection's codes in float32, N·K of them at `out`.
/// @throws std::invalid_argument if it has none
void dequantize_codes(const Projection& p, float* out);

/// Projections of one input x (T,K), side by side: q, k and v; gate and up; or one alone.
/// y (T, ΣN) = x · [W_0; W_1; …]ᵀ, and each adapter adds s · drop(x) · Aᵀ · Bᵀ to its columns; one
/// of DoRA sets the lengths of its rows, too.
struct LinearGroup {
  std::int64_t K = 0;             ///< in_features
  std::vector<Projection> parts;  ///< in the order of their columns in y
  Tensor weight;  ///< dense (ΣN,K) in the dtype of the arithmetic; empty where the parts have codes
  Tensor grad_weight;  ///< (ΣN,K), added to by the backward pass; empty: the base is frozen

  /// ΣN: columns of y.
  std::int64_t N() const {
    std::int64_t sum = 0;
    for (const Projection& p : parts) sum += p.N;
    return sum;
  }

  /// Columns that rows of x and of dy have behind their own K and ΣN, for the adapters' part of a
  /// GPU's product: all ranks together, rounded up to 64. 0 on the CPU, without adapters, and where
  /// one has dropout, since then each has an input of its own, or is of DoRA, which scales the
  /// base.
  std::int64_t room() const;
};

/// Which dropout masks a pass uses: none in evaluation, else those of (seed, step).
struct DropoutRun {
  bool training = false;   ///< false: nothing is dropped
  std::uint64_t seed = 0;  ///< of the run
  std::uint64_t step = 0;  ///< number of the micro-batch since the start of the run
};

/// What that run drops of an adapter's input.
Dropout dropout_of(const DropoutRun& run, const Adapter& adapter);

/// What the backward pass of a group needs beside x: u = drop(x)·Aᵀ of each adapter, in order.
struct LinearSaved {
  std::vector<Tensor> u;  ///< (T,R) each; or one of (T, room), with all adapters side by side
};

/// Room for what a forward pass over `tokens` rows saves, taken from the arena.
LinearSaved take_saved(const LinearGroup& group, std::int64_t tokens, DType arithmetic,
                       Arena& arena);

namespace cpu {

/// y (T, ΣN) = x (T,K) · Wᵀ of a base whose parts are all in int8, part by part: the activations
/// are quantized too (quantization/llm_int8.h).
void int8_product(const LinearGroup& group, const Tensor& x, Arena& arena, float* y);

/// See ops::linear_forward.
template <typename T>
void linear_forward(const LinearGroup& group, const Tensor& x, const Tensor& residual,
                    const DropoutRun& run, Arena& arena, const Tensor& y, const LinearSaved* saved);

/// See ops::linear_backward.
template <typename T>
void linear_backward(const LinearGroup& group, const Tensor& x, const LinearSaved& saved,
                     const DropoutRun& run, const Tensor& dy, Arena& arena, const Tensor& dx);

}  // namespace cpu
}  // namespace qlora
