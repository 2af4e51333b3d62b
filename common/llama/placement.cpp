#include "llama/placement.h"

#include "ops/device_memory.h"
#include "ops/quantization.h"

namespace qlora {
namespace {

// Adapters are trained: their memory is the model's own, on the same device too.
void place_adapter(const Placement& to, Adapter& a) {
  const DType dtype = adapter_dtype(to.arithmetic);
  for (Tensor* t : {&a.A, &a.B, &a.magnitude, &a.grad_A, &a.grad_B, &a.grad_magnitude}) {
    if (*t) *t = placed({to.device, dtype}, *t);
  }
}

void place_group(const Placement& to, LinearGroup& group) {
  group.weight = placed(to, group.weight);
  group.grad_weight = placed(to, group.grad_weight);
  for (Projection& p : group.parts) {
    if (p.quantized) p.quantized = ops::on(to.device, *p.quantized);
    if (p.int8) p.int8 = ops::on(to.device, *p.int8);
    for (Adapter& a : p.adapters) place_adapter(to, a);
  }
}

}  // namespace

DType adapter_dtype(DType arithmetic) {
  return arithmetic == DType::f64 ? DType::f64 : DType::f32;
}

Tensor placed(const Placement& to, const Tensor& weight) {
  if (!weight) return weight;
  const Tensor converted = ops::converted(weight, to.arithmetic);
  const bool is_own = converted.raw() != weight.raw() || weight.device() != Device::cpu;
  if (to.device != Device::cpu || is_own) return ops::on(to.device, converted);
  return weight.clone();  // a file's memory is read-only
}

LlamaModel placed(const Placement& to, const LlamaModel& model) {
  LlamaModel out = model;
  out.embed_tokens = placed(to, model.embed_tokens);
  const bool tied = model.lm_head.raw() == model.embed_tokens.raw();
  out.lm_head = tied ? out.embed_tokens : placed(to, model.lm_head);
  out.norm = placed(to, model.norm);
  for (DecoderLayer& layer : out.layers) {
    layer.input_layernorm = placed(to, layer.input_layernorm);
    layer.post_attention_layernorm = placed(to, layer.post_attention_layernorm);
    for (LinearGroup* g : {&layer.qkv, &layer.o, &layer.gate_up, &layer.down}) place_group(to, *g);
  }
  out.rope_cos = ops::on(to.device, model.rope_cos);
  out.rope_sin = ops::on(to.device, model.rope_sin);
  return out;
}

}  // namespace qlora
