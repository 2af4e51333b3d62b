#include "llama/decoder.h"

#include "llama/layer_inputs.h"
#include "ops/device_memory.h"
#include "ops/ops.h"

namespace qlora {
namespace {

PassShape shape_of(const LlamaModel& model, const Batch& batch, const DropoutRun& run,
                   Arena& arena) {
  const std::int64_t B = batch.input_ids.dim(0), T = batch.input_ids.dim(1);
  const Tensor positions = positions_of(batch);
  for (const std::int32_t p : positions.span<std::int32_t>()) {
    require(model.rope_cos && p < model.rope_cos.dim(0), "the decoder",
            "rotary tables for every position (reserve_positions)");
  }
  return {B, T, ops::uploaded(positions, arena), ops::uploaded(segments_of(batch), arena), run};
}

// The ids where the model is; each is checked here, since a GPU does not look at them.
Tensor ids_of(const LlamaModel& model, const Batch& batch, Arena& arena) {
  for (const std::int32_t id : batch.input_ids.span<std::int32_t>()) {
    require(id >= 0 && id < model.config.vocab_size, "the decoder", "ids below the vocabulary");
  }
  return ops::uploaded(batch.input_ids, arena);
}

ops::Supervised supervised_of(const LlamaModel& model, const Batch& batch, Arena& arena) {
  const ops::Supervised s = ops::supervised(shifted_targets(batch.labels), model.config.vocab_size);
  return {ops::uploaded(s.rows, arena), ops::uploaded(s.targets, arena)};
}

Tensor embedded(const LlamaModel& model, const Tensor& ids, Arena& arena) {
  const Tensor x = arena.take(model.arithmetic(), {ids.numel(), model.config.hidden_size});
  ops::embedding_forward(model.embed_tokens, ids, x, model.config.embedding_scale);
  return x;
}

struct FinalNorm {
  Tensor h, rstd;
};

FinalNorm final_norm(const LlamaModel& model, const Tensor& x, Arena& arena) {
  const FinalNorm n{arena.take(x.dtype(), x.shape()),
                    arena.take(ops::statistics_of(x.dtype()), {x.dim(0)})};
  ops::rms_norm_forward(x, model.norm, model.config.rms_norm_eps, n.h, n.rstd,
                        model.config.norm_offset);
  return n;
}

}  // namespace

Tensor hidden_forward(const LlamaModel& model, const Batch& batch, Arena& arena,
                      std::vector<Tensor>* states) {
  const PassShape pass = shape_of(model, batch, {}, arena);
  Tensor x = embedded(model, ids_of(model, batch, arena), arena);
  Tensor next = arena.take(x.dtype(), x.shape());
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    if (states != nullptr) states->push_back(ops::host_copy(x));
    const ArenaScope scope(arena);
    layer_forward(model, l, x, pass, ActivationPolicy::checkpoint, arena, next);
    std::swap(x, next);
  }
  const Tensor h = final_norm(model, x, arena).h;
  if (states != nullptr) states->push_back(ops::host_copy(h));
  return h;
}

double loss_forward(const LlamaModel& model, const Batch& batch, Arena& arena,
                    const Tensor& losses) {
  const ArenaScope scope(arena);
  const Tensor sum = arena.take_zeros(DType::f64, {1});
  const Tensor h = hidden_forward(model, batch, arena);
  ops::head_cross_entropy(h, model.lm_head, supervised_of(model, batch, arena), 0.0, arena,
                          {sum, Tensor(), Tensor(), losses});
  return ops::host_copy(sum).data<double>()[0];
}

void loss_backward(const LlamaModel& model, const Batch& batch, const TrainingPass& training,
                   Arena& arena, const Tensor& sum) {
  const ArenaScope scope(arena);
  const PassShape pass = shape_of(model, batch, training.run, arena);
  const Tensor ids = ids_of(model, batch, arena);
  const ops::Supervised supervised = supervised_of(model, batch, arena);
  const std::size_t L = model.layers.size();
  LayerInputs inputs(model, ids.numel(), training.policy, arena);
  ops::embedding_forward(model.embed_tokens, ids, inputs.at(0), model.config.embedding_scale);
  std::vector<LayerActivations> kept;
  kept.reserve(L);
  for (std::size_t l = 0; l < L; ++l) {
    kept.push_back(
        layer_forward(model, l, inputs.leaving(l), pass, training.policy, arena, inputs.output(l)));
  }
  const Tensor& last = inputs.at(L);
  const Tensor dx =
      arena.take_zeros(model.arithmetic(), {last.dim(0), last.dim(1) + room_of_dx(model)});
  {
    const ArenaScope head(arena);
    const FinalNorm n = final_norm(model, last, arena);
    const Tensor dh = arena.take(n.h.dtype(), n.h.shape());
    ops::head_cross_entropy(n.h, model.lm_head, supervised, training.gradient_scale, arena,
                            {sum, dh, model.grad_lm_head, Tensor()});
    ops::rms_norm_backward(dh, last, model.norm, n.rstd, dx, model.grad_norm,
                           model.config.norm_offset);
  }
  const bool full_training = static_cast<bool>(model.grad_embed_tokens);
  for (std::size_t l = L; l-- > 0;) {
    kept[l].x = inputs.returned(l);
    layer_backward(model, l, kept[l], pass, l > 0 || full_training, arena, dx);
  }
  if (full_training) {
    ops::embedding_backward(dx, ids, model.grad_embed_tokens, model.config.embedding_scale);
  }
}

double loss_backward(const LlamaModel& model, const Batch& batch, const TrainingPass& training,
                     Arena& arena) {
  const ArenaScope scope(arena);
  const Tensor sum = arena.take_zeros(DType::f64, {1});
  loss_backward(model, batch, training, arena, sum);
  return ops::host_copy(sum).data<double>()[0];
}

}  // namespace qlora
