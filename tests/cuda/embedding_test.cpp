// Token embedding on the GPU beside the CPU.
#include "core/random.h"
#include "cuda/twin.h"
#include "ops/ops.h"

namespace qlora {
namespace {

using namespace testing;

struct Sizes {
  std::int64_t rows, V, C;
};

// Odd ones, rows that need several looks at the ids, a real model's columns.
const std::vector<Sizes> kSizes =
    sizes<Sizes>({{1, 1, 1}, {31, 7, 33}, {257, 300, 64}, {700, 5, 257}, {600, 9, 3072}},
                 {{31, 7, 33}, {700, 5, 64}});

// Ids that repeat: each a function of a random number.
Tensor random_ids(std::int64_t rows, std::int64_t V) {
  const Tensor values = random_tensor(DType::f32, {rows}, 9, 1000.0f);
  const Tensor ids = Tensor::empty(DType::i32, {rows});
  for (std::int64_t i = 0; i < rows; ++i) {
    ids.data<std::int32_t>()[i] =
        static_cast<std::int32_t>(std::abs(static_cast<std::int64_t>(values.data<float>()[i])) % V);
  }
  return ids;
}

TEST(CudaEmbedding, ForwardCopiesRows) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const auto [rows, V, C] : kSizes) {
      const Tensor table = random_tensor(dtype, {V, C}, 1), ids = random_ids(rows, V);
      const Tensor x = Tensor::empty(DType::f32, {rows, C});
      ops::embedding_forward(widened(table), ids, x);
      const Tensor ours = poisoned(dtype, {rows, C});
      ops::embedding_forward(to_gpu(table), to_gpu(ids), ours);
      EXPECT_TRUE(near_twin(ours, x, 0, 0)) << python_name(dtype) << " " << rows << " x " << C;
    }
  }
}

// Both add a token's rows in their order, in float32: the bits are the same.
TEST(CudaEmbedding, BackwardAddsInTheSameOrder) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const auto [rows, V, C] : kSizes) {
      const Tensor dx = random_tensor(dtype, {rows, C}, 1), ids = random_ids(rows, V);
      const Tensor before = random_tensor(DType::f32, {V, C}, 2);
      const Tensor theirs = before.clone();
      ops::embedding_backward(widened(dx), ids, theirs);
      const Tensor ours = ops::on(Device::cuda, before.clone());
      ops::embedding_backward(to_gpu(dx), to_gpu(ids), ours);
      EXPECT_TRUE(near_twin(ours, theirs, 0, 0)) << python_name(dtype) << " " << rows << " x " << C;
    }
  }
}

}  // namespace
}  // namespace qlora
