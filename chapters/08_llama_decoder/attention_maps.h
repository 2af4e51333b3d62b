// What each head of a model looks at.
#pragma once

#include <string>
#include <vector>

#include "llama/model.h"
#include "text/tokenizer.h"

namespace qlora::chapter08 {

/// The attention of every head of every layer on one text.
struct AttentionMaps {
  std::vector<std::string> tokens;  ///< T of them, as text
  std::int64_t layers = 0;          ///< of the model
  std::int64_t heads = 0;           ///< of a layer

  /// What the query at position t gives to the key at position j.
  double at(std::int64_t layer, std::int64_t head, std::int64_t t, std::int64_t j) const;

  std::vector<Tensor> of_layer;  ///< L tensors (T, H·D): query t, head h, key j at [t][h·D + j]
  std::int64_t head_dim = 0;     ///< D, at least T
};

/// Runs the decoder on the text, and each layer's attention once more with unit vectors for values:
/// then what comes out are the weights themselves.
/// @throws std::invalid_argument if the text has more tokens than a head has numbers
AttentionMaps attention_maps(LlamaModel& model, const Tokenizer& tokenizer,
                             const std::string& text);

}  // namespace qlora::chapter08
