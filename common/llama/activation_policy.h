// What a training pass keeps of each layer for the backward pass; the rest is computed again.
#pragma once

#include <string_view>

namespace qlora {

/// From the fastest to the leanest.
enum class ActivationPolicy {
  keep,        ///< all that takes a matrix product or attention to make
  lean,        ///< the layer's input, the attention's output, the residual stream between
  checkpoint,  ///< the layer's input alone (transformers: gradient_checkpointing)
  offload      ///< the same, in the host's memory while it is not needed
};

}  // namespace qlora
