// The headers that kernels share with the CPU, compiled by nvcc: the counter-based random numbers,
// which must give the same bits on both, and the element types.
#include "core/dtype.h"
#include "core/random.h"

namespace qlora {

// keep (n) = uniform(seed, stream, i) >= p, as dropout asks for it; normal (n) beside it
__global__ void draw(Random random, float p, std::uint64_t n, bool* keep, float* normal) {
  const std::uint64_t i = std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= n) return;
  keep[i] = random.keeps(i, p);
  normal[i] = random.normal(i);
}

static_assert(dtype_of<Half>() == DType::f16 && sizeof(Half) == 2);
static_assert(dtype_of<BFloat16>() == DType::bf16 && sizeof(BFloat16) == 2);

}  // namespace qlora
