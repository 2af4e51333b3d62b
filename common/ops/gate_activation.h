// What the gate of a feed-forward goes through.
#pragma once

namespace qlora {

/// Both are z·σ(p(z)) with σ(p) = 1 / (1 + e^−p).
enum class GateActivation {
  silu,      ///< p = z: SwiGLU (Llama)
  gelu_tanh  ///< p = 2·sqrt(2/π)·(z + 0.044715 z³): GeGLU (Gemma); torch: gelu(approximate='tanh')
};

}  // namespace qlora
