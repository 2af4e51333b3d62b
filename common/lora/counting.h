// How many parameters LoRA trains: from shapes alone, before anything is allocated.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lora/config.h"

namespace qlora {

/// A linear map y (N) = W (N,K) · x (K) of a model.
struct LinearShape {
  std::string name;    ///< the module, e.g. "self_attn.q_proj"
  std::int64_t K = 0;  ///< in_features
  std::int64_t N = 0;  ///< out_features
};

/// N · K.
std::int64_t dense_parameters(const LinearShape& linear);

/// A (R,K) and B (N,R): R · (K + N).
std::int64_t lora_parameters(const LinearShape& linear, std::int64_t R);

/// The rank at which A and B hold as many numbers as W: N·K / (N + K). Below it LoRA is smaller.
double break_even_rank(const LinearShape& linear);

/// The linear maps of equal layers, each name behind "model.layers.0.", "model.layers.1.", …
std::vector<LinearShape> stacked(std::span<const LinearShape> layer, std::int64_t layers);

/// All parameters of a decoder of such layers: embedding (V,C), `layers` times the linear maps and
/// two norms of C, a last norm of C, and a head (V,C) where it is not the embedding itself.
std::int64_t decoder_parameters(std::span<const LinearShape> layer, std::int64_t layers,
                                std::int64_t C, std::int64_t V, bool tied);

/// One adapter: a targeted module and its rank.
struct AdapterShape {
  LinearShape linear;  ///< the module that carries it
  std::int64_t R = 0;  ///< its rank: r, or what rank_pattern says of the module
};

/// The adapters that PEFT puts on a model with these linear maps, in their order.
/// @throws UsageError if config.target_modules leaves none
std::vector<AdapterShape> adapter_shapes(const LoraConfig& config,
                                         std::span<const LinearShape> linears);

/// Parameters of all of them.
std::int64_t lora_parameters(std::span<const AdapterShape> adapters);

/// What print_trainable_parameters counts. `all` holds the base and the adapters; a tied embedding
/// counts once, and a weight in 4 bits as the numbers that it stands for.
struct TrainableParameters {
  std::int64_t trainable = 0;  ///< of the adapters
  std::int64_t all = 0;        ///< of the base and the adapters
};

/// @param base_parameters  of the model without adapters
TrainableParameters count_trainable(std::span<const AdapterShape> adapters,
                                    std::int64_t base_parameters);

/// 100 · trainable / all.
double trainable_percentage(const TrainableParameters& count);

/// PEFT's line, to the letter (peft_model.py, print_trainable_parameters):
/// "trainable params: 4,587,520 || all params: 3,217,337,344 || trainable%: 0.1426"
std::string trainable_line(const TrainableParameters& count);

}  // namespace qlora
