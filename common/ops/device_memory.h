// Tensors on either device: made, moved, and waited for.
#pragma once

#include "core/arena.h"
#include "core/tensor.h"

namespace qlora::ops {

/// Whether tensors may be put on a GPU: this build has the CUDA back end, and there is a device.
bool has_gpu();

/// "NVIDIA H100 80GB HBM3". @throws MachineLacks where there is none
std::string gpu_name();

/// Bytes of its memory, whoever uses them. @throws MachineLacks where there is none
std::int64_t gpu_memory();

/// Uninitialized memory. @throws MachineLacks where there is no such device, or too little memory
Tensor empty_on(Device device, DType dtype, Shape shape);

/// The tensor on a device: itself if it is there, else a copy.
/// @throws MachineLacks likewise
Tensor on(Device device, const Tensor& tensor);

/// Copies the bytes of a tensor to another of as many, each on either device.
void copy(const Tensor& from, const Tensor& to);

/// Sets every byte; 0xff makes each element of a floating-point tensor a NaN.
void fill_bytes(const Tensor& tensor, unsigned char byte);

/// Waits until the device has done all that it was given. @throws Error if some of it failed
void synchronize(Device device);

/// An arena whose memory lies on a device.
Arena arena_on(Device device);

}  // namespace qlora::ops
