// The shape of a decoder, read from config.json: Llama and the families that are computed like it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "core/json.h"
#include "ops/gate_activation.h"

namespace qlora {

/// How the rotary frequencies are scaled for longer contexts (transformers: modeling_rope_utils).
struct RopeScaling {
  std::string rope_type = "default";  ///< "default", "linear" or "llama3"
  double factor = 1.0;                ///< frequencies are divided by it: of llama3 the slow ones
  /// With so many turns or fewer within the original positions a frequency is slow, with so many or
  /// more it is fast and stays as it is; between them lies a ramp.
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;

  std::int64_t original_max_position_embeddings = 8192;  ///< positions before the scaling
};

/// config.json of a LlamaForCausalLM (Llama 2, Llama 3.x, TinyLlama, SmolLM2, DeepSeek-Coder) or of
/// a GemmaForCausalLM (Gemma 1); the defaults are those of transformers' LlamaConfig. The families
/// differ in sizes, and in the three numbers that model_type decides on.
struct LlamaConfig {
  std::string model_type = "llama";                  ///< "llama" or "gemma"
  GateActivation activation = GateActivation::silu;  ///< of the feed-forward's gate
  double norm_offset = 0.0;      ///< norms multiply by offset + weight: 1 in Gemma
  double embedding_scale = 1.0;  ///< embeddings are multiplied by it: sqrt C in Gemma

  std::int64_t hidden_size = 0;                 ///< C
  std::int64_t num_hidden_layers = 0;           ///< L
  std::int64_t num_attention_heads = 0;         ///< H
  std::int64_t num_key_value_heads = 0;         ///< K
  std::int64_t head_dim = 0;                    ///< D
  std::int64_t intermediate_size = 0;           ///< F
  std::int64_t vocab_size = 0;                  ///< V
  std::int64_t max_position_embeddings = 2048;  ///< the longest sequence, in tokens
  double rms_norm_eps = 1e-6;                   ///< added to the mean square
  double rope_theta = 10000.0;                  ///< base of the rotary frequencies
  RopeScaling rope_scaling;                     ///< of those frequencies
  bool tie_word_embeddings = false;             ///< lm_head is the embedding
  std::int64_t bos_token_id = -1;               ///< -1: none
  std::vector<std::int64_t> eos_token_ids;      ///< generation stops at any of them
  DType dtype = DType::f32;                     ///< of the weights in the file

  /// Columns of the stacked q, k and v projections: (H + 2K) · D.
  std::int64_t qkv_size() const {
    return (num_attention_heads + 2 * num_key_value_heads) * head_dim;
  }
  std::int64_t attention_size() const { return num_attention_heads * head_dim; }
  std::int64_t key_value_size() const { return num_key_value_heads * head_dim; }

  /// Embedding, layers, norms and head; a tied embedding counts once.
  std::int64_t parameter_count() const;
};

/// Reads config.json: rope_theta with rope_scaling (transformers 4) or rope_parameters (5),
/// torch_dtype or dtype. What is not there is what transformers' class of the model type has.
/// Gemma's gate is gelu_pytorch_tanh, although older folders say "gelu" (transformers 4:
/// hidden_activation null).
/// @throws BadInput naming the member, on sizes that contradict each other or are out of range, and
/// on anything that this decoder does not compute (another architecture, biases, another
/// activation, another rope type)
LlamaConfig llama_config(const Json& json);

/// The JSON that transformers writes for such a model (version 4 names, readable by 5).
Json to_json(const LlamaConfig& config);

/// Inverse frequencies (D/2) in float32: theta^(−2i/D), scaled as config.rope_scaling says
/// (transformers: _compute_default_rope_parameters, _compute_linear_scaling_rope_parameters,
/// _compute_llama3_parameters).
std::vector<float> inverse_frequencies(const LlamaConfig& config);

}  // namespace qlora
