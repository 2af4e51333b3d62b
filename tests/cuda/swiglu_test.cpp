// SwiGLU on the GPU beside the CPU.
#include "cuda/twin.h"
#include "ops/ops.h"

namespace qlora {
namespace {

using namespace testing;

struct Sizes {
  std::int64_t rows, F;
};

const std::vector<Sizes> kSizes = sizes<Sizes>(
    {{1, 1}, {3, 31}, {33, 257}, {5, 64}, {7, 2052}, {64, 8192}}, {{3, 31}, {5, 64}, {7, 2052}});

// Of the sigmoid at |z|: the GPU's exponential is within 2 + 1.173 |z| units of 2^-23 and its
// quotient and sum within 4 more, the CPU's sigmoid is within 7.
double sigmoid_bound(double z) {
  return (13 + 1.2 * z) * 0x1p-23;
}

// Two products on each side come on top, and the format's rounding.
TEST(CudaSwiglu, ForwardIsItsTwin) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const auto [rows, F] : kSizes) {
      const Tensor gate_up = random_tensor(dtype, {rows, 2 * F}, 1, 3.0f);
      const Tensor y = Tensor::empty(DType::f32, {rows, F});
      ops::swiglu_forward(widened(gate_up), y);
      const double relative = sigmoid_bound(largest(widened(gate_up))) + 4 * 0x1p-24;
      Tensor first;
      for (int run = 0; run < kRuns; ++run) {
        const Tensor ours = poisoned(dtype, {rows, F + rows % 3 * 8});
        ops::swiglu_forward(to_gpu(gate_up), ours);
        EXPECT_TRUE(near_twin(ours, y, 1.01 * (relative + unit_roundoff(dtype)),
                              1.01 * smallest_rounding(dtype)))
            << python_name(dtype) << " " << rows << " x " << F;
        if (run > 0) {
          EXPECT_TRUE(same_on_gpu(first, ours));
        }
        first = ours;
      }
    }
  }
}

// dgate = dy·up·σ·(1 + g(1−σ)) changes with σ by dy·up·(1 + g(1−2σ)), where an error of σ of ε σ
// counts ε·(1 + |g|) at most; each of the few products and sums rounds to u·(1 + |g|) of dy·up.
TEST(CudaSwiglu, BackwardIsItsTwin) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const auto [rows, F] : kSizes) {
      const Tensor gate_up = random_tensor(dtype, {rows, 2 * F}, 1),
                   dy = random_tensor(dtype, {rows, F}, 2);
      const Tensor theirs = Tensor::empty(DType::f32, {rows, 2 * F});
      ops::swiglu_backward(widened(gate_up), widened(dy), theirs);
      const double z = largest(widened(gate_up)), factor = z * largest(widened(dy));
      const double absolute = factor * (1 + z) * (sigmoid_bound(z) + 12 * 0x1p-24);
      Tensor first;
      for (int run = 0; run < kRuns; ++run) {
        const Tensor ours = poisoned(dtype, {rows, 2 * F + rows % 3 * 8});
        ops::swiglu_backward(to_gpu(gate_up), to_gpu(dy), ours);
        EXPECT_TRUE(near_twin(ours, theirs, 1.01 * unit_roundoff(dtype),
                              1.01 * (absolute + smallest_rounding(dtype))))
            << python_name(dtype) << " " << rows << " x " << F;
        if (run > 0) {
          EXPECT_TRUE(same_on_gpu(first, ours));
        }
        first = ours;
      }
    }
  }
}

}  // namespace
}  // namespace qlora
