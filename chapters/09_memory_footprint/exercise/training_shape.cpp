// Task 1: what training adds to a model, from shapes. What each function does stands in
// common/llama/training_shape.h.
#include "llama/training_shape.h"

#include "core/todo.h"

namespace qlora {

std::string to_string(BaseFormat format, DType arithmetic) {
  todo("to_string", "chapter 09, task 1");
}

std::int64_t GroupShape::N() const {
  todo("GroupShape::N", "chapter 09, task 1");
}

std::int64_t GroupShape::adapter_parameters() const {
  todo("GroupShape::adapter_parameters", "chapter 09, task 1");
}

std::vector<LayerShape> layer_shapes(const LlamaConfig& config, const LoraConfig& lora) {
  todo("layer_shapes", "chapter 09, task 1");
}

std::int64_t adapter_parameters(const std::vector<LayerShape>& layers) {
  todo("adapter_parameters", "chapter 09, task 1");
}

std::int64_t moment_bytes(const TrainingShape& shape, const std::vector<LayerShape>& layers) {
  todo("moment_bytes", "chapter 09, task 1");
}

}  // namespace qlora
