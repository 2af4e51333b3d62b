// The whole decoder: hidden states, loss, and the gradient of the loss.
#pragma once

#include <vector>

#include "llama/decoder_layer.h"
#include "text/batch.h"

namespace qlora {

/// Hidden states after the final norm (B·T, C), taken from the arena, with no gradient in mind.
/// Where `states` is given it gets the embedding and every layer's output, the last one normed
/// (transformers: output_hidden_states), L+1 tensors of (B·T, C) on the host.
Tensor hidden_forward(const LlamaModel& model, const Batch& batch, Arena& arena,
                      std::vector<Tensor>* states = nullptr);

/// Σ of the loss over the batch's supervised positions, without dropout.
/// @param losses  (B·T) on the model's device, each position's loss; may be empty
double loss_forward(const LlamaModel& model, const Batch& batch, Arena& arena,
                    const Tensor& losses = Tensor());

/// How a training pass is made.
struct TrainingPass {
  DropoutRun run;                                    ///< which dropout masks
  ActivationPolicy policy = ActivationPolicy::keep;  ///< changes no bit of the gradients
  double gradient_scale = 1.0;                       ///< gradients of scale · Σ loss
};

/// One forward and backward pass: adds Σ loss over the supervised positions to sum (1) F64 on the
/// model's device, and gradient_scale times its gradient to the gradients of adapters, or of the
/// base where it is trained. Nobody waits for the device.
void loss_backward(const LlamaModel& model, const Batch& batch, const TrainingPass& pass,
                   Arena& arena, const Tensor& sum);

/// The same, and waits: returns Σ loss.
double loss_backward(const LlamaModel& model, const Batch& batch, const TrainingPass& pass,
                     Arena& arena);

}  // namespace qlora
