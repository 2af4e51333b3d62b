// The most likely token on the GPU: the one that the CPU's sampling takes (llama/generation.h).
#include <algorithm>
#include <cmath>

#include "cuda/twin.h"

#if QLORA_HAS_CUDA
#include "ops/cuda/elementwise.h"

namespace qlora {
namespace {

using namespace testing;

// Column of the first of the largest logits of each row, as std::max_element finds it.
std::vector<std::int32_t> first_largest(const Tensor& logits) {
  std::vector<std::int32_t> columns;
  for (std::int64_t row = 0; row < logits.dim(0); ++row) {
    const float* begin = logits.data<float>() + row * logits.dim(1);
    columns.push_back(
        static_cast<std::int32_t>(std::max_element(begin, begin + logits.dim(1)) - begin));
  }
  return columns;
}

std::vector<std::int32_t> ours(const Tensor& logits) {
  const Tensor ids = poisoned(DType::i32, {logits.dim(0)});
  cuda::argmax(to_gpu(logits), ids);
  const Tensor host = to_host(ids);
  const auto found = host.span<std::int32_t>();
  return {found.begin(), found.end()};
}

TEST(CudaArgmax, FindsTheFirstOfTheLargest) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const std::int64_t V :
         sizes<std::int64_t>({1, 31, 33, 257, 8200, 128256}, {31, 257, 8200})) {
      const Tensor logits = random_tensor(DType::f32, {5, V}, static_cast<std::uint64_t>(V));
      float* data = logits.data<float>();
      // row 0: as drawn; 1: the same largest value many times over; 2: all equal; 3: all −∞ but
      // one; 4: all −∞
      for (std::int64_t v = 0; v < V; ++v) {
        data[V + v] = std::min(data[V + v], 1.0f);
        data[2 * V + v] = -2.0f;
        data[3 * V + v] = v == V / 2 ? -60000.0f : -INFINITY;
        data[4 * V + v] = -INFINITY;
      }
      const Tensor rounded = logits.to(dtype);
      EXPECT_EQ(ours(rounded), first_largest(widened(rounded))) << python_name(dtype) << " " << V;
    }
  }
}

TEST(CudaArgmax, IsNeverANaN) {
  SKIP_WITHOUT_GPU();
  const Tensor logits = random_tensor(DType::f32, {2, 1000}, 1);
  logits.data<float>()[700] = 50.0f;
  for (const std::int64_t v : {0, 3, 699, 701, 999}) logits.data<float>()[v] = NAN;
  std::fill_n(logits.data<float>() + 1000, 1000, NAN);
  EXPECT_EQ(ours(logits), (std::vector<std::int32_t>{700, 0}));
}

}  // namespace
}  // namespace qlora
#endif
