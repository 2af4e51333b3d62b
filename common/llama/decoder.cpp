#include "llama/decoder.h"

#include "ops/ops.h"

namespace qlora {
namespace {

PassShape shape_of(const LlamaModel& model, const Batch& batch, const DropoutRun& run) {
  const std::int64_t B = batch.input_ids.dim(0), T = batch.input_ids.dim(1);
  const Tensor positions = positions_of(batch);
  for (const std::int32_t p : positions.span<std::int32_t>()) {
    require(model.rope_cos && p < model.rope_cos.dim(0), "the decoder",
            "rotary tables for every position (reserve_positions)");
  }
  return {B, T, positions, segments_of(batch), run};
}

Tensor embedded(const LlamaModel& model, const Batch& batch, Arena& arena) {
  const Tensor x =
      arena.take(model.arithmetic(), {batch.input_ids.numel(), model.config.hidden_size});
  ops::embedding_forward(model.embed_tokens, batch.input_ids, x);
  return x;
}

struct FinalNorm {
  Tensor h, rstd;
};

FinalNorm final_norm(const LlamaModel& model, const Tensor& x, Arena& arena) {
  const FinalNorm n{arena.take(x.dtype(), x.shape()), arena.take(x.dtype(), {x.dim(0)})};
  ops::rms_norm_forward(x, model.norm, model.config.rms_norm_eps, n.h, n.rstd);
  return n;
}

}  // namespace

Tensor shifted_targets(const Tensor& labels) {
  const std::int64_t B = labels.dim(0), T = labels.dim(1);
  Tensor targets = Tensor::empty(DType::i32, {B * T});
  const std::int32_t* from = labels.data<std::int32_t>();
  std::int32_t* to = targets.data<std::int32_t>();
  for (std::int64_t i = 0; i < B * T; ++i) to[i] = (i + 1) % T == 0 ? kIgnoredLabel : from[i + 1];
  return targets;
}

Tensor hidden_forward(const LlamaModel& model, const Batch& batch, Arena& arena,
                      std::vector<Tensor>* states) {
  const PassShape pass = shape_of(model, batch, {});
  Tensor x = embedded(model, batch, arena);
  Tensor next = arena.take(x.dtype(), x.shape());
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    if (states != nullptr) states->push_back(x.clone());
    const ArenaScope scope(arena);
    layer_forward(model, l, x, pass, arena, next);
    std::swap(x, next);
  }
  const Tensor h = final_norm(model, x, arena).h;
  if (states != nullptr) states->push_back(h.clone());
  return h;
}

double loss_forward(const LlamaModel& model, const Batch& batch, Arena& arena,
                    const Tensor& losses) {
  const ArenaScope scope(arena);
  const Tensor h = hidden_forward(model, batch, arena);
  return ops::head_cross_entropy(h, model.lm_head, shifted_targets(batch.labels), 0.0, arena,
                                 Tensor(), Tensor(), losses);
}

double loss_backward(const LlamaModel& model, const Batch& batch, const TrainingPass& training,
                     Arena& arena) {
  const ArenaScope scope(arena);
  const PassShape pass = shape_of(model, batch, training.run);
  const std::size_t L = model.layers.size();
  std::vector<Tensor> inputs{embedded(model, batch, arena)};
  std::vector<LayerActivations> kept;
  for (std::size_t l = 0; l < L; ++l) {
    inputs.push_back(arena.take(model.arithmetic(), inputs[0].shape()));
    const Arena::Mark mark = arena.mark();
    LayerActivations a = layer_forward(model, l, inputs[l], pass, arena, inputs[l + 1]);
    if (training.gradient_checkpointing) {
      arena.release(mark);
    } else {
      kept.push_back(std::move(a));
    }
  }
  const FinalNorm n = final_norm(model, inputs[L], arena);
  const Tensor dh = arena.take(n.h.dtype(), n.h.shape());
  const double loss =
      ops::head_cross_entropy(n.h, model.lm_head, shifted_targets(batch.labels),
                              training.gradient_scale, arena, dh, model.grad_lm_head, Tensor());
  const Tensor dx = arena.take_zeros(n.h.dtype(), n.h.shape());
  ops::rms_norm_backward(dh, inputs[L], model.norm, n.rstd, dx, model.grad_norm);
  const bool full_training = static_cast<bool>(model.grad_embed_tokens);
  for (std::size_t l = L; l-- > 0;) {
    const ArenaScope layer_scope(arena);
    LayerActivations a;
    if (training.gradient_checkpointing) {
      const Tensor again = arena.take(dx.dtype(), dx.shape());
      a = layer_forward(model, l, inputs[l], pass, arena, again);
    } else {
      a = std::move(kept[l]);
    }
    layer_backward(model, l, a, pass, l > 0 || full_training, arena, dx);
  }
  if (full_training) ops::embedding_backward(dx, batch.input_ids, model.grad_embed_tokens);
  return loss;
}

}  // namespace qlora
