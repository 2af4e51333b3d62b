#include "support/planning.h"

#include "checkpoint/bitsandbytes.h"
#include "llama/shapes.h"

namespace qlora {
namespace {

// How the linear layers are held: as the folder has them, or as they are quantized on loading.
void set_base(const Json& config, const ModelOptions& o, TrainingShape& shape) {
  const Json* stored = config.find("quantization_config");
  if (o.quantize == "none") {
    shape.base = BaseFormat::dense;
  } else if (stored != nullptr) {
    const auto found = BitsAndBytesConfig::from_json(*stored, o.model + "/config.json");
    shape.base = found.load_in_8bit                   ? BaseFormat::int8
                 : found.quant_type == QuantType::nf4 ? BaseFormat::nf4
                                                      : BaseFormat::fp4;
    shape.double_quant = found.use_double_quant;
  } else if (o.quantize.empty()) {
    shape.base = BaseFormat::nf4;
    shape.double_quant = true;
  } else {
    shape.base = o.quantize == "nf4"   ? BaseFormat::nf4
                 : o.quantize == "fp4" ? BaseFormat::fp4
                                       : BaseFormat::int8;
    shape.double_quant = o.double_quant;
  }
}

}  // namespace

TrainingShape training_shape(const ModelOptions& model, const TrainingOptions& training) {
  const Json config = model_config(model);
  TrainingShape shape;
  shape.config = llama_config(config);
  model_shapes(config);  // refuses more layers than anybody has
  shape.device = wanted_device(model);
  set_base(config, model, shape);
  shape.arithmetic = shape.device == Device::cpu ? DType::f32 : gpu_arithmetic(model);
  shape.lora = training.lora;
  shape.B = training.arguments.per_device_train_batch_size;
  shape.T = training.max_length;
  shape.activations = training.arguments.activations;
  shape.moments_in_8bit = training.arguments.optim == Optim::adamw_8bit;
  return shape;
}

std::string base_format(const TrainingShape& shape) {
  const bool four_bit = shape.base == BaseFormat::nf4 || shape.base == BaseFormat::fp4;
  return to_string(shape.base, shape.arithmetic) +
         (four_bit && shape.double_quant ? " with double quantization" : "");
}

}  // namespace qlora
