// The tensor cores by mma.sync, and copies into shared memory that go on by themselves. Each
// function is one instruction, or what a card without it does instead.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace qlora::cuda {

/// A lane's part of a 16×16 matrix of 16-bit elements, two to a register: with g = lane / 4 and
/// c = 2 (lane % 4), its elements c, c+1 of row g, of row g+8, and the same of columns c+8, c+9.
struct Fragment {
  unsigned part[4];
};

__device__ inline unsigned shared_address(const void* pointer) {
  return static_cast<unsigned>(__cvta_generic_to_shared(pointer));
}

/// Four 8×8 matrices out of shared memory: lane i passes the address of row i % 8 of matrix i / 8,
/// and gets of each matrix the elements 2 (i % 4) and the next of row i / 4.
__device__ inline Fragment load_matrices(const void* row) {
  Fragment f;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(f.part[0]), "=r"(f.part[1]), "=r"(f.part[2]), "=r"(f.part[3])
               : "r"(shared_address(row)));
  return f;
}

/// The same of the transposed matrices: of rows 2 (i % 4) and the next, element i / 4.
__device__ inline Fragment load_transposed(const void* row) {
  Fragment f;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(f.part[0]), "=r"(f.part[1]), "=r"(f.part[2]), "=r"(f.part[3])
               : "r"(shared_address(row)));
  return f;
}

/// c (16,8) += a (16,16) · b (16,8), sums in float32. Of b a lane has rows 2 (lane % 4) and the
/// next (b0), and those eight further (b1), of column lane / 4; of c columns 2 (lane % 4) and the
/// next of row lane / 4 (c[0], c[1]) and of the row eight further (c[2], c[3]).
template <typename Element>
__device__ void multiply_add(float (&c)[4], const Fragment& a, unsigned b0, unsigned b1);

template <>
__device__ inline void multiply_add<__nv_bfloat16>(float (&c)[4], const Fragment& a, unsigned b0,
                                                   unsigned b1) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a.part[0]), "r"(a.part[1]), "r"(a.part[2]), "r"(a.part[3]), "r"(b0), "r"(b1));
#else
  __trap();  // the host asks DeviceInfo::has_bf16() first
#endif
}

template <>
__device__ inline void multiply_add<__half>(float (&c)[4], const Fragment& a, unsigned b0,
                                            unsigned b1) {
#if __CUDA_ARCH__ >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a.part[0]), "r"(a.part[1]), "r"(a.part[2]), "r"(a.part[3]), "r"(b0), "r"(b1));
#else
  const unsigned b[2] = {b0, b1};
  for (int half = 0; half < 2; ++half) {  // columns 0 to 7 of a, then 8 to 15
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
        "{%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a.part[2 * half]), "r"(a.part[2 * half + 1]), "r"(b[half]));
  }
#endif
}

/// Two elements in a register, the first in the lower half; each rounded to nearest.
template <typename Element>
__device__ unsigned pack(float first, float second);
template <>
__device__ inline unsigned pack<__nv_bfloat16>(float first, float second) {
  const __nv_bfloat162 both = __floats2bfloat162_rn(first, second);
  return reinterpret_cast<const unsigned&>(both);
}
template <>
__device__ inline unsigned pack<__half>(float first, float second) {
  const __half2 both = __floats2half2_rn(first, second);
  return reinterpret_cast<const unsigned&>(both);
}

/// 2^x within two units in the last place; 0 for -infinity.
__device__ inline float fast_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// Starts a copy of BYTES (16 or 4) to shared memory, zeros where `there` is false.
template <int BYTES>
__device__ void copy_async(void* shared, const void* global, bool there) {
  static_assert(BYTES == 16 || BYTES == 4);
#if __CUDA_ARCH__ >= 800
  if constexpr (BYTES == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
                 "l"(global), "r"(there ? 16 : 0)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(shared)),
                 "l"(global), "r"(there ? 4 : 0)
                 : "memory");
  }
#else
  if constexpr (BYTES == 16) {
    *static_cast<uint4*>(shared) = there ? *static_cast<const uint4*>(global) : uint4{};
  } else {
    *static_cast<unsigned*>(shared) = there ? *static_cast<const unsigned*>(global) : 0u;
  }
#endif
}

/// Ends a group of the copies that this thread has started.
__device__ inline void commit_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/// Waits until no more than the last GROUPS groups of this thread are under way. What other threads
/// have copied is there only after a barrier.
template <int GROUPS>
__device__ void wait_for_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(GROUPS) : "memory");
#endif
}

}  // namespace qlora::cuda
