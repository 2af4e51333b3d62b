// Everything that decides what a training step takes and costs, without a weight.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "llama/activation_policy.h"
#include "llama/config.h"
#include "lora/config.h"

namespace qlora {

/// How the linear layers of the base are held.
enum class BaseFormat { dense, nf4, fp4, int8 };

/// "bfloat16", "nf4", …: dense is called by the dtype that it is in.
std::string to_string(BaseFormat format, DType arithmetic);

/// A base, its adapters, and a batch.
struct TrainingShape {
  LlamaConfig config;                      ///< of the base
  BaseFormat base = BaseFormat::nf4;       ///< how its linear layers are held
  bool double_quant = true;                ///< of 4-bit layers: the block maxima in 8 bits
  LoraConfig lora;                         ///< which modules carry adapters, and their ranks
  std::int64_t B = 1;                      ///< rows of a micro-batch
  std::int64_t T = 1;                      ///< positions a row
  std::optional<std::int64_t> supervised;  ///< of the B·T positions; none: all of them
  DType arithmetic = DType::bf16;          ///< of activations, embedding, head and norms
  ActivationPolicy activations = ActivationPolicy::keep;  ///< what a layer keeps
  Device device = Device::cuda;                           ///< where all of it is
  std::int64_t attention_scratch = 0;  ///< bytes, of a library's backward pass of attention
  bool moments_in_8bit = false;        ///< of the optimizer (ops/adamw_8bit.h), else in float32

  /// B·T, the tokens of a batch.
  std::int64_t rows() const { return B * T; }
  /// Positions whose logits are computed.
  std::int64_t supervised_rows() const { return supervised.value_or(rows()); }
};

/// One adapter of a group, by its sizes: A (R,K), B (N,R), and of DoRA N magnitudes.
struct AdapterSize {
  std::int64_t N = 0;  ///< out_features
  std::int64_t R = 0;  ///< rank
  bool dora = false;   ///< whether there are magnitudes
};

/// Linear layers that share an input (ops/linear.h: LinearGroup), by their sizes.
struct GroupShape {
  std::int64_t K = 0;                 ///< in_features
  std::vector<std::int64_t> parts;    ///< out_features of each projection
  std::vector<AdapterSize> adapters;  ///< of those that are targeted, in their order

  /// out_features of all parts.
  std::int64_t N() const;
  /// N·K: weights of all parts.
  std::int64_t weights() const { return N() * K; }
  /// R·(K+N), and N magnitudes of DoRA, over the adapters.
  std::int64_t adapter_parameters() const;
};

/// One layer: its four groups.
struct LayerShape {
  GroupShape qkv;      ///< C -> (H+2K)·D
  GroupShape o;        ///< H·D -> C
  GroupShape gate_up;  ///< C -> 2F
  GroupShape down;     ///< F -> C

  /// All of them, in this order.
  std::array<const GroupShape*, 4> groups() const { return {&qkv, &o, &gate_up, &down}; }
};

/// The layers of a decoder with the adapters that PEFT's matching puts on them.
/// @throws UsageError if no module is targeted
std::vector<LayerShape> layer_shapes(const LlamaConfig& config, const LoraConfig& lora);

/// Σ over layers and groups.
std::int64_t adapter_parameters(const std::vector<LayerShape>& layers);

/// Bytes of the optimizer's moments of all adapters.
std::int64_t moment_bytes(const TrainingShape& shape, const std::vector<LayerShape>& layers);

}  // namespace qlora
