// One decoder layer, forward and backward, written over the op set.
#pragma once

#include "llama/activation_policy.h"
#include "llama/model.h"

namespace qlora {

/// What all layers of a pass have in common; tensors lie where the model does.
struct PassShape {
  std::int64_t B = 0;  ///< rows of the batch
  std::int64_t T = 0;  ///< positions a row
  Tensor positions;    ///< (B·T) I32, each within its example
  Tensor segments;     ///< (B,T) I32, the examples of each row, 0 padding; may be empty
  DropoutRun run;      ///< which dropout masks
};

/// What the backward pass of a layer needs, and what each policy keeps of it: x always. The others
/// can be computed again from those before them, and are where they are empty.
struct LayerActivations {
  Tensor x;          ///< (B·T, C), the residual stream that came in
  Tensor qkv;        ///< (B·T, (H+2K)·D), after RoPE: keep
  Tensor attention;  ///< (B·T, H·D + room): keep, lean
  Tensor lse;        ///< (B,H,T), log of each softmax's sum: keep, lean
  Tensor x_middle;   ///< (B·T, C), after the attention's residual: keep, lean
  Tensor gate_up;    ///< (B·T, 2F): keep

  /// What the adapters of the four groups keep.
  LinearSaved qkv_saved, o_saved, gate_up_saved, down_saved;
};

/// x_next (B·T, C) = layer(x):
///   x_middle = x + o(attention(rope(qkv(norm(x))))),
///   x_next = x_middle + down(swiglu(gate_up(norm(x_middle)))),
///
/// with the norms' offset and the gate's activation that the configuration names. transformers:
/// LlamaDecoderLayer.forward, GemmaDecoderLayer.forward. What the policy keeps is taken from the
/// arena and stays in use.
LayerActivations layer_forward(const LlamaModel& model, std::size_t layer, const Tensor& x,
                               const PassShape& pass, ActivationPolicy policy, Arena& arena,
                               const Tensor& x_next);

/// dx (B·T, C + room) holds dL/dx_next and becomes dL/dx; gradients of adapters (and of the base in
/// full training) are added to. With need_dx false dL/dx is not computed (nobody needs it below the
/// first layer of a frozen base), and dx holds nothing of use.
void layer_backward(const LlamaModel& model, std::size_t layer, const LayerActivations& kept,
                    const PassShape& pass, bool need_dx, Arena& arena, const Tensor& dx);

/// Columns that dx needs behind its own C: it is the gradient of what o and down give.
std::int64_t room_of_dx(const LlamaModel& model);

}  // namespace qlora
