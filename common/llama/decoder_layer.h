// One decoder layer, forward and backward, written over the op set.
#pragma once

#include "llama/model.h"

namespace qlora {

/// What all layers of a pass have in common.
struct PassShape {
  std::int64_t B = 0;  ///< rows of the batch
  std::int64_t T = 0;  ///< positions a row
  Tensor positions;    ///< (B·T) I32, each within its example
  Tensor segments;     ///< (B,T) I32, the examples of each row, 0 padding; may be empty
  DropoutRun run;      ///< which dropout masks
};

/// What the backward pass of a layer needs. x is the residual stream that came in; the rest can be
/// computed again from it.
struct LayerActivations {
  Tensor x;          ///< (B·T, C)
  Tensor rstd1;      ///< (B·T), of the first norm: 1 / root mean square
  Tensor h1;         ///< (B·T, C), normed
  Tensor qkv;        ///< (B·T, (H+2K)·D), after RoPE
  Tensor attention;  ///< (B·T, H·D)
  Tensor lse;        ///< (B,H,T), log of each softmax's sum
  Tensor x_middle;   ///< (B·T, C), after the attention's residual
  Tensor rstd2;      ///< (B·T), of the second norm
  Tensor h2;         ///< (B·T, C), normed
  Tensor gate_up;    ///< (B·T, 2F)
  Tensor activated;  ///< (B·T, F)

  /// What the adapters of the four groups keep.
  LinearSaved qkv_saved, o_saved, gate_up_saved, down_saved;
};

/// x_next (B·T, C) = layer(x):
///   x_middle = x + o(attention(rope(qkv(norm(x))))),
///   x_next = x_middle + down(swiglu(gate_up(norm(x_middle)))).
///
/// transformers: LlamaDecoderLayer.forward. Activations are taken from the arena.
LayerActivations layer_forward(const LlamaModel& model, std::size_t layer, const Tensor& x,
                               const PassShape& pass, Arena& arena, const Tensor& x_next);

/// dx (B·T, C) holds dL/dx_next and becomes dL/dx; gradients of adapters (and of the base in full
/// training) are added to. With need_dx false dL/dx is not computed (nobody needs it below the
/// first layer of a frozen base), and dx holds nothing of use.
void layer_backward(const LlamaModel& model, std::size_t layer, const LayerActivations& a,
                    const PassShape& pass, bool need_dx, Arena& arena, const Tensor& dx);

}  // namespace qlora
