#include "llama/fake_quantization.h"

#include "lora/target_modules.h"
#include "ops/device_memory.h"
#include "ops/straight_through.h"

namespace qlora {

void fake_quantize(LlamaModel& model, const FakeFormat& format, const NamesOrPattern& modules) {
  LoraConfig targets;
  targets.target_modules = modules;
  bool found = false;
  model.for_each_projection([&](LinearGroup& group, Projection& part) {
    if (!is_target_module(targets, part.name)) return;
    require(static_cast<bool>(group.weight), "fake_quantize", "a weight that is not quantized");
    format.values_a_range(group.K, part.N * group.K);  // the format's own checks
    part.fake = format;
    found = true;
  });
  if (!found) throw UsageError("no linear layer is named by the modules to quantize");
}

void round_to_fake_formats(LlamaModel& model) {
  Arena arena = ops::arena_on(model.device());
  for (DecoderLayer& layer : model.layers) {
    for (LinearGroup* group : {&layer.qkv, &layer.o, &layer.gate_up, &layer.down}) {
      const ArenaScope scope(arena);
      const Tensor seen = ops::seen_weight(*group, arena);
      if (seen.raw() == group->weight.raw()) continue;
      ops::copy(seen, group->weight);
      for (Projection& part : group->parts) part.fake.reset();
    }
  }
}

}  // namespace qlora
