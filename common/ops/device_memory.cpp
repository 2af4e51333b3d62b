#include "ops/device_memory.h"

#include <sys/resource.h>

#include <cstdio>
#include <cstring>
#include <utility>

#include "core/parallel.h"

#if QLORA_HAS_CUDA
#include "ops/cuda/device.h"
#include "ops/cuda/elementwise.h"
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

int gpu_count() {
#if QLORA_HAS_CUDA
  return cuda::device_count();
#else
  return 0;
#endif
}

void choose_gpu([[maybe_unused]] int index) {
#if QLORA_HAS_CUDA
  cuda::choose_device(index);
#endif
}

std::string gpu_name() {
#if QLORA_HAS_CUDA
  return cuda::device().name;
#else
  no_cuda();
#endif
}

bool gpu_has_bf16() {
#if QLORA_HAS_CUDA
  return cuda::device().has_bf16();
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

void limit_gpu(const std::string& compute_capability) {
  unsigned major = 0, minor = 0;
  char rest = 0;
  // NOLINTNEXTLINE(cert-err34-c): the number of conversions is looked at
  const int found = std::sscanf(compute_capability.c_str(), "%2u.%1u%c", &major, &minor, &rest);
  if (found != 2 || major < 1 || major > 99) {  // a sign wraps around
    throw UsageError("--compute-capability must be two numbers such as 7.5");
  }
#if QLORA_HAS_CUDA
  cuda::limit_device(static_cast<int>(major), static_cast<int>(minor));
#endif
}

std::int64_t peak_memory(Device device) {
#if QLORA_HAS_CUDA
  if (device == Device::cuda) return cuda::memory_use().peak;
#else
  if (device == Device::cuda) no_cuda();
#endif
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  return std::int64_t{use.ru_maxrss} * 1024;  // kibibytes on Linux
}

void limit_gpu_memory([[maybe_unused]] std::int64_t bytes) {
#if QLORA_HAS_CUDA
  cuda::limit_memory(bytes);
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

Tensor host_copy(const Tensor& tensor) {
  return tensor.device() == Device::cpu ? tensor.clone() : on(Device::cpu, tensor);
}

Tensor converted(const Tensor& tensor, DType dtype) {
#if QLORA_HAS_CUDA
  if (tensor.device() == Device::cuda && tensor.dtype() != dtype) {
    Tensor out = cuda::empty(dtype, tensor.shape());
    cuda::cast(tensor, out);
    return out;
  }
#endif
  return tensor.to(dtype);
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

Tensor uploaded(const Tensor& tensor, Arena& arena) {
  if (!tensor || arena.device() == Device::cpu) return tensor;
  Tensor there = arena.take(tensor.dtype(), tensor.shape());
#if QLORA_HAS_CUDA
  cuda::upload(tensor, there);
#endif
  return there;
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

void fill_normal(const Tensor& t, float standard_deviation, const Random& random) {
#if QLORA_HAS_CUDA
  if (t.device() == Device::cuda) return cuda::fill_normal(t, standard_deviation, random);
#endif
  const bool in_place = t.dtype() == DType::f32;
  const Tensor values = in_place ? t : Tensor::empty(DType::f32, t.shape());
  float* to = values.data<float>();
  parallel_for(t.numel(), 4096, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      to[i] = standard_deviation * random.normal(static_cast<std::uint64_t>(i));
    }
  });
  if (!in_place) copy(values.to(t.dtype()), t);
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
      device,
      [device](DType dtype, Shape shape) { return empty_on(device, dtype, std::move(shape)); },
      [](const Tensor& tensor) { fill_bytes(tensor, 0); });
}

}  // namespace qlora::ops
