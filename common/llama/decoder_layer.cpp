#include "llama/decoder_layer.h"

#include "ops/ops.h"

namespace qlora {
namespace {

AttentionShape attention_shape(const LlamaConfig& c, const PassShape& pass) {
  return {pass.B, pass.T, pass.T, c.num_attention_heads, c.num_key_value_heads, c.head_dim};
}

}  // namespace

LayerActivations layer_forward(const LlamaModel& model, std::size_t layer, const Tensor& x,
                               const PassShape& pass, Arena& arena, const Tensor& x_next) {
  const LlamaConfig& c = model.config;
  const DecoderLayer& w = model.layers[layer];
  const std::int64_t rows = pass.B * pass.T;
  const auto take = [&](std::int64_t columns) { return arena.take(x.dtype(), {rows, columns}); };
  LayerActivations a;
  a.x = x;
  a.rstd1 = arena.take(x.dtype(), {rows});
  a.h1 = take(c.hidden_size);
  ops::rms_norm_forward(x, w.input_layernorm, c.rms_norm_eps, a.h1, a.rstd1);
  a.qkv = take(c.qkv_size());
  ops::linear_forward(w.qkv, a.h1, Tensor(), pass.run, arena, a.qkv, &a.qkv_saved);
  ops::rope_forward(a.qkv, c.num_attention_heads + c.num_key_value_heads, c.head_dim,
                    pass.positions, model.rope_cos, model.rope_sin);
  a.attention = take(c.attention_size());
  a.lse = arena.take(x.dtype(), {pass.B, c.num_attention_heads, pass.T});
  ops::attention_forward(attention_shape(c, pass), a.qkv, pass.segments, a.attention, a.lse);
  a.x_middle = take(c.hidden_size);
  ops::linear_forward(w.o, a.attention, x, pass.run, arena, a.x_middle, &a.o_saved);
  a.rstd2 = arena.take(x.dtype(), {rows});
  a.h2 = take(c.hidden_size);
  ops::rms_norm_forward(a.x_middle, w.post_attention_layernorm, c.rms_norm_eps, a.h2, a.rstd2);
  a.gate_up = take(2 * c.intermediate_size);
  ops::linear_forward(w.gate_up, a.h2, Tensor(), pass.run, arena, a.gate_up, &a.gate_up_saved);
  a.activated = take(c.intermediate_size);
  ops::swiglu_forward(a.gate_up, a.activated);
  ops::linear_forward(w.down, a.activated, a.x_middle, pass.run, arena, x_next, &a.down_saved);
  return a;
}

void layer_backward(const LlamaModel& model, std::size_t layer, const LayerActivations& a,
                    const PassShape& pass, bool need_dx, Arena& arena, const Tensor& dx) {
  const LlamaConfig& c = model.config;
  const DecoderLayer& w = model.layers[layer];
  const ArenaScope scope(arena);
  const auto like = [&](const Tensor& t) { return arena.take(t.dtype(), t.shape()); };

  const Tensor dactivated = like(a.activated);
  ops::linear_backward(w.down, a.activated, a.down_saved, pass.run, dx, arena, dactivated);
  const Tensor dgate_up = like(a.gate_up);
  ops::swiglu_backward(a.gate_up, dactivated, dgate_up);
  const Tensor dh2 = like(a.h2);
  ops::linear_backward(w.gate_up, a.h2, a.gate_up_saved, pass.run, dgate_up, arena, dh2);
  // dx is the gradient over the residual; the norm's part is added: dL/dx_middle
  ops::rms_norm_backward(dh2, a.x_middle, w.post_attention_layernorm, a.rstd2, dx,
                         w.grad_post_attention_layernorm);

  const Tensor dattention = like(a.attention);
  ops::linear_backward(w.o, a.attention, a.o_saved, pass.run, dx, arena, dattention);
  const Tensor dqkv = like(a.qkv);
  ops::attention_backward(attention_shape(c, pass), a.qkv, pass.segments, a.attention, a.lse,
                          dattention, arena, dqkv);
  ops::rope_backward(dqkv, c.num_attention_heads + c.num_key_value_heads, c.head_dim,
                     pass.positions, model.rope_cos, model.rope_sin);
  const Tensor dh1 = need_dx ? like(a.h1) : Tensor();
  ops::linear_backward(w.qkv, a.h1, a.qkv_saved, pass.run, dqkv, arena, dh1);
  if (!need_dx) return;
  ops::rms_norm_backward(dh1, a.x, w.input_layernorm, a.rstd1, dx, w.grad_input_layernorm);
}

}  // namespace qlora
