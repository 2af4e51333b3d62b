#include "ops/timeline.h"

#if QLORA_HAS_CUDA
#include "ops/cuda/device.h"
#include "ops/cuda/timeline.h"
#endif

namespace qlora::ops {

std::string_view name_of(Part part) {
  switch (part) {
    case Part::products:
      return "products";
    case Part::dequantize:
      return "dequantize";
    case Part::lora:
      return "LoRA";
    case Part::attention_forward:
      return "attention, forward";
    case Part::attention_backward:
      return "attention, backward";
    case Part::element_wise:
      return "norms, RoPE, SwiGLU, embedding";
    case Part::head_products:
      return "head products";
    case Part::cross_entropy:
      return "cross-entropy";
    case Part::optimizer:
      return "optimizer";
    case Part::copies:
      return "copies, zeros";
  }
  return "";
}

void start_timeline() {
#if QLORA_HAS_CUDA
  if (cuda::available()) cuda::start_timeline();
#endif
}

std::vector<PartTime> take_timeline() {
#if QLORA_HAS_CUDA
  return cuda::take_timeline();
#else
  return {};
#endif
}

}  // namespace qlora::ops
