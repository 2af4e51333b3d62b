// The QLoRA linear: a frozen base in 4 bits, and adapters beside it, against sums by the
// definition.
#include "ops/linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::all_close;
using testing::close_to_largest;
using testing::matches_finite_differences;
using testing::normal_tensor;
using testing::same_bytes;

constexpr std::int64_t kTokens = 4, kK = 24;

// In double: sums of 24 products of numbers up to four, and of up to 12 of their sums:
// eps · 36 · 24 · 16 = 3e-12.
constexpr double kDouble = 5e-12;
// In float, of the largest: eps · 36 = 2e-6.
constexpr double kFloat = 5e-6;

Tensor zeros(Shape shape) {
  return Tensor::zeros(DType::f64, std::move(shape));
}

Tensor poisoned(Shape shape) {
  Tensor t = Tensor::empty(DType::f64, std::move(shape));
  for (double& value : t.span<double>()) value = std::numeric_limits<double>::quiet_NaN();
  return t;
}

Adapter adapter_of(std::int64_t N, std::int64_t R, std::uint64_t seed) {
  Adapter a;
  a.A = normal_tensor({R, kK}, seed);
  a.B = normal_tensor({N, R}, seed + 1);
  a.grad_A = zeros({R, kK});
  a.grad_B = zeros({N, R});
  a.scaling = 0.5 * static_cast<double>(seed % 7 + 1);
  a.stream = seed;
  return a;
}

// Three projections of one input, as q, k and v: of 3, 5 and 4 rows, in NF4 with double
// quantization. The first has no adapter, the second two, the third one.
LinearGroup group_in_nf4() {
  LinearGroup group;
  group.K = kK;
  for (const std::int64_t N : {3, 5, 4}) {
    Projection p;
    p.N = N;
    p.quantized =
        quantize_4bit(normal_tensor({N, kK}, 40 + static_cast<std::uint64_t>(N)).to(DType::f32),
                      QuantType::nf4, 64, true);
    group.parts.push_back(p);
  }
  group.parts[1].adapters = {adapter_of(5, 2, 10), adapter_of(5, 3, 20)};
  group.parts[2].adapters = {adapter_of(4, 1, 30)};
  return group;
}

std::vector<Adapter> adapters_of(const LinearGroup& group) {
  std::vector<Adapter> all;
  for (const Projection& p : group.parts) {
    all.insert(all.end(), p.adapters.begin(), p.adapters.end());
  }
  return all;
}

// The dense base (ΣN,K).
Tensor base_of(const LinearGroup& group) {
  if (group.weight) return group.weight;
  const Tensor W = Tensor::empty(DType::f32, {group.N(), group.K});
  float* row = W.data<float>();
  for (const Projection& p : group.parts) {
    dequantize_codes(p, row);
    row += p.N * group.K;
  }
  return W.to(DType::f64);
}

// The base with every update multiplied out: W + s · B · A, of the rows of each part.
Tensor effective(const LinearGroup& group) {
  const Tensor W = base_of(group).clone();
  double* rows = W.data<double>();
  for (const Projection& p : group.parts) {
    for (const Adapter& a : p.adapters) {
      const std::int64_t R = a.A.dim(0);
      for (std::int64_t n = 0; n < p.N; ++n) {
        for (std::int64_t k = 0; k < group.K; ++k) {
          double sum = 0;
          for (std::int64_t r = 0; r < R; ++r) {
            sum += a.B.data<double>()[n * R + r] * a.A.data<double>()[r * group.K + k];
          }
          rows[n * group.K + k] += a.scaling * sum;
        }
      }
    }
    rows += p.N * group.K;
  }
  return W;
}

// x (T,K) · Wᵀ (N,K), by the definition.
Tensor product(const Tensor& x, const Tensor& W) {
  const std::int64_t K = x.dim(1), N = W.dim(0);
  const Tensor y = zeros({x.dim(0), N});
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    for (std::int64_t k = 0; k < K; ++k) {
      y.data<double>()[i] += x.data<double>()[i / N * K + k] * W.data<double>()[i % N * K + k];
    }
  }
  return y;
}

Tensor forward(const LinearGroup& group, const Tensor& x, const Tensor& residual = Tensor(),
               const DropoutRun& run = {}, const LinearSaved* saved = nullptr) {
  Arena arena;
  Tensor y = poisoned({x.dim(0), group.N()});
  cpu::linear_forward<double>(group, x, residual, run, arena, y, saved);
  return y;
}

// A pass forward and back; dx, and the adapters' gradients in the group.
struct Pass {
  Arena arena;
  Tensor x = normal_tensor({kTokens, kK}, 2), dy, dx = poisoned({kTokens, kK});

