// The GPU that this process uses, and its memory. Compiled by nvcc and by the host's compiler.
#pragma once

#include <cuda_runtime.h>

#include <string>

#include "core/tensor.h"

/// The GPU's back end: what stands behind the functions of qlora::ops for tensors on the device.
namespace qlora::cuda {

/// What the kernels ask of a device.
struct DeviceInfo {
  std::string name;               ///< "NVIDIA H100 80GB HBM3"
  int major = 0;                  ///< of the compute capability, as is
  int minor = 0;                  ///< this
  int multiprocessors = 0;        ///< each runs several blocks of a kernel
  std::size_t shared_memory = 0;  ///< bytes that a block may ask for
  std::size_t total_memory = 0;   ///< bytes
  /// Whether the tensor cores multiply bfloat16 (compute capability 8.0).
  bool has_bf16() const { return major >= 8; }
};

/// Whether there is a device with a driver that can run these kernels.
bool available();

/// Devices that the driver shows to this process; 0 where it cannot say. Starts nothing on them.
int device_count();

/// From here on the device of that index is the one in use, or the only one that there is; to be
/// called before anything else.
/// @throws MachineLacks saying how many there are, if there is none of that index
void choose_device(int index);

/// The device in use. @throws MachineLacks where there is none, with the driver's reason
const DeviceInfo& device();

/// From here on device() tells no higher compute capability than this one, and no more shared
/// memory than cards of it have.
void limit_device(int major, int minor);

/// The stream that all work of the library is put on, in order.
cudaStream_t stream();

/// Memory on the device, uninitialized, aligned to 256 bytes; freed with its last tensor.
/// @throws MemoryRanOut saying how much was asked for and how much is free
Tensor empty(DType dtype, Shape shape);

/// Bytes that empty() holds now, and the most that it held at once.
struct MemoryUse {
  std::int64_t now = 0;   ///< bytes
  std::int64_t peak = 0;  ///< likewise
};
/// Of this process.
MemoryUse memory_use();

/// From here on empty() gives no more than so many bytes at once.
void limit_memory(std::int64_t bytes);

/// Copies the bytes of a tensor to another of as many, each on either side, in the stream's order;
/// to or from host memory it waits for the end of the copy.
void copy(const Tensor& from, const Tensor& to);

/// Copies host memory to the device in the stream's order. Nobody waits: the driver has its own
/// copy of memory that is not pinned when the call returns.
void upload(const Tensor& from, const Tensor& to);

/// Sets every byte, in the stream's order.
void fill_bytes(const Tensor& tensor, unsigned char byte);

/// Waits for all that the stream holds. @throws Error if a kernel failed
void synchronize();

/// @throws Error naming the op and the driver's reason unless `code` is success: MemoryRanOut where
///         memory is short
void check(cudaError_t code, const char* op);

/// check() of the launch that was just made.
void check_launch(const char* op);

}  // namespace qlora::cuda
