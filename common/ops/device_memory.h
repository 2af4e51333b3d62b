// Tensors on either device: made, moved, and waited for.
#pragma once

#include "core/arena.h"
#include "core/random.h"
#include "core/tensor.h"

namespace qlora::ops {

/// Whether tensors may be put on a GPU: this build has the CUDA back end, and there is a device.
bool has_gpu();

/// GPUs that this process sees; 0 without the CUDA back end.
int gpu_count();

/// Of several GPUs this process uses the one of that index; to be called before anything else of a
/// GPU. Where one alone is seen, as a launcher that deals them out has it, it is that one whatever
/// the index. Changes nothing where there is none.
/// @throws MachineLacks if there are others, but not it
void choose_gpu(int index);

/// "NVIDIA H100 80GB HBM3". @throws MachineLacks where there is none
std::string gpu_name();

/// Whether its tensor cores multiply bfloat16. @throws MachineLacks where there is no GPU
bool gpu_has_bf16();

/// From here on the GPU is used as one of an older compute capability ("7.5") would be: for trying
/// on one card what the library does on another. A newer one than it is changes nothing.
/// @throws UsageError on anything but X.Y
void limit_gpu(const std::string& compute_capability);

/// Bytes of its memory, whoever uses them. @throws MachineLacks where there is none
std::int64_t gpu_memory();

/// The most bytes of a device's memory that this process's tensors held at once, library workspaces
/// included, the driver's own context not; of the CPU the process's peak (VmHWM).
std::int64_t peak_memory(Device device);

/// From here on tensors on the GPU take no more than so many bytes together; beyond, MemoryRanOut.
void limit_gpu_memory(std::int64_t bytes);

/// Uninitialized memory. @throws MachineLacks where there is no such device, MemoryRanOut where it
/// has too little memory
Tensor empty_on(Device device, DType dtype, Shape shape);

/// The tensor on a device: itself if it is there, else a copy.
/// @throws MachineLacks likewise
Tensor on(Device device, const Tensor& tensor);

/// A copy on the host, of a host tensor too.
Tensor host_copy(const Tensor& tensor);

/// A copy in another floating-point dtype on the same device, rounded once; itself if equal.
Tensor converted(const Tensor& tensor, DType dtype);

/// Copies the bytes of a tensor to another of as many, each on either device.
void copy(const Tensor& from, const Tensor& to);

/// A host tensor where an arena's memory lies: itself, or a copy taken from the arena, for which
/// nobody waits.
Tensor uploaded(const Tensor& tensor, Arena& arena);

/// Sets every byte; 0xff makes each element of a floating-point tensor a NaN.
void fill_bytes(const Tensor& tensor, unsigned char byte);

/// t = standard_deviation · N(0, 1), element i from the random number of index i, rounded once;
/// float32, bfloat16 or float16. The two devices' logarithms and cosines differ in the last bits.
void fill_normal(const Tensor& t, float standard_deviation, const Random& random);

/// Waits until the device has done all that it was given. @throws Error if some of it failed
void synchronize(Device device);

/// An arena whose memory lies on a device.
Arena arena_on(Device device);

}  // namespace qlora::ops
