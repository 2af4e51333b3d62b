// What the kernels share: element types, wide accesses, sums over a warp and over a block.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

#include "core/tensor.h"
#include "ops/cuda/device.h"

namespace qlora::cuda {

inline constexpr int kWarp = 32;

__device__ inline float to_float(float x) {
  return x;
}
__device__ inline float to_float(__half x) {
  return __half2float(x);
}
__device__ inline float to_float(__nv_bfloat16 x) {
  return __bfloat162float(x);
}

/// Rounded to nearest, ties to even.
template <typename T>
__device__ T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) {
  return x;
}
template <>
__device__ inline __half from_float<__half>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ inline __nv_bfloat16 from_float<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

/// N elements in one access; N · sizeof(T) is 16 at most, and the address a multiple of it.
template <typename T, int N>
struct alignas(sizeof(T) * N) Vector {
  T value[N];
};

/// Elements of T in an access of 16 bytes.
template <typename T>
inline constexpr int kWide = 16 / static_cast<int>(sizeof(T));

/// The same sum (float or double) in every thread of the warp, in an order that is always the same.
template <typename T>
__device__ T warp_sum(T x) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) x += __shfl_xor_sync(~0u, x, offset);
  return x;
}

__device__ inline float warp_max(float x) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    x = fmaxf(x, __shfl_xor_sync(~0u, x, offset));
  }
  return x;
}

/// The same sum in every thread of a block of THREADS (whole warps), in an order that is always the
/// same. Every thread calls it; it begins with a barrier, so that calls may follow each other.
template <int THREADS, typename T>
__device__ T block_sum(T x) {
  __shared__ T partial[THREADS / kWarp];
  x = warp_sum(x);
  __syncthreads();
  if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp] = x;
  __syncthreads();
  T sum = 0;
  for (int w = 0; w < THREADS / kWarp; ++w) sum += partial[w];
  return sum;
}

/// Calls f with a zero of the kernel's element type for the dtype, a tensor's or by itself.
/// @throws MachineLacks naming the op where there is none
template <typename F>
void on_element(DType dtype, const char* op, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f(float{});
    case DType::f16:
      return f(__half{});
    case DType::bf16:
      return f(__nv_bfloat16{});
    default:
      throw MachineLacks(std::string(op) + " has no CUDA version for " +
                         std::string(python_name(dtype)));
  }
}
template <typename F>
void on_element(const Tensor& tensor, const char* op, F&& f) {
  on_element(tensor.dtype(), op, f);
}

/// The elements of a device tensor as the kernel's type; nullptr where it is empty.
template <typename T>
T* elements(const Tensor& tensor) {
  return static_cast<T*>(tensor.raw());
}

/// Blocks of `threads` that cover n elements.
inline unsigned blocks_for(std::int64_t n, std::int64_t threads) {
  return static_cast<unsigned>((n + threads - 1) / threads);
}

}  // namespace qlora::cuda
