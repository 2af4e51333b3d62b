// The weights of a Llama decoder, laid out as its forward and backward passes use them.
#pragma once

#include <functional>
#include <vector>

#include "core/random.h"
#include "core/tensor.h"
#include "llama/config.h"
#include "ops/linear.h"

namespace qlora {

/// One decoder layer. q, k and v share an input and lie stacked, so do gate and up.
struct DecoderLayer {
  Tensor input_layernorm;                ///< (C)
  Tensor post_attention_layernorm;       ///< (C)
  LinearGroup qkv;                       ///< C -> (H+2K)·D
  LinearGroup o;                         ///< H·D -> C
  LinearGroup gate_up;                   ///< C -> 2F
  LinearGroup down;                      ///< F -> C
  Tensor grad_input_layernorm;           ///< (C); gradients are empty where the base is frozen
  Tensor grad_post_attention_layernorm;  ///< (C)
};

/// A LlamaForCausalLM, or one of the other families (llama/config.h). Dense weights are in the
/// dtype of the arithmetic.
struct LlamaModel {
  LlamaConfig config;                ///< sizes of everything below
  Tensor embed_tokens;               ///< (V,C)
  std::vector<DecoderLayer> layers;  ///< L
  Tensor norm;                       ///< (C)
  Tensor lm_head;                    ///< (V,C); the memory of embed_tokens where they are tied

  /// Shaped as what they are gradients of, one memory where that is tied; empty: the base is
  /// frozen.
  Tensor grad_embed_tokens, grad_norm, grad_lm_head;

  /// (positions, D/2) F32, for as many positions as were reserved; on the model's device.
  Tensor rope_cos, rope_sin;

  /// The dtype of activations: that of the dense weights.
  DType arithmetic() const { return embed_tokens.dtype(); }
  /// Where all of it lies.
  Device device() const { return embed_tokens.device(); }

  /// Makes the rotary tables cover positions 0 … n-1, on the device of the embedding.
  /// @throws std::invalid_argument above max_position_embeddings
  void reserve_positions(std::int64_t n);

  /// Calls f with every projection and the group it stands in, in the order of the layers:
  /// q, k, v, o, gate, up, down.
  void for_each_projection(const std::function<void(LinearGroup&, Projection&)>& f);
  void for_each_projection(
      const std::function<void(const LinearGroup&, const Projection&)>& f) const;
};

/// A parameter that is trained: value and gradient of one shape.
struct Parameter {
  std::string name;  ///< as the file that it is saved in calls it
  Tensor value;      ///< the model's own memory
  Tensor grad;       ///< likewise; backward passes add to it
};

/// The empty model of a configuration: names and sizes of every projection, no memory yet.
LlamaModel model_skeleton(const LlamaConfig& config);

/// Weights from N(0, 0.02²), norms that multiply by 1 (transformers: initializer_range), in
/// float32.
LlamaModel random_model(const LlamaConfig& config, std::uint64_t seed);

/// Gives every base weight a gradient of zeros, where the weight is, and returns all of them under
/// their Hugging Face names: full training. @throws std::invalid_argument if the base is quantized
std::vector<Parameter> enable_full_training(LlamaModel& model);

/// All dense weights under their Hugging Face names: projections of a group as rows of its stacked
/// weight. A tied head is not listed.
std::vector<std::pair<std::string, Tensor>> dense_weights(const LlamaModel& model);

}  // namespace qlora
