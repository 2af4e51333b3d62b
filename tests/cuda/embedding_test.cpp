// Token embedding on the GPU beside the CPU.
#include <cmath>

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

// Gemma's sqrt C, in the dtype of the activations as transformers has it: one product, which the
// format rounds once. The CPU's twin gets the scale as the format has it.
double rounded(double scale, DType dtype) {
  const auto single = static_cast<float>(scale);
  const Tensor one = Tensor::from<float>(std::span(&single, 1), {1});
  return widened(one.to(dtype)).data<float>()[0];
}

TEST(CudaEmbedding, ScaledIsItsTwin) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const auto [rows, V, C] : kSizes) {
      const double scale = std::sqrt(3072.0), in_format = rounded(scale, dtype);
      const Tensor table = random_tensor(dtype, {V, C}, 1), ids = random_ids(rows, V);
      const Tensor dx = random_tensor(dtype, {rows, C}, 2);
      const Tensor before = random_tensor(DType::f32, {V, C}, 3), dtable = before.clone();
      const Tensor x = Tensor::empty(DType::f32, {rows, C});
      ops::embedding_forward(widened(table), ids, x, in_format);
      ops::embedding_backward(widened(dx), ids, dtable, in_format);
      Tensor first, first_gradient;
      for (int run = 0; run < kRuns; ++run) {
        const Tensor ours = poisoned(dtype, {rows, C});
        const Tensor our_gradient = ops::on(Device::cuda, before.clone());
        ops::embedding_forward(to_gpu(table), to_gpu(ids), ours, scale);
        ops::embedding_backward(to_gpu(dx), to_gpu(ids), our_gradient, scale);
        EXPECT_TRUE(near_twin(ours, x, 1.01 * (unit_roundoff(dtype) + 0x1p-24),
                              1.01 * smallest_rounding(dtype)))
            << python_name(dtype) << " " << rows << " x " << C;
        // As many sums as rows at most, of terms below 6 · scale, and two roundings a term.
        const double terms = static_cast<double>(rows) + 2;
        EXPECT_TRUE(
            near_twin(our_gradient, dtable, 0, terms * 0x1p-23 * (6 + terms * 6 * in_format)))
            << python_name(dtype) << " " << rows << " x " << C;
        if (run > 0) {
          EXPECT_TRUE(same_on_gpu(first, ours));
          EXPECT_TRUE(same_on_gpu(first_gradient, our_gradient));
        }
        first = ours;
        first_gradient = our_gradient;
      }
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
