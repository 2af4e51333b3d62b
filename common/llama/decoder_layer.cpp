#include "llama/decoder_layer.h"

#include <algorithm>

#include "ops/ops.h"

namespace qlora {
namespace {

// A layer in a pass: memory for its activations, the parts of its forward pass, each of which makes
// one of them out of those before it, and the two halves of its backward pass.
class Layer {
 public:
  Layer(const LlamaModel& model, std::size_t layer, const PassShape& pass, Arena& arena)
      : c_(model.config), model_(model), w_(model.layers[layer]), pass_(pass), arena_(arena) {}

  void take_qkv(LayerActivations& a) const {
    a.qkv = rows_of(c_.qkv_size());
    a.qkv_saved = saved_of(w_.qkv);
  }
  void take_attention(LayerActivations& a) const {
    a.attention = rows_of(c_.attention_size() + w_.o.room());
    a.lse = arena_.take(ops::statistics_of(model_.arithmetic()),
                        {pass_.B, c_.num_attention_heads, pass_.T});
  }
  void take_x_middle(LayerActivations& a) const {
    a.x_middle = rows_of(c_.hidden_size);
    a.o_saved = saved_of(w_.o);
  }
  void take_gate_up(LayerActivations& a) const {
    a.gate_up = rows_of(2 * c_.intermediate_size);
    a.gate_up_saved = saved_of(w_.gate_up);
  }
  void take_down(LayerActivations& a) const { a.down_saved = saved_of(w_.down); }

  void qkv(const LayerActivations& a) const {
    const ArenaScope scope(arena_);
    const Norm norm = normed(a.x, w_.input_layernorm, w_.qkv);
    ops::linear_forward(w_.qkv, norm.h, Tensor(), pass_.run, arena_, a.qkv, &a.qkv_saved);
    ops::rope_forward(a.qkv, rotated_heads(), c_.head_dim, pass_.positions, model_.rope_cos,
                      model_.rope_sin);
  }
  void attention(const LayerActivations& a) const {
    ops::attention_forward(shape(), a.qkv, pass_.segments, a.attention, a.lse);
  }
  void x_middle(const LayerActivations& a) const {
    ops::linear_forward(w_.o, a.attention, a.x, pass_.run, arena_, a.x_middle, &a.o_saved);
  }
  void gate_up(const LayerActivations& a) const {
    const ArenaScope scope(arena_);
    const Norm norm = normed(a.x_middle, w_.post_attention_layernorm, w_.gate_up);
    ops::linear_forward(w_.gate_up, norm.h, Tensor(), pass_.run, arena_, a.gate_up,
                        &a.gate_up_saved);
  }
  // x_next may be empty: then only what the adapters save is made.
  void down(const LayerActivations& a, const Tensor& x_next) const {
    const ArenaScope scope(arena_);
    const Tensor residual = x_next ? a.x_middle : Tensor();
    ops::linear_forward(w_.down, activated(a), residual, pass_.run, arena_, x_next, &a.down_saved);
  }

  // dx: dL/dx_next becomes dL/dx_middle.
  void feed_forward_backward(const LayerActivations& a, const Tensor& dx) const {
    const ArenaScope scope(arena_);
    const std::int64_t F = c_.intermediate_size;
    const Tensor dgate_up = rows_of(2 * F + w_.gate_up.room());
    {
      const ArenaScope inner(arena_);
      const Tensor activated = this->activated(a), dactivated = rows_of(F);
      ops::linear_backward(w_.down, activated, a.down_saved, pass_.run, dx, arena_, dactivated);
      ops::swiglu_backward(a.gate_up, dactivated, dgate_up, c_.activation);
    }
    const Norm norm = normed(a.x_middle, w_.post_attention_layernorm, w_.gate_up);
    const Tensor dh = rows_of(c_.hidden_size);
    ops::linear_backward(w_.gate_up, norm.h, a.gate_up_saved, pass_.run, dgate_up, arena_, dh);
    // dx is the gradient over the residual already; the norm's part is added
    ops::rms_norm_backward(dh, a.x_middle, w_.post_attention_layernorm, norm.rstd, dx,
                           w_.grad_post_attention_layernorm, c_.norm_offset);
  }

