#include "ops/device_memory.h"

#include <cstring>
#include <utility>

#if QLORA_HAS_CUDA
#include "ops/cuda/device.h"
#endif

namespace qlora::ops {
namespace {

#if !QLORA_HAS_CUDA
[[noreturn]] void no_cuda() {
  throw MachineLacks("this build has no CUDA back end; --device cpu is what there is");
}
#endif

}  // namespace

bool has_gpu() {
#if QLORA_HAS_CUDA
  return cuda::available();
#else
  return false;
#endif
}

std::string gpu_name() {
#if QLORA_HAS_CUDA
  return cuda::device().name;
#else
  no_cuda();
#endif
}

std::int64_t gpu_memory() {
#if QLORA_HAS_CUDA
  return static_cast<std::int64_t>(cuda::device().total_memory);
#else
  no_cuda();
#endif
}

Tensor empty_on(Device device, DType dtype, Shape shape) {
  if (device == Device::cpu) return Tensor::empty(dtype, std::move(shape));
#if QLORA_HAS_CUDA
  return cuda::empty(dtype, std::move(shape));
#else
  no_cuda();
#endif
}

Tensor on(Device device, const Tensor& tensor) {
  if (!tensor || tensor.device() == device) return tensor;
  Tensor moved = empty_on(device, tensor.dtype(), tensor.shape());
  copy(tensor, moved);
  return moved;
}

void copy(const Tensor& from, const Tensor& to) {
  require(from.nbytes() == to.nbytes(), "copy", "as many bytes on both sides");
  if (from.device() == Device::cpu && to.device() == Device::cpu) {
    std::memcpy(to.raw(), from.raw(), from.nbytes());
    return;
  }
#if QLORA_HAS_CUDA
  cuda::copy(from, to);
#else
  no_cuda();
#endif
}

void fill_bytes(const Tensor& tensor, unsigned char byte) {
  if (tensor.device() == Device::cpu) {
    std::memset(tensor.raw(), byte, tensor.nbytes());
    return;
  }
#if QLORA_HAS_CUDA
  cuda::fill_bytes(tensor, byte);
#else
  no_cuda();
#endif
}

void synchronize(Device device) {
  if (device == Device::cpu) return;
#if QLORA_HAS_CUDA
  cuda::synchronize();
#else
  no_cuda();
#endif
}

Arena arena_on(Device device) {
  return Arena(
      [device](DType dtype, Shape shape) { return empty_on(device, dtype, std::move(shape)); },
      [](const Tensor& tensor) { fill_bytes(tensor, 0); });
}

}  // namespace qlora::ops
