// RMSNorm on the GPU beside the CPU.
#include "cuda/twin.h"
#include "ops/ops.h"

namespace qlora {
namespace {

using namespace testing;

struct Sizes {
  std::int64_t rows, C;
};

// Odd ones, one below a warp, real models', rows longer than a block keeps in registers, many rows.
const std::vector<Sizes> kSizes = sizes<Sizes>({{1, 1},
                                                {3, 31},
                                                {33, 257},
                                                {5, 64},
                                                {128, 3072},
                                                {7, 4100},
                                                {3, 8192},
                                                {2, 20000},
                                                {1000, 72}},
                                               {{33, 257}, {5, 64}, {3, 4100}, {2, 20000}});

// Squares are summed in another order: the relative error of the mean is at most C u, of its root
// half of that; two products, the sum with the offset and the rounding to the format come on top.
double forward_bound(DType dtype, std::int64_t C) {
  return (0.5 * static_cast<double>(C) + 6) * 0x1p-24 + unit_roundoff(dtype);
}

// Llama's norm, and Gemma's, which multiplies by 1 + weight: one sum more, and one rounding.
class CudaRmsNorm : public ::testing::TestWithParam<double> {};

INSTANTIATE_TEST_SUITE_P(Offsets, CudaRmsNorm, ::testing::Values(0.0, 1.0));

TEST_P(CudaRmsNorm, ForwardIsItsTwin) {
  SKIP_WITHOUT_GPU();
  const double offset = GetParam();
  for (const DType dtype : kDeviceTypes) {
    for (const auto [rows, C] : kSizes) {
      const Tensor x = random_tensor(dtype, {rows, C}, 1, 3.0f);
      const Tensor weight = random_tensor(dtype, {C}, 2);
      const Tensor y = Tensor::empty(DType::f32, {rows, C});
      const Tensor rstd = Tensor::empty(DType::f32, {rows});
      ops::rms_norm_forward(widened(x), widened(weight), 1e-5, y, rstd, offset);
      Tensor first;
      for (int run = 0; run < kRuns; ++run) {
        const Tensor ours = poisoned(dtype, {rows, C + rows % 3 * 8});
        const Tensor our_rstd = poisoned(DType::f32, {rows});
        ops::rms_norm_forward(to_gpu(x), to_gpu(weight), 1e-5, ours, our_rstd, offset);
        EXPECT_TRUE(near_twin(ours, y, forward_bound(dtype, C), 1.01 * smallest_rounding(dtype)))
            << python_name(dtype) << " " << rows << " x " << C;
        EXPECT_TRUE(near_twin(our_rstd, rstd, forward_bound(DType::f32, C), 0));
        if (run > 0) {
          EXPECT_TRUE(same_on_gpu(first, ours));
        }
        first = ours;
      }
    }
  }
}

// dx is rounded once where it is added; the sum over C of terms of size |dy w x̂| is within
// (C + 4) u of Σ|…|, and Σ|…| / C is at most the largest term: bounds on N(0, 1) numbers, 6 at
// most.
TEST_P(CudaRmsNorm, BackwardIsItsTwin) {
  SKIP_WITHOUT_GPU();
  const double offset = GetParam();
  for (const DType dtype : kDeviceTypes) {
    for (const auto [rows, C] : kSizes) {
      const Tensor x = random_tensor(dtype, {rows, C}, 1, 3.0f);
      const Tensor weight = random_tensor(dtype, {C}, 2), dy = random_tensor(dtype, {rows, C}, 3);
      const Tensor before = random_tensor(dtype, {rows, C}, 4);
      const Tensor dweight_before = random_tensor(DType::f32, {C}, 5);
      const Tensor y = Tensor::empty(DType::f32, {rows, C});
      const Tensor rstd = Tensor::empty(DType::f32, {rows});
      ops::rms_norm_forward(widened(x), widened(weight), 1e-5, y, rstd, offset);
      const Tensor dx = widened(before), dweight = dweight_before.clone();
      ops::rms_norm_backward(widened(dy), widened(x), widened(weight), rstd, dx, dweight, offset);

      const double product = 6.0 * (6.0 + offset) * 6.0 * 6.0;
      Tensor first_dx, first_dweight;
      for (int run = 0; run < kRuns; ++run) {
        const Tensor our_dx = with_room(before, rows % 3 * 8);
        const Tensor our_dweight = ops::on(Device::cuda, dweight_before.clone());
        ops::rms_norm_backward(to_gpu(dy), to_gpu(x), to_gpu(weight), to_gpu(rstd), our_dx,
                               our_dweight, offset);
        EXPECT_TRUE(near_twin(our_dx, dx, unit_roundoff(dtype) + 4 * 0x1p-24,
                              (static_cast<double>(C) + 8) * 0x1p-24 * product))
            << python_name(dtype) << " " << rows << " x " << C;
        EXPECT_TRUE(near_twin(
            our_dweight, dweight, 0x1p-22,
            (static_cast<double>(rows) + 4) * 0x1p-24 * 36.0 * static_cast<double>(rows)));
        if (run > 0) {
          EXPECT_TRUE(same_on_gpu(first_dx, our_dx));
          EXPECT_TRUE(same_on_gpu(first_dweight, our_dweight));
        }
        first_dx = our_dx;
        first_dweight = our_dweight;
      }
    }
  }
}

}  // namespace
}  // namespace qlora
