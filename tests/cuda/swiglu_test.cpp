// SwiGLU and GeGLU on the GPU beside the CPU.
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

// Of the sigmoid at |p|: the GPU's exponential is within 2 + 1.173 |p| units of 2^-23 and its
// quotient and sum within 4 more, the CPU's sigmoid is within 7. A relative error of p counts |p|
// times: GeGLU's p has two rounded constants and four products and sums, on both sides.
double sigmoid_bound(double p, GateActivation activation) {
  const double of_p = activation == GateActivation::silu ? 0.0 : 6 * p;
  return (13 + 1.2 * p + of_p) * 0x1p-23;
}

// |p(z)| and |z·p'(z)| at most, for |z| at most.
double p_at(double z, GateActivation activation) {
  return activation == GateActivation::silu ? z : 1.5958 * z * (1 + 0.044715 * z * z);
}
double growth_at(double z, GateActivation activation) {
  return activation == GateActivation::silu ? z : 1.5958 * z * (1 + 3 * 0.044715 * z * z);
}

class CudaSwiglu : public ::testing::TestWithParam<GateActivation> {};

INSTANTIATE_TEST_SUITE_P(Activations, CudaSwiglu,
                         ::testing::Values(GateActivation::silu, GateActivation::gelu_tanh));

// Two products on each side come on top, and the format's rounding. Where e^−p is above 2^126 the
// GPU's sigmoid is 0: then the product is below 2^-126 of the inputs' own.
TEST_P(CudaSwiglu, ForwardIsItsTwin) {
  SKIP_WITHOUT_GPU();
  const GateActivation activation = GetParam();
  for (const DType dtype : kDeviceTypes) {
    for (const auto [rows, F] : kSizes) {
      const Tensor gate_up = random_tensor(dtype, {rows, 2 * F}, 1, 3.0f);
      const Tensor y = Tensor::empty(DType::f32, {rows, F});
      ops::swiglu_forward(widened(gate_up), y, activation);
      const double z = largest(widened(gate_up));
      const double relative = sigmoid_bound(p_at(z, activation), activation) + 4 * 0x1p-24;
      Tensor first;
      for (int run = 0; run < kRuns; ++run) {
        const Tensor ours = poisoned(dtype, {rows, F + rows % 3 * 8});
        ops::swiglu_forward(to_gpu(gate_up), ours, activation);
        EXPECT_TRUE(near_twin(ours, y, 1.01 * (relative + unit_roundoff(dtype)),
                              1.01 * smallest_rounding(dtype) + z * z * 0x1p-125))
            << python_name(dtype) << " " << rows << " x " << F;
        if (run > 0) {
          EXPECT_TRUE(same_on_gpu(first, ours));
        }
        first = ours;
      }
    }
  }
}

// dgate = dy·up·σ·(1 + g(1−σ)) with g = z·p'(z), |g| <= G, changes with σ by dy·up·(1 + g(1−2σ)),
// where an error of σ of ε σ counts ε·(1 + G) at most; each of the few products and sums, g's own
// among them, rounds to u·(1 + G) of dy·up.
TEST_P(CudaSwiglu, BackwardIsItsTwin) {
  SKIP_WITHOUT_GPU();
  const GateActivation activation = GetParam();
  for (const DType dtype : kDeviceTypes) {
    for (const auto [rows, F] : kSizes) {
      const Tensor gate_up = random_tensor(dtype, {rows, 2 * F}, 1),
                   dy = random_tensor(dtype, {rows, F}, 2);
      const Tensor theirs = Tensor::empty(DType::f32, {rows, 2 * F});
      ops::swiglu_backward(widened(gate_up), widened(dy), theirs, activation);
      const double z = largest(widened(gate_up)), factor = z * largest(widened(dy));
      const double absolute = factor * (1 + growth_at(z, activation)) *
                              (sigmoid_bound(p_at(z, activation), activation) + 24 * 0x1p-24);
      Tensor first;
      for (int run = 0; run < kRuns; ++run) {
        const Tensor ours = poisoned(dtype, {rows, 2 * F + rows % 3 * 8});
        ops::swiglu_backward(to_gpu(gate_up), to_gpu(dy), ours, activation);
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
