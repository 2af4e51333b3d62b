#include "llama/weight_source.h"

#include "checkpoint/bitsandbytes.h"
#include "checkpoint/eight_bit.h"
#include "core/error.h"
#include "ops/device_memory.h"

namespace qlora {

Tensor FileWeights::weight(const std::string& name, const Shape& shape) const {
  const TensorInfo& info = files_.info(name);
  const std::string& path = files_.file_of(name).path();
  if (info.shape != shape) {
    throw BadInput(
        path, name,
        "has shape " + to_string(info.shape) + ", config.json asks for " + to_string(shape));
  }
  if (!is_floating(info.dtype)) {
    throw BadInput(
        path, name,
        "is " + std::string(safetensors_name(info.dtype)) + ", expected a floating-point weight");
  }
  return files_.tensor(name);
}

bool FileWeights::has_codes(const std::string& name) const {
  return is_stored_in_4bit(files_, name) || is_stored_in_int8(files_, name);
}

void FileWeights::take_codes(const std::string& name, const Shape& shape, Projection& p) const {
  if (is_stored_in_4bit(files_, name)) {
    p.quantized = read_4bit(files_, name, shape);
  } else {
    p.int8 = read_int8(files_, name, shape);
  }
}

Tensor RandomWeights::weight(const std::string& name, const Shape& shape) const {
  if (shape.size() == 1) {
    const Tensor ones = Tensor::empty(DType::f32, shape);
    for (float& x : ones.span<float>()) x = 1.0f;
    return ones.to(DType::bf16);
  }
  std::uint64_t stream = 0;  // FNV-1a: the same on every machine
  for (const char c : name) stream = (stream ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  Tensor t = ops::empty_on(device_, DType::bf16, shape);
  ops::fill_normal(t, 0.02f, {seed_, stream_of(0x77656967, stream)});
  return t;
}

}  // namespace qlora
