#include "lora/method_counts.h"

#include <cmath>

namespace qlora {

std::int64_t gpt_parameters(const SquareDecoder& model, std::int64_t V, std::int64_t P) {
  const auto& [d, L] = model;
  return 12 * L * d * d + 13 * L * d + (V + P + 2) * d;
}

std::int64_t prefix_embed_parameters(const SquareDecoder& model, std::int64_t l_p,
                                     std::int64_t l_i) {
  return model.d * (l_p + l_i);
}

std::int64_t prefix_layer_parameters(const SquareDecoder& model, std::int64_t l_p,
                                     std::int64_t l_i) {
  return model.L * model.d * (l_p + l_i);
}

std::int64_t adapter_h_parameters(const SquareDecoder& model, std::int64_t r,
                                  std::int64_t layer_norms) {
  const auto& [d, L] = model;
  return 2 * L * (2 * d * r + r + d) + 2 * d * layer_norms;
}

std::int64_t square_lora_parameters(const SquareDecoder& model, std::int64_t sum_of_ranks) {
  return 2 * model.L * model.d * sum_of_ranks;
}

double one_matrix_parameters(double parameters, std::int64_t r) {
  return 2.0 * static_cast<double>(r) * std::sqrt(parameters);
}

}  // namespace qlora
