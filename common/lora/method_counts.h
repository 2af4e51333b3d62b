// Trainable parameters of the methods that the LoRA paper holds beside its own on GPT-3 (Hu et al.,
// "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685, section 5.1).
#pragma once

#include <cstdint>

namespace qlora {

/// A decoder whose attention matrices are square: GPT-3 175B has d = 12288, L = 96.
struct SquareDecoder {
  std::int64_t d = 0;  ///< width of the model
  std::int64_t L = 0;  ///< layers
};

/// Fine-Tune: all of a GPT with V tokens and P learned positions,
/// 12 L d² + 13 L d + (V + P + 2) d. A layer has 4 d² in its attention, 8 d² in its MLP, 9 d biases
/// and 4 d in two LayerNorms; the last LayerNorm has 2 d, and the head is the embedding.
std::int64_t gpt_parameters(const SquareDecoder& model, std::int64_t V, std::int64_t P);

/// PrefixEmbed: trained embeddings of l_p tokens before and l_i tokens within the prompt,
/// d (l_p + l_i).
std::int64_t prefix_embed_parameters(const SquareDecoder& model, std::int64_t l_p,
                                     std::int64_t l_i);

/// PrefixLayer: trained activations of these tokens after every layer, L d (l_p + l_i).
std::int64_t prefix_layer_parameters(const SquareDecoder& model, std::int64_t l_p,
                                     std::int64_t l_i);

/// Adapter-H: two bottlenecks d -> r -> d with biases in every layer, and `layer_norms` trained
/// LayerNorms: 2 L (2 d r + r + d) + 2 d · layer_norms.
std::int64_t adapter_h_parameters(const SquareDecoder& model, std::int64_t r,
                                  std::int64_t layer_norms);

/// LoRA on square attention matrices of every layer: 2 L d · (sum of their ranks).
std::int64_t square_lora_parameters(const SquareDecoder& model, std::int64_t sum_of_ranks);

/// The rule of the course's Rank table: a model of `parameters` numbers taken for one square matrix
/// of √parameters rows, decomposed once at rank r: 2 r √parameters. No real model is one.
double one_matrix_parameters(double parameters, std::int64_t r);

}  // namespace qlora
