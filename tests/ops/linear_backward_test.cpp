// The QLoRA linear back: gradients of the adapters, and the one that passes the frozen base.
#include <gtest/gtest.h>

#include <cmath>

#include "linear_by_hand.h"

namespace qlora {
namespace {

using testing::adapters_of;
using testing::all_close;
using testing::base_of;
using testing::close_to_largest;
using testing::effective;
using testing::forward;
using testing::group_in_nf4;
using testing::kDouble;
using testing::kFloat;
using testing::kK;
using testing::kTokens;
using testing::matches_finite_differences;
using testing::normal_tensor;
using testing::Pass;
using testing::product;
using testing::same_bytes;
using testing::zeros;

TEST(QloraLinear, GradientsMatchFiniteDifferences) {
  const LinearGroup group = group_in_nf4();
  const Pass pass(group);
  const auto loss = [&] { return testing::weighted_sum(forward(group, pass.x), pass.dy); };
  EXPECT_TRUE(matches_finite_differences(loss, pass.x, pass.dx));
  for (const Adapter& a : adapters_of(group)) {
    EXPECT_TRUE(matches_finite_differences(loss, a.A, a.grad_A)) << a.stream;
    EXPECT_TRUE(matches_finite_differences(loss, a.B, a.grad_B)) << a.stream;
  }
}

TEST(QloraLinear, TheInputGradientPassesBaseAndUpdates) {
  const LinearGroup group = group_in_nf4();
  const Pass pass(group);
  const Tensor W = effective(group);
  Tensor transposed = zeros({kK, 12});
  for (std::int64_t i = 0; i < W.numel(); ++i) {
    transposed.data<double>()[i % kK * 12 + i / kK] = W.data<double>()[i];
  }
  EXPECT_TRUE(all_close(pass.dx, product(pass.dy, transposed), kDouble)) << "dy · W, overwritten";
}

TEST(QloraLinear, MicroBatchesAddUp) {
  const LinearGroup group = group_in_nf4();
  const Pass first(group);
  std::vector<Tensor> once;
  for (const Adapter& a : adapters_of(group)) {
    once.push_back(a.grad_A.clone());
    once.push_back(a.grad_B.clone());
  }
  const Pass second(group);  // the same rows again
  std::size_t i = 0;
  for (const Adapter& a : adapters_of(group)) {
    for (const Tensor& gradient : {a.grad_A, a.grad_B}) {
      for (double& value : once[i].span<double>()) value *= 2;
      EXPECT_TRUE(all_close(gradient, once[i++], kDouble)) << a.stream;
    }
  }
  EXPECT_TRUE(same_bytes(first.dx, second.dx)) << "dx is not added to";
}

TEST(QloraLinear, InputGradientIsOptional) {
  const LinearGroup group = group_in_nf4(), other = group_in_nf4();
  const Pass pass(group);
  Arena arena;
  const LinearSaved saved = take_saved(other, kTokens, DType::f64, arena);
  cpu::linear_forward<double>(other, pass.x, Tensor(), {}, arena, zeros(pass.dy.shape()), &saved);
  cpu::linear_backward<double>(other, pass.x, saved, {}, pass.dy, arena, Tensor());
  const std::vector<Adapter> with = adapters_of(group), without = adapters_of(other);
  for (std::size_t i = 0; i < with.size(); ++i) {
    EXPECT_TRUE(same_bytes(with[i].grad_A, without[i].grad_A)) << i;
    EXPECT_TRUE(same_bytes(with[i].grad_B, without[i].grad_B)) << i;
  }
}

TEST(QloraLinear, TheBaseStaysAsItIs) {
  const LinearGroup group = group_in_nf4();
  std::vector<Tensor> before;
  for (const Projection& p : group.parts) {
    before.push_back(p.quantized->packed.clone());
    before.push_back(p.quantized->absmax.clone());
  }
  const Pass pass(group);
  std::size_t i = 0;
  for (const Projection& p : group.parts) {
    EXPECT_TRUE(same_bytes(p.quantized->packed, before[i++]));
    EXPECT_TRUE(same_bytes(p.quantized->absmax, before[i++]));
  }
}

// Full fine-tuning: the gradient of a dense base is added to where there is room for it.
TEST(QloraLinear, ADenseBaseGetsAGradientWhereOneIsAskedFor) {
  LinearGroup group = group_in_nf4();
  group.weight = base_of(group);
  group.grad_weight = zeros({12, kK});
  const Pass pass(group);
  const auto loss = [&] { return testing::weighted_sum(forward(group, pass.x), pass.dy); };
  EXPECT_TRUE(matches_finite_differences(loss, group.weight, group.grad_weight));
  const Tensor once = group.grad_weight.clone();
  const Pass again(group);
  for (double& value : once.span<double>()) value *= 2;
  EXPECT_TRUE(all_close(group.grad_weight, once, kDouble));
}

TEST(QloraLinear, EachAdapterHasItsOwnMaskInBothPasses) {
  LinearGroup group = group_in_nf4();
  for (Projection& p : group.parts) {
    for (Adapter& a : p.adapters) a.dropout = 0.4f;
  }
  const DropoutRun run{true, 5, 11};
  const Pass pass(group, run);
  const auto loss = [&] {
    return testing::weighted_sum(forward(group, pass.x, Tensor(), run), pass.dy);
  };
  EXPECT_TRUE(matches_finite_differences(loss, pass.x, pass.dx));
  for (const Adapter& a : adapters_of(group)) {
    EXPECT_TRUE(matches_finite_differences(loss, a.A, a.grad_A)) << a.stream;
    EXPECT_TRUE(matches_finite_differences(loss, a.B, a.grad_B)) << a.stream;
  }
  // Two adapters that are equal but for their stream see inputs that are not.
  Adapter& a = group.parts[1].adapters[0];
  Adapter& b = group.parts[1].adapters[1];
  b.A = a.A;
  b.B = a.B;
  Arena arena;
  const LinearSaved saved = take_saved(group, kTokens, DType::f64, arena);
  forward(group, pass.x, Tensor(), run, &saved);
  EXPECT_FALSE(same_bytes(saved.u[0], saved.u[1]));
}

// In float32, as a model computes; and scratch is given back.
TEST(QloraLinear, FloatAgreesWithDoubleAndScratchIsGivenBack) {
  const LinearGroup wide = group_in_nf4();
  LinearGroup group = wide;
  for (Projection& p : group.parts) {
    for (Adapter& a : p.adapters) {
      for (Tensor* t : {&a.A, &a.B, &a.grad_A, &a.grad_B}) *t = t->to(DType::f32);
    }
  }
  const Pass pass(wide);
  const Tensor x = pass.x.to(DType::f32), dy = pass.dy.to(DType::f32);
  const Tensor y = Tensor::zeros(DType::f32, dy.shape()), dx = Tensor::zeros(DType::f32, x.shape());
  Arena arena;
  const LinearSaved saved = take_saved(group, kTokens, DType::f32, arena);
  const Arena::Mark before = arena.mark();
  cpu::linear_forward<float>(group, x, Tensor(), {}, arena, y, &saved);
  cpu::linear_backward<float>(group, x, saved, {}, dy, arena, dx);
  EXPECT_EQ(arena.mark().block, before.block);
  EXPECT_EQ(arena.mark().offset, before.offset);
  EXPECT_TRUE(close_to_largest(y, forward(wide, pass.x), kFloat));
  EXPECT_TRUE(close_to_largest(dx, pass.dx, kFloat));
  const std::vector<Adapter> narrow = adapters_of(group), full = adapters_of(wide);
  for (std::size_t i = 0; i < narrow.size(); ++i) {
    EXPECT_TRUE(close_to_largest(narrow[i].grad_A, full[i].grad_A, kFloat)) << i;
    EXPECT_TRUE(close_to_largest(narrow[i].grad_B, full[i].grad_B, kFloat)) << i;
  }
}

// A base in int8 multiplies codes: what int8_product() gives, to the bit, and the residual.
TEST(QloraLinear, ABaseInInt8MultipliesCodes) {
  LinearGroup group;
  group.K = kK;
  for (const std::int64_t N : {3, 5}) {
    Projection p;
    p.N = N;
    p.int8 =
        quantize_int8(normal_tensor({N, kK}, 50 + static_cast<std::uint64_t>(N)).to(DType::f32));
    group.parts.push_back(p);
  }
  const Tensor x = normal_tensor({kTokens, kK}, 2, 3.0).to(DType::f32);
  const Tensor residual = normal_tensor({kTokens, 8}, 3).to(DType::f32);
  const Tensor y = Tensor::zeros(DType::f32, {kTokens, 8}), expected = y.clone();
  Arena arena;
  cpu::int8_product(group, x, arena, expected.data<float>());
  cpu::linear_forward<float>(group, x, Tensor(), {}, arena, y, nullptr);
  EXPECT_TRUE(same_bytes(y, expected));
  cpu::linear_forward<float>(group, x, residual, {}, arena, y, nullptr);
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    expected.data<float>()[i] += residual.data<float>()[i];
  }
  EXPECT_TRUE(same_bytes(y, expected));
  // Backward the codes are numbers: dx = dy · dequant(W).
  const Tensor dx = Tensor::zeros(DType::f32, x.shape());
  cpu::linear_backward<float>(group, x, {}, {}, residual, arena, dx);
  Tensor transposed = zeros({kK, 8});
  const Tensor W = base_of(group);
  for (std::int64_t i = 0; i < W.numel(); ++i) {
    transposed.data<double>()[i % kK * 8 + i / kK] = W.data<double>()[i];
  }
  EXPECT_TRUE(close_to_largest(dx, product(residual.to(DType::f64), transposed), kFloat));
}

// DoRA (chapter 16) is another's arithmetic: y = m / ‖W + s · B · A‖ ⊙ (W + s · B · A) x.
TEST(QloraLinear, PartsWithMagnitudesAreDoras) {
  LinearGroup group = group_in_nf4();
  Adapter& a = group.parts[2].adapters[0];
  a.magnitude = normal_tensor({4}, 60);
  a.grad_magnitude = zeros({4});
  const Tensor W = effective(group);
  for (std::int64_t n = 0; n < 4; ++n) {
    double* row = W.data<double>() + (8 + n) * kK;
    double squares = 0;
    for (std::int64_t k = 0; k < kK; ++k) squares += row[k] * row[k];
    const double to = a.magnitude.data<double>()[n] / std::sqrt(squares);
    for (std::int64_t k = 0; k < kK; ++k) row[k] *= to;
  }
  const Pass pass(group);
  const Tensor residual = normal_tensor({kTokens, 12}, 3);
  Tensor expected = product(pass.x, W);
  EXPECT_TRUE(all_close(forward(group, pass.x), expected, kDouble));
  for (std::int64_t i = 0; i < expected.numel(); ++i) {
    expected.data<double>()[i] += residual.data<double>()[i];
  }
  EXPECT_TRUE(all_close(forward(group, pass.x, residual), expected, kDouble));
  const auto loss = [&] { return testing::weighted_sum(forward(group, pass.x), pass.dy); };
  EXPECT_TRUE(matches_finite_differences(loss, pass.x, pass.dx));
  EXPECT_TRUE(matches_finite_differences(loss, a.magnitude, a.grad_magnitude));
}

}  // namespace
}  // namespace qlora