  // dx: dL/dx_middle becomes dL/dx.
  void attention_backward(const LayerActivations& a, bool need_dx, const Tensor& dx) const {
    const ArenaScope scope(arena_);
    const Tensor dqkv = rows_of(c_.qkv_size() + w_.qkv.room());
    {
      const ArenaScope inner(arena_);
      const Tensor dattention = rows_of(c_.attention_size());
      ops::linear_backward(w_.o, a.attention, a.o_saved, pass_.run, dx, arena_, dattention);
      ops::attention_backward(shape(), a.qkv, pass_.segments, a.attention, a.lse, dattention,
                              arena_, dqkv);
    }
    ops::rope_backward(dqkv, rotated_heads(), c_.head_dim, pass_.positions, model_.rope_cos,
                       model_.rope_sin);
    const Norm norm = normed(a.x, w_.input_layernorm, w_.qkv);
    const Tensor dh = need_dx ? rows_of(c_.hidden_size) : Tensor();
    ops::linear_backward(w_.qkv, norm.h, a.qkv_saved, pass_.run, dqkv, arena_, dh);
    if (!need_dx) return;
    ops::rms_norm_backward(dh, a.x, w_.input_layernorm, norm.rstd, dx, w_.grad_input_layernorm,
                           c_.norm_offset);
  }

 private:
  struct Norm {
    Tensor h, rstd;
  };

  Tensor rows_of(std::int64_t columns) const {
    return arena_.take(model_.arithmetic(), {pass_.B * pass_.T, columns});
  }
  LinearSaved saved_of(const LinearGroup& group) const {
    return take_saved(group, pass_.B * pass_.T, model_.arithmetic(), arena_);
  }
  AttentionShape shape() const {
    return {pass_.B, pass_.T, pass_.T, c_.num_attention_heads, c_.num_key_value_heads, c_.head_dim};
  }
  std::int64_t rotated_heads() const { return c_.num_attention_heads + c_.num_key_value_heads; }

  // What goes into a group of linears: made in both passes, since it costs less to make than to
  // keep.
  Norm normed(const Tensor& x, const Tensor& weight, const LinearGroup& group) const {
    const Norm n{rows_of(c_.hidden_size + group.room()),
                 arena_.take(ops::statistics_of(model_.arithmetic()), {x.dim(0)})};
    ops::rms_norm_forward(x, weight, c_.rms_norm_eps, n.h, n.rstd, c_.norm_offset);
    return n;
  }
  Tensor activated(const LayerActivations& a) const {
    const Tensor y = rows_of(c_.intermediate_size + w_.down.room());
    ops::swiglu_forward(a.gate_up, y, c_.activation);
    return y;
  }

  const LlamaConfig& c_;
  const LlamaModel& model_;
  const DecoderLayer& w_;
  const PassShape& pass_;
  Arena& arena_;
};

}  // namespace

LayerActivations layer_forward(const LlamaModel& model, std::size_t layer, const Tensor& x,
                               const PassShape& pass, ActivationPolicy policy, Arena& arena,
                               const Tensor& x_next) {
  const Layer step(model, layer, pass, arena);
  LayerActivations kept;
  kept.x = x;
  if (policy == ActivationPolicy::keep || policy == ActivationPolicy::lean) {
    step.take_attention(kept);
    step.take_x_middle(kept);
    step.take_down(kept);
  }
  if (policy == ActivationPolicy::keep) {
    step.take_qkv(kept);
    step.take_gate_up(kept);
  }
  const ArenaScope scope(arena);
  LayerActivations a = kept;
  if (!a.qkv) step.take_qkv(a);
  step.qkv(a);
  if (!a.attention) step.take_attention(a);
  step.attention(a);
  if (!a.x_middle) {
    step.take_x_middle(a);
    step.take_down(a);
  }
  step.x_middle(a);
  if (!a.gate_up) step.take_gate_up(a);
  step.gate_up(a);
  step.down(a, x_next);
  return kept;
}

void layer_backward(const LlamaModel& model, std::size_t layer, const LayerActivations& kept,
                    const PassShape& pass, bool need_dx, Arena& arena, const Tensor& dx) {
  const ArenaScope scope(arena);
  const Layer step(model, layer, pass, arena);
  LayerActivations a = kept;
  const bool middle_is_kept = static_cast<bool>(a.x_middle);
  if (!middle_is_kept) {
    step.take_qkv(a);
    step.qkv(a);
    step.take_attention(a);
    step.attention(a);
    step.take_x_middle(a);
    step.x_middle(a);
  }
  {
    const ArenaScope feed_forward(arena);
    if (!a.gate_up) {
      step.take_gate_up(a);
      step.gate_up(a);
    }
    if (!middle_is_kept) {
      step.take_down(a);
      step.down(a, Tensor());
    }
    step.feed_forward_backward(a, dx);
  }
  if (!a.qkv) {
    step.take_qkv(a);
    step.qkv(a);
  }
  step.attention_backward(a, need_dx, dx);
}

std::int64_t room_of_dx(const LlamaModel& model) {
  std::int64_t room = 0;
  for (const DecoderLayer& layer : model.layers) {
    room = std::max({room, layer.o.room(), layer.down.room()});
  }
  return room;
}

}  // namespace qlora
