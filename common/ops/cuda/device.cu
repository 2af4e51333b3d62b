#include "ops/cuda/device.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>

#include "ops/cuda/timeline.h"

namespace qlora::cuda {
namespace {

// What a build for other GPUs has no code of: cudaFuncGetAttributes() says so.
__global__ void any_kernel() {}

std::string version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

// Why there is no GPU to use, in the driver's words, and with what else is known.
std::string reason(cudaError_t code, const DeviceInfo& info) {
  const std::string words = cudaGetErrorString(code);
  if (code == cudaErrorInsufficientDriver) {
    int driver = 0, build = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&build);
    return words + (driver == 0 ? "; no driver is installed"
                                : "; the driver is of CUDA " + version(driver) +
                                      ", this build of " + version(build));
  }
  if (code == cudaErrorNoKernelImageForDevice || code == cudaErrorUnsupportedPtxVersion) {
    const std::string number = std::to_string(info.major) + std::to_string(info.minor);
    return words + "; built with CMAKE_CUDA_ARCHITECTURES=" + number + " it runs on this " +
           info.name;
  }
  return words;
}

// The device and its stream, made once and for the whole process: as long as it lives, a tensor
// may.
struct Context {
  DeviceInfo info;
  cudaStream_t stream = nullptr;
  std::string problem;  // why there is none

  Context() {
    int count = 0;
    if (failed(cudaGetDeviceCount(&count))) return;
    if (count == 0) {
      problem = "no GPU was found";
      return;
    }
    int index = 0;
    cudaDeviceProp properties{};
    if (failed(cudaGetDevice(&index)) || failed(cudaGetDeviceProperties(&properties, index)))
      return;
    info.name = properties.name;
    info.major = properties.major;
    info.minor = properties.minor;
    info.multiprocessors = properties.multiProcessorCount;
    info.shared_memory = properties.sharedMemPerBlockOptin;
    info.total_memory = properties.totalGlobalMem;
    cudaFuncAttributes kernel{};
    if (failed(cudaFuncGetAttributes(&kernel, any_kernel))) return;
    if (failed(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking))) stream = nullptr;
  }

  bool failed(cudaError_t code) {
    if (code == cudaSuccess) return false;
    problem = reason(code, info);
    return true;
  }
};

Context& context() {
  static Context made;
  return made;
}

// Bytes of shared memory that a block may ask for (CUDA C++ Programming Guide, table of compute
// capabilities).
std::size_t shared_memory_of(int major, int minor) {
  const int capability = 10 * major + minor;
  if (capability < 80) return std::size_t{64} << 10;
  if (capability == 80 || capability == 87) return std::size_t{163} << 10;
  if (capability < 90 || capability >= 120) return std::size_t{99} << 10;
  return std::size_t{227} << 10;
}

// What empty() gave and took back.
struct Memory {
  std::atomic<std::int64_t> now{0}, peak{0};
  std::int64_t limit = std::numeric_limits<std::int64_t>::max();
};

Memory& memory() {
  static auto& one = *new Memory;  // tensors of static storage come back at the end of the process
  return one;
}

std::string mebibytes(std::size_t bytes) {
  return std::to_string((bytes + (std::size_t{1} << 20) - 1) >> 20) + " MiB";
}

// Memory of the driver: what is free includes what kernels take when they are first launched.
[[noreturn]] void ran_out(const std::string& asked_for) {
  constexpr std::int64_t kKernels = std::int64_t{256} << 20;
  cudaGetLastError();  // the next launch is not to blame
  std::size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  const std::int64_t more = std::max(static_cast<std::int64_t>(free) - kKernels, std::int64_t{0});
  throw MemoryRanOut("the GPU's memory: " + asked_for + ", " + mebibytes(free) + " of " +
                         mebibytes(total) + " are free",
                     memory().now + more);
}

}  // namespace

bool available() {
  return context().problem.empty();
}

const DeviceInfo& device() {
  if (!available()) throw MachineLacks("there is no GPU to use: " + context().problem);
  return context().info;
}

int device_count() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

void choose_device(int index) {
  const int count = device_count();
  if (count == 0) return;     // device() says why
  if (count == 1) index = 0;  // the launcher has dealt them out
  if (index >= count) {
    throw MachineLacks("process " + std::to_string(index) +
                       " of this host needs a GPU of its own: " + std::to_string(count) +
                       " are here");
  }
  check(cudaSetDevice(index), "choose_device");
}

void limit_device(int major, int minor) {
  if (!available()) return;
  DeviceInfo& info = context().info;
  if (10 * info.major + info.minor <= 10 * major + minor) return;
  info.major = major;
  info.minor = minor;
  info.shared_memory = std::min(info.shared_memory, shared_memory_of(major, minor));
}

cudaStream_t stream() {
  device();
  return context().stream;
}

Tensor empty(DType dtype, Shape shape) {
  const std::int64_t n = numel_of(shape);
  const std::size_t bytes = static_cast<std::size_t>(n) * size_of(dtype);
  stream();  // a device that is not there says so
  Memory& used = memory();
  const auto size = static_cast<std::int64_t>(bytes);
  if (used.now + size > used.limit) {
    throw MemoryRanOut("--max-memory: " + mebibytes(bytes) + " more were asked for, " +
                           mebibytes(static_cast<std::size_t>(used.now)) + " of " +
                           mebibytes(static_cast<std::size_t>(used.limit)) + " are in use",
                       used.limit);
  }
  void* data = nullptr;
  // An empty tensor still needs an address: it is not the tensor without memory.
  const cudaError_t code = cudaMalloc(&data, bytes == 0 ? 1 : bytes);
  if (code == cudaErrorMemoryAllocation) ran_out(mebibytes(bytes) + " more were asked for");
  check(code, "cudaMalloc");
  used.now += size;
  used.peak = std::max(used.peak.load(), used.now.load());
  std::shared_ptr<const void> owner(data, [size](const void* p) {
    memory().now -= size;
    cudaFree(const_cast<void*>(p));
  });
  return Tensor::view(dtype, std::move(shape), data, owner, Device::cuda);
}

MemoryUse memory_use() {
  return {memory().now, memory().peak};
}

void limit_memory(std::int64_t bytes) {
  memory().limit = bytes;
}

void copy(const Tensor& from, const Tensor& to) {
  require(from.nbytes() == to.nbytes(), "copy", "as many bytes on both sides");
  {
    const Timed timed(ops::Part::copies);
    check(cudaMemcpyAsync(to.raw(), from.raw(), from.nbytes(), cudaMemcpyDefault, stream()),
          "copy");
  }
  if (from.device() == Device::cpu || to.device() == Device::cpu) synchronize();
}

void upload(const Tensor& from, const Tensor& to) {
  const Timed timed(ops::Part::copies);
  check(cudaMemcpyAsync(to.raw(), from.raw(), from.nbytes(), cudaMemcpyHostToDevice, stream()),
        "upload");
}

void fill_bytes(const Tensor& tensor, unsigned char byte) {
  const Timed timed(ops::Part::copies);
  check(cudaMemsetAsync(tensor.raw(), byte, tensor.nbytes(), stream()), "fill_bytes");
}

void synchronize() {
  check(cudaStreamSynchronize(stream()), "the GPU");
}

void check(cudaError_t code, const char* op) {
  if (code == cudaSuccess) return;
  if (code == cudaErrorMemoryAllocation) ran_out(std::string(op) + " found too little");
  throw Error(ExitCode::check_failed, std::string(op) + ": CUDA: " + cudaGetErrorString(code));
}

void check_launch(const char* op) {
  check(cudaGetLastError(), op);
}

}  // namespace qlora::cuda
