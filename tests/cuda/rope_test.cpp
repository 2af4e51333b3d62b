// Rotary embedding on the GPU beside the CPU.
#include <cmath>

#include "cuda/twin.h"
#include "ops/ops.h"

namespace qlora {
namespace {

using namespace testing;

struct Sizes {
  std::int64_t B, T, heads, others, D, first_position;  // others: heads that are left as they are
};

const std::vector<Sizes> kSizes = sizes<Sizes>({{1, 1, 1, 0, 2, 0},
                                                {2, 31, 3, 1, 6, 5},
                                                {1, 33, 5, 2, 64, 0},
                                                {3, 257, 2, 0, 16, 1},
                                                {2, 128, 32, 8, 128, 0}},
                                               {{2, 31, 3, 1, 6, 5}, {1, 33, 5, 2, 64, 0}});

struct Tables {
  Tensor cos, sin;
};

Tables tables(std::int64_t positions, std::int64_t half) {
  const Tensor angles = random_tensor(DType::f32, {positions, half}, 7, 100.0f);
  const Tables t{Tensor::empty(DType::f32, angles.shape()),
                 Tensor::empty(DType::f32, angles.shape())};
  for (std::int64_t i = 0; i < angles.numel(); ++i) {
    t.cos.data<float>()[i] = std::cos(angles.data<float>()[i]);
    t.sin.data<float>()[i] = std::sin(angles.data<float>()[i]);
  }
  return t;
}

// Every row of the batch begins at first_position.
Tensor positions_of(std::int64_t B, std::int64_t T, std::int64_t first_position) {
  Tensor positions = Tensor::empty(DType::i32, {B * T});
  for (std::int64_t i = 0; i < B * T; ++i) {
    positions.data<std::int32_t>()[i] = static_cast<std::int32_t>(first_position + i % T);
  }
  return positions;
}

// a cos − b sin: both sides round two products and a sum, each below |a| + |b|: 4 u of that between
// them; then there is the format's rounding.
TEST(CudaRope, BothWaysAreTheirTwins) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const auto [B, T, heads, others, D, first_position] : kSizes) {
      const Tensor x = random_tensor(dtype, {B * T, (heads + others) * D}, 1);
      const Tensor positions = positions_of(B, T, first_position);
      const Tables t = tables(first_position + T, D / 2);
      for (const auto op : {ops::rope_forward, ops::rope_backward}) {
        const Tensor theirs = widened(x);
        op(theirs, heads, D, positions, t.cos, t.sin);
        const double absolute = 4 * 0x1p-24 * 2 * largest(widened(x)) + smallest_rounding(dtype);
        Tensor first;
        for (int run = 0; run < kRuns; ++run) {
          const Tensor ours = ops::on(Device::cuda, x.clone());
          op(ours, heads, D, to_gpu(positions), to_gpu(t.cos), to_gpu(t.sin));
          EXPECT_TRUE(near_twin(ours, theirs, 1.01 * unit_roundoff(dtype), absolute))
              << python_name(dtype) << " " << B << " x " << T << ", " << heads << " heads of " << D;
          if (run > 0) {
            EXPECT_TRUE(same_on_gpu(first, ours));
          }
          first = ours;
        }
      }
    }
  }
}

}  // namespace
}  // namespace qlora
