// Where the time of a training step goes on a GPU, part by part.
#pragma once

#include <string_view>
#include <vector>

namespace qlora::ops {

/// What a step's work on a GPU is divided into.
enum class Part {
  products,            ///< of the linear layers, with what of the adapters rides in them
  dequantize,          ///< weights from their codes
  lora,                ///< thin products, adapters written beside weights, gradients taken apart
  attention_forward,   ///< as is
  attention_backward,  ///< as is
  element_wise,        ///< norms, RoPE, SwiGLU, embedding
  head_products,       ///< logits, and what their gradient gives
  cross_entropy,       ///< softmax, losses, picking the supervised positions
  optimizer,           ///< norm of the gradients, and AdamW
  copies,              ///< between host and GPU, and gradients set to zero
};

/// "attention, forward", …
std::string_view name_of(Part part);

/// How long the GPU worked at a part.
struct PartTime {
  Part part = Part::products;  ///< which
  double seconds = 0;          ///< of one call of take_timeline()
};

/// From here on it is noted when the GPU begins and ends each part, until take_timeline(). What was
/// noted before is forgotten. Does nothing where there is no GPU. No Recording is made meanwhile.
void start_timeline();

/// Waits for the GPU, and ends what start_timeline() began: the parts that there were, in their
/// order; nothing where the GPU had nothing to do. What lies between the parts belongs to none, so
/// that their sum is at most the time from one call to the other.
/// @throws Error if the GPU failed
std::vector<PartTime> take_timeline();

}  // namespace qlora::ops
