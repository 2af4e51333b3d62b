#include "support/planning.h"

#include "llama/shapes.h"

namespace qlora {
namespace {

void set_base(const std::optional<BitsAndBytesConfig>& quantization, TrainingShape& shape) {
  shape.base = BaseFormat::dense;
  if (!quantization) return;
  shape.base = quantization->load_in_8bit                   ? BaseFormat::int8
               : quantization->quant_type == QuantType::nf4 ? BaseFormat::nf4
                                                            : BaseFormat::fp4;
  shape.double_quant = quantization->use_double_quant;
}

}  // namespace

TrainingShape training_shape(ModelOptions model, const TrainingOptions& training) {
  default_to_nf4(model);
  const Json config = model_config(model);
  TrainingShape shape;
  shape.config = llama_config(config);
  model_shapes(config);  // refuses more layers than anybody has
  shape.device = wanted_device(model);
  set_base(wanted_quantization(config, model), shape);
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
  return four_bit_name(to_string(shape.base, shape.arithmetic), four_bit && shape.double_quant);
}

}  // namespace qlora