  explicit Pass(const LinearGroup& group, const DropoutRun& run = {})
      : dy(normal_tensor({kTokens, group.N()}, 4)) {
    const LinearSaved saved = take_saved(group, kTokens, DType::f64, arena);
    cpu::linear_forward<double>(group, x, Tensor(), run, arena, poisoned(dy.shape()), &saved);
    cpu::linear_backward<double>(group, x, saved, run, dy, arena, dx);
  }
};

TEST(QloraLinear, IsTheDequantizedBaseAndTheUpdate) {
  const LinearGroup group = group_in_nf4();
  const Tensor x = normal_tensor({kTokens, kK}, 2);
  EXPECT_TRUE(all_close(forward(group, x), product(x, effective(group)), kDouble));
}

TEST(QloraLinear, PartsStandSideBySide) {
  LinearGroup group = group_in_nf4();
  for (Projection& p : group.parts) p.adapters.clear();
  const Tensor x = normal_tensor({kTokens, kK}, 2);
  EXPECT_TRUE(all_close(forward(group, x), product(x, base_of(group)), kDouble));
}

TEST(QloraLinear, AnAdapterReachesTheColumnsOfItsPartOnly) {
  LinearGroup group = group_in_nf4();
  const Tensor x = normal_tensor({kTokens, kK}, 2), with = forward(group, x);
  group.parts[1].adapters.clear();
  const Tensor without = forward(group, x);
  for (std::int64_t i = 0; i < with.numel(); ++i) {
    const std::int64_t column = i % 12;
    const bool reached = column >= 3 && column < 8;
    EXPECT_EQ(with.data<double>()[i] != without.data<double>()[i], reached) << column;
  }
}

TEST(QloraLinear, AddsTheResidual) {
  for (const bool dense : {false, true}) {
    LinearGroup group = group_in_nf4();
    if (dense) group.weight = base_of(group);
    const Tensor x = normal_tensor({kTokens, kK}, 2);
    const Tensor residual = normal_tensor({kTokens, 12}, 3), before = residual.clone();
    Tensor expected = product(x, effective(group));
    for (std::int64_t i = 0; i < expected.numel(); ++i) {
      expected.data<double>()[i] += before.data<double>()[i];
    }
    EXPECT_TRUE(all_close(forward(group, x, residual), expected, kDouble)) << dense;
    EXPECT_TRUE(same_bytes(residual, before)) << "the residual is another's";
  }
}

TEST(QloraLinear, SavesTheInputThroughEachA) {
  const LinearGroup group = group_in_nf4();
  const Tensor x = normal_tensor({kTokens, kK}, 2);
  Arena arena;
  const LinearSaved saved = take_saved(group, kTokens, DType::f64, arena);
  const Tensor y = forward(group, x, Tensor(), {}, &saved);
  const std::vector<Adapter> adapters = adapters_of(group);
  ASSERT_EQ(saved.u.size(), adapters.size());
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    EXPECT_TRUE(all_close(saved.u[i], product(x, adapters[i].A), kDouble)) << i;
  }
  EXPECT_TRUE(same_bytes(y, forward(group, x))) << "and what is saved changes nothing";
}

// With checkpointing u is made again before the backward pass, where nobody wants y.
TEST(QloraLinear, WithoutAnOutputOnlyUIsMade) {
  const LinearGroup group = group_in_nf4();
  const Tensor x = normal_tensor({kTokens, kK}, 2);
  Arena arena;
  const LinearSaved saved = take_saved(group, kTokens, DType::f64, arena);
  cpu::linear_forward<double>(group, x, Tensor(), {}, arena, Tensor(), &saved);
  const std::vector<Adapter> adapters = adapters_of(group);
  for (std::size_t i = 0; i < adapters.size(); ++i) {
    EXPECT_TRUE(all_close(saved.u[i], product(x, adapters[i].A), kDouble)) << i;
  }
}

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

TEST(QloraLinear, DropoutIsOfTheAdaptersAndOfTrainingOnly) {
  LinearGroup group = group_in_nf4();
  const Tensor x = normal_tensor({kTokens, kK}, 2), plain = forward(group, x);
  for (Projection& p : group.parts) {
    for (Adapter& a : p.adapters) a.dropout = 0.4f;
  }
  const DropoutRun training{true, 5, 11}, evaluation{false, 5, 11};
  EXPECT_TRUE(same_bytes(forward(group, x, Tensor(), evaluation), plain));
  const Tensor dropped = forward(group, x, Tensor(), training);
  for (std::int64_t t = 0; t < kTokens; ++t) {
    for (std::int64_t n = 0; n < 3; ++n) {  // of the part without adapters
      EXPECT_EQ(dropped.data<double>()[t * 12 + n], plain.data<double>()[t * 12 + n]);
    }
  }
  EXPECT_FALSE(same_bytes(dropped, plain));
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
