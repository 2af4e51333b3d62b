// Head and cross-entropy on the GPU beside the CPU.
#include <cmath>

#include "cuda/twin.h"
#include "ops/ops.h"

namespace qlora {
namespace {

using namespace testing;

struct Sizes {
  std::int64_t rows, C, V;
};

const std::vector<Sizes> kSizes{{1, 8, 3}, {33, 31, 257}, {70, 64, 2048}};

Tensor some_targets(std::int64_t rows, std::int64_t V) {
  Tensor targets = Tensor::empty(DType::i32, {rows});
  for (std::int64_t i = 0; i < rows; ++i) {
    targets.data<std::int32_t>()[i] = i % 3 == 1 ? -100 : static_cast<std::int32_t>((7 * i) % V);
  }
  return targets;
}

// Logits are rounded to the format: u times their size, at most 6·6·0.1·C by normal numbers, which
// a softmax turns into a relative error of its probabilities; the gradient with respect to x is
// their product with the head. Sums in float32 are finer than that by far, but for float32 itself.
TEST(CudaHead, CrossEntropyAndItsGradientAreTheirTwins) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const auto [rows, C, V] : kSizes) {
      const Tensor x = random_tensor(dtype, {rows, C}, 1);
      const Tensor head = random_tensor(dtype, {V, C}, 2, 0.1f);
      const Tensor targets = some_targets(rows, V);
      Arena host, device = ops::arena_on(Device::cuda);
      const Tensor dx = Tensor::empty(DType::f32, {rows, C});
      const Tensor losses = Tensor::empty(DType::f32, {rows});
      const double loss = ops::head_cross_entropy(widened(x), widened(head), targets, 0.5, host, dx,
                                                  Tensor(), losses);
      const double u = std::max(unit_roundoff(dtype), 64 * 0x1p-24);
      const double logit = 0.1 * 6.0 * std::sqrt(static_cast<double>(C)) + 1.0;
      Tensor first;
      for (int run = 0; run < kRuns; ++run) {
        const Tensor our_dx = poisoned(dtype, {rows, C});
        const Tensor our_losses = poisoned(DType::f32, {rows});
        const double ours = ops::head_cross_entropy(to_gpu(x), to_gpu(head), targets, 0.5, device,
                                                    our_dx, Tensor(), our_losses);
        EXPECT_NEAR(ours, loss, 4 * u * logit * static_cast<double>(rows));
        EXPECT_TRUE(near_twin(our_losses, losses, 4 * u, 4 * u * logit));
        EXPECT_TRUE(near_twin(our_dx, dx, 2 * u, 8 * u * logit * largest(widened(head))))
            << python_name(dtype) << " " << rows << " " << C << " " << V;
        if (run > 0) {
          EXPECT_TRUE(same_on_gpu(first, our_dx));
        }
        first = our_dx;
      }
      const Tensor logits = Tensor::empty(DType::f32, {rows, V});
      const Tensor our_logits = poisoned(dtype, {rows, V});
      ops::head_forward(widened(x), widened(head), logits);
      ops::head_forward(to_gpu(x), to_gpu(head), our_logits);
      EXPECT_TRUE(near_twin(our_logits, logits, unit_roundoff(dtype),
                            static_cast<double>(C + 2) * 0x1p-24 * 0.1 * static_cast<double>(C)));
    }
  }
}

}  // namespace
}  // namespace qlora
