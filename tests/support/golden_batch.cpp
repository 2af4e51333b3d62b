#include "support/golden_batch.h"

#include <algorithm>

#include "checkpoint/peft_adapter.h"
#include "llama/adapters.h"
#include "llama/decoder.h"
#include "llama/load.h"
#include "ops/ops.h"
#include "support/device.h"

namespace qlora::testing {

Tensor narrowed(const Tensor& ids) {
  Tensor out = Tensor::empty(DType::i32, ids.shape());
  for (std::int64_t i = 0; i < ids.numel(); ++i) {
    out.data<std::int32_t>()[i] = static_cast<std::int32_t>(ids.data<std::int64_t>()[i]);
  }
  return out;
}

Batch batch_from(const Tensor& ids, const Tensor& mask, const Tensor& labels) {
  Batch b;
  b.input_ids = narrowed(ids);
  b.labels = narrowed(labels);
  if (mask) {
    b.attention_mask = narrowed(mask);
    for (std::int32_t m : b.attention_mask.span<std::int32_t>()) b.tokens += m;
  } else {
    b.tokens = b.input_ids.numel();
  }
  const Tensor targets = shifted_targets(b.labels);
  for (std::int32_t t : targets.span<std::int32_t>()) b.supervised += t != kIgnoredLabel;
  return b;
}

Batch batch_of(const SafetensorsFile& file, const std::string& prefix) {
  const std::string mask = prefix + "attention_mask";
  return batch_from(file.tensor(prefix + "input_ids"),
                    file.has(mask) ? file.tensor(mask) : Tensor(), file.tensor(prefix + "labels"));
}

Tensor without_padding(const Tensor& x, const Tensor& mask) {
  const Tensor out = x.to(DType::f32).clone();
  if (!mask) return out;
  const std::int64_t columns = x.numel() / mask.numel();
  for (std::int64_t i = 0; i < mask.numel(); ++i) {
    if (mask.data<std::int32_t>()[i] == 0) {
      std::fill_n(out.data<float>() + i * columns, columns, 0.0f);
    }
  }
  return out;
}

LlamaModel model_with(const std::string& base, const std::string& adapter) {
  LlamaModel model = golden_model(base);
  attach_lora(model, read_adapter(golden(adapter)));
  model.reserve_positions(80);
  return model;
}

Tensor logits_of(const LlamaModel& model, const Batch& batch) {
  Arena arena = test_arena();
  const Tensor h = hidden_forward(model, batch, arena);
  const Tensor scores = arena.take(h.dtype(), {h.dim(0), model.config.vocab_size});
  ops::head_forward(h, model.lm_head, scores);
  const Tensor logits = ops::host_copy(scores);
  return without_padding(
      logits.reshape({batch.input_ids.dim(0), batch.input_ids.dim(1), logits.dim(1)}),
      batch.attention_mask);
}

}  // namespace qlora::testing
