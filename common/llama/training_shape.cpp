#include "llama/training_shape.h"

#include <numeric>

#include "llama/adapters.h"
#include "lora/target_modules.h"
#include "ops/adamw_8bit.h"

namespace qlora {

std::string to_string(BaseFormat format, DType arithmetic) {
  switch (format) {
    case BaseFormat::nf4:
      return "nf4";
    case BaseFormat::fp4:
      return "fp4";
    case BaseFormat::int8:
      return "int8";
    case BaseFormat::dense:
      break;
  }
  return std::string(python_name(arithmetic));
}

std::int64_t GroupShape::N() const {
  return std::accumulate(parts.begin(), parts.end(), std::int64_t{0});
}

std::int64_t GroupShape::adapter_parameters() const {
  std::int64_t sum = 0;
  for (const AdapterSize& a : adapters) sum += a.R * (K + a.N) + (a.dora ? a.N : 0);
  return sum;
}

std::vector<LayerShape> layer_shapes(const LlamaConfig& config, const LoraConfig& lora) {
  const LlamaModel model = model_skeleton(config);
  find_target_modules(lora, linear_modules(model));  // refuses a configuration that leaves none
  const auto shape_of = [&](const LinearGroup& group) {
    GroupShape shape{group.K, {}, {}};
    for (const Projection& p : group.parts) {
      shape.parts.push_back(p.N);
      if (is_target_module(lora, p.name)) {
        shape.adapters.push_back({p.N, r_of(lora, p.name), lora.use_dora});
      }
    }
    return shape;
  };
  std::vector<LayerShape> layers;
  layers.reserve(model.layers.size());
  for (const DecoderLayer& layer : model.layers) {
    layers.push_back(
        {shape_of(layer.qkv), shape_of(layer.o), shape_of(layer.gate_up), shape_of(layer.down)});
  }
  return layers;
}

std::int64_t adapter_parameters(const std::vector<LayerShape>& layers) {
  std::int64_t sum = 0;
  for (const LayerShape& layer : layers) {
    for (const GroupShape* group : layer.groups()) sum += group->adapter_parameters();
  }
  return sum;
}

std::int64_t moment_bytes(const TrainingShape& shape, const std::vector<LayerShape>& layers) {
  if (!shape.moments_in_8bit) return 8 * adapter_parameters(layers);
  std::int64_t sum = 2 * 256 * 4;  // both maps
  for (const LayerShape& layer : layers) {
    for (const GroupShape* group : layer.groups()) {
      for (const AdapterSize& a : group->adapters) {
        sum += bytes_of_8bit_moments(a.R * group->K) + bytes_of_8bit_moments(a.N * a.R);
      }
    }
  }
  return sum;
}

}  // namespace qlora
