// Kernels that begin before their predecessor is through: what they read that nobody has just
// written, they read meanwhile (programmatic dependent launch, compute capability 9.0; elsewhere
// nothing of this does anything).
#pragma once

#include <cuda_runtime.h>

#include "ops/cuda/device.h"

namespace qlora::cuda {

/// Lets the next kernel on the stream begin, if launch_early() launches it. For a kernel that fills
/// few multiprocessors.
__device__ inline void let_next_begin() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}

/// Waits until all kernels before this one are through and what they wrote can be read. Every
/// thread of a kernel that launch_early() launched calls it, before it reads what another kernel
/// may have written and before it writes anything.
__device__ inline void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/// Launches a kernel that calls wait_for_previous().
template <typename... Parameters>
void launch_early(const char* op, void (*kernel)(Parameters...), unsigned grid, unsigned threads,
                  const Parameters&... arguments) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(grid);
  config.blockDim = dim3(threads);
  config.stream = stream();
  config.attrs = &attribute;
  config.numAttrs = device().major >= 9 ? 1 : 0;
  check(cudaLaunchKernelEx(&config, kernel, arguments...), op);
}

}  // namespace qlora::cuda
