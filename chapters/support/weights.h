// What the chapters on quantization measure errors on: drawn numbers, and weights of a real model.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "support/data_sets.h"

namespace qlora {

/// n numbers from Student's t distribution with 4 degrees of freedom: tails as a power of the
/// distance, and no fourth moment.
std::vector<float> heavy_tailed_sample(std::size_t n, std::uint64_t seed);

/// One linear weight of the embedded model.
struct NamedWeight {
  std::string name;           ///< "model.layers.0.self_attn.q_proj"
  std::string kind;           ///< its last part, "q_proj"
  std::vector<float> values;  ///< [out·in], row after row
};

/// The linear weights of all layers of the embedded model, widened to float32.
std::vector<NamedWeight> embedded_weights();

/// Their values one after the other.
std::vector<float> joined_values(const std::vector<NamedWeight>& weights);

/// Mean loss, in nats a token, of the embedded model on product descriptions as it was pre-trained
/// on, but newly drawn, after `change` was called on each linear weight in place.
double embedded_loss(std::int64_t descriptions,
                     const std::function<void(std::span<float>)>& change);

}  // namespace qlora
