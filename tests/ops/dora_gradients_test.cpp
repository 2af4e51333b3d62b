// DoRA within a group of linear layers against finite differences in double.
#include <gtest/gtest.h>

#include "linear_run.h"
#include "ops/ops.h"
#include "support/finite_difference.h"

namespace qlora {
namespace {

using testing::LinearRun;
using testing::matches_finite_differences;
using testing::normal_tensor;

constexpr std::int64_t kK = 7;

Tensor zeros(Shape shape) {
  return Tensor::zeros(DType::f64, std::move(shape));
}

// Two projections of three and five rows; the second has an adapter of DoRA.
LinearGroup dora_group(bool dense) {
  LinearGroup group;
  group.K = kK;
  if (dense) group.weight = normal_tensor({8, kK}, 1);
  for (const std::int64_t N : {3, 5}) {
    Projection p;
    p.N = N;
    if (!dense) {
      p.quantized =
          quantize_4bit(normal_tensor({N, kK}, 40 + static_cast<std::uint64_t>(N)).to(DType::f32),
                        QuantType::nf4, 64, true);
    }
    group.parts.push_back(p);
  }
  Adapter a;
  a.A = normal_tensor({2, kK}, 10);
  a.B = normal_tensor({5, 2}, 20);
  a.magnitude = normal_tensor({5}, 30);
  a.grad_A = zeros(a.A.shape());
  a.grad_B = zeros(a.B.shape());
  a.grad_magnitude = zeros({5});
  a.scaling = 0.5;
  a.dropout = 0.3f;
  a.stream = 7;
  group.parts[1].adapters.push_back(a);
  return group;
}

void check_dora(const LinearGroup& group, const DropoutRun& run) {
  LinearRun pass(group, run);
  const auto f = [&] { return pass.loss(); };
  const Adapter& a = group.parts[1].adapters[0];
  EXPECT_TRUE(matches_finite_differences(f, pass.x, pass.dx));
  EXPECT_TRUE(matches_finite_differences(f, pass.residual, pass.w));
  EXPECT_TRUE(matches_finite_differences(f, a.magnitude, a.grad_magnitude));

  // The norm is a constant: magnitudes that keep their ratio to it see it so.
  Tensor W = Tensor::zeros(DType::f64, {5, kK});
  if (group.weight) {
    W = group.weight.rows(3, 8);
  } else {
    const Tensor floats = Tensor::zeros(DType::f32, W.shape());
    dequantize_codes(group.parts[1], floats.data<float>());
    W = floats.to(DType::f64);
  }
  const Tensor norm = zeros({5}), ratio = zeros({5});
  ops::dora_norm(W, a, norm);
  for (std::int64_t n = 0; n < 5; ++n) {
    ratio.data<double>()[n] = a.magnitude.data<double>()[n] / norm.data<double>()[n];
  }
  const auto with_constant_norm = [&] {
    ops::dora_norm(W, a, norm);
    for (std::int64_t n = 0; n < 5; ++n) {
      a.magnitude.data<double>()[n] = ratio.data<double>()[n] * norm.data<double>()[n];
    }
    return f();
  };
  EXPECT_TRUE(matches_finite_differences(with_constant_norm, a.A, a.grad_A));
  EXPECT_TRUE(matches_finite_differences(with_constant_norm, a.B, a.grad_B));
}

TEST(Gradients, DoraOnADenseLinear) {
  check_dora(dora_group(true), {});
}
TEST(Gradients, DoraOnADenseLinearWithDropout) {
  check_dora(dora_group(true), {true, 5, 11});
}
TEST(Gradients, DoraOnAQuantizedLinear) {
  check_dora(dora_group(false), {});
}
TEST(Gradients, DoraOnAQuantizedLinearWithDropout) {
  check_dora(dora_group(false), {true, 5, 11});
}

TEST(Gradients, DoraBesideAnotherAdapterIsRefused) {
  LinearGroup group = dora_group(true);
  group.parts[1].adapters.push_back(group.parts[1].adapters[0]);
  Arena arena;
  const Tensor x = zeros({4, 7}), y = zeros({4, 8});
  const LinearSaved saved = take_saved(group, 4, DType::f64, arena);
  ops::linear_forward(group, x, Tensor(), {}, arena, y, &saved);
  EXPECT_THROW(ops::linear_backward(group, x, saved, {}, y, arena, Tensor()),
               std::invalid_argument);
}

}  // namespace
}  // namespace qlora
