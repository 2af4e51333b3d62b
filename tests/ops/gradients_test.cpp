// Every op's backward pass against finite differences in double, at odd sizes.
#include <gtest/gtest.h>

#include "linear_run.h"
#include "ops/ops.h"
#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora {

void PrintTo(const AttentionShape& s, std::ostream* out) {
  *out << "B" << s.B << " T" << s.T << " S" << s.S << " H" << s.H << " K" << s.K << " D" << s.D;
}

namespace {

using testing::LinearRun;
using testing::matches_finite_differences;
using testing::normal_tensor;
using testing::same_bytes;
using testing::weighted_sum;

Tensor zeros(Shape shape) {
  return Tensor::zeros(DType::f64, std::move(shape));
}

TEST(Gradients, RmsNorm) {
  for (const double offset : {0.0, 1.0}) {  // Llama's, and Gemma's of 1 + weight
    const std::int64_t rows = 5, C = 7;
    const Tensor x = normal_tensor({rows, C}, 1), weight = normal_tensor({C}, 2);
    const Tensor w = normal_tensor({rows, C}, 3), y = zeros({rows, C}), rstd = zeros({rows});
    const auto f = [&] {
      ops::rms_norm_forward(x, weight, 1e-5, y, rstd, offset);
      return weighted_sum(y, w);
    };
    f();
    const Tensor dx = zeros({rows, C}), dweight = zeros({C});
    ops::rms_norm_backward(w, x, weight, rstd, dx, dweight, offset);
    EXPECT_TRUE(matches_finite_differences(f, x, dx)) << offset;
    EXPECT_TRUE(matches_finite_differences(f, weight, dweight)) << offset;
    // Both are added to what is there: a second call doubles them.
    const Tensor once = dx.clone();
    ops::rms_norm_backward(w, x, weight, rstd, dx, dweight, offset);
    for (std::int64_t i = 0; i < dx.numel(); ++i) {
      EXPECT_EQ(dx.data<double>()[i], 2 * once.data<double>()[i]);
    }
  }
}

TEST(Gradients, Rope) {
  const std::int64_t B = 2, T = 3, heads = 3, D = 6, columns = 20;  // two columns are not rotated
  const Tensor x = normal_tensor({B * T, columns}, 1), w = normal_tensor({B * T, columns}, 2);
  const Tensor cos = normal_tensor({T + 4, D / 2}, 3).to(DType::f32);
  const Tensor sin = normal_tensor({T + 4, D / 2}, 4).to(DType::f32);
  const std::vector<std::int32_t> at{4, 5, 6, 0, 1, 0};  // a cached row, and a packed one
  const Tensor positions = Tensor::from<std::int32_t>(at, {B * T});
  const auto f = [&] {
    const Tensor y = x.clone();
    ops::rope_forward(y, heads, D, positions, cos, sin);
    return weighted_sum(y, w);
  };
  const Tensor dx = w.clone();
  ops::rope_backward(dx, heads, D, positions, cos, sin);
  EXPECT_TRUE(matches_finite_differences(f, x, dx));
}

TEST(Gradients, SwiGluAndGeGlu) {
  for (const GateActivation activation : {GateActivation::silu, GateActivation::gelu_tanh}) {
    const std::int64_t rows = 3, F = 5;
    const Tensor gate_up = normal_tensor({rows, 2 * F}, 1, 3.0), w = normal_tensor({rows, F}, 2);
    const Tensor y = zeros({rows, F}), gradient = zeros({rows, 2 * F});
    const auto f = [&] {
      ops::swiglu_forward(gate_up, y, activation);
      return weighted_sum(y, w);
    };
    ops::swiglu_backward(gate_up, w, gradient, activation);
    EXPECT_TRUE(matches_finite_differences(f, gate_up, gradient)) << static_cast<int>(activation);
  }
}

TEST(Gradients, Embedding) {
  for (const double scale : {1.0, 1.75}) {
    const std::int64_t V = 5, C = 3;
    const std::vector<std::int32_t> some{4, 0, 4, 2};  // one token twice, others not at all
    const Tensor ids = Tensor::from<std::int32_t>(some, {4});
    const Tensor table = normal_tensor({V, C}, 1), w = normal_tensor({4, C}, 2);
    const Tensor x = zeros({4, C}), dtable = zeros({V, C});
    const auto f = [&] {
      ops::embedding_forward(table, ids, x, scale);
      return weighted_sum(x, w);
    };
    ops::embedding_backward(w, ids, dtable, scale);
    EXPECT_TRUE(matches_finite_differences(f, table, dtable)) << scale;
    f();
    EXPECT_EQ(x.data<double>()[0], scale * table.data<double>()[4 * C]);
  }
}

class AttentionGradients : public ::testing::TestWithParam<AttentionShape> {};

TEST_P(AttentionGradients, WithPaddingInTheMask) {
  const AttentionShape s = GetParam();
  const std::int64_t columns = (s.H + 2 * s.K) * s.D;
  const Tensor qkv = normal_tensor({s.B * s.T, columns}, 1);
  const Tensor w = normal_tensor({s.B * s.T, s.H * s.D}, 2);
  const Tensor mask = Tensor::zeros(DType::i32, {s.B, s.T});
  for (std::int64_t i = 0; i < s.B * s.T; ++i) {
    const bool left_padding = i / s.T == 1 && i % s.T < 2;  // those queries see nothing at all
    const bool hole = i / s.T == 0 && i % s.T == 1;
    mask.data<std::int32_t>()[i] = left_padding || hole ? 0 : 1;
  }
  const Tensor out = zeros({s.B * s.T, s.H * s.D}), lse = zeros({s.B, s.H, s.T});
  const auto f = [&] {
    ops::attention_forward(s, qkv, mask, out, lse);
    return weighted_sum(out, w);
  };
  f();
  const Tensor dqkv = normal_tensor(qkv.shape(), 9);  // must be overwritten
  Arena arena;
  ops::attention_backward(s, qkv, mask, out, lse, w, arena, dqkv);
  EXPECT_TRUE(matches_finite_differences(f, qkv, dqkv));
}

// More than one query head a key-value head, odd sizes, B ≠ 1, and more
// queries than one block (64).
INSTANTIATE_TEST_SUITE_P(Shapes, AttentionGradients,
                         ::testing::Values(AttentionShape{2, 5, 5, 6, 2, 4},
                                           AttentionShape{3, 7, 7, 3, 1, 2},
                                           AttentionShape{2, 67, 67, 2, 1, 2}));

Tensor targets_of(std::vector<std::int32_t> values) {
  const auto n = static_cast<std::int64_t>(values.size());
  return Tensor::from<std::int32_t>(values, {n});
}

TEST(Gradients, HeadCrossEntropyWithIgnoredLabels) {
  const std::int64_t rows = 6, C = 5, V = 7;
  const Tensor x = normal_tensor({rows, C}, 1), head = normal_tensor({V, C}, 2);
  const Tensor targets = targets_of({3, -100, 0, 6, -100, 3});
  Arena arena;
  const double scale = 0.37;
  const auto f = [&] {
    return scale *
           ops::head_cross_entropy(x, head, targets, 0, arena, Tensor(), Tensor(), Tensor());
  };
  const Tensor dx = normal_tensor({rows, C}, 3), dhead = zeros({V, C});
  ops::head_cross_entropy(x, head, targets, scale, arena, dx, dhead, Tensor());
  EXPECT_TRUE(matches_finite_differences(f, x, dx));
  EXPECT_TRUE(matches_finite_differences(f, head, dhead));
  for (std::int64_t c = 0; c < C; ++c) EXPECT_EQ(dx.data<double>()[1 * C + c], 0.0);
}

TEST(Gradients, HeadCrossEntropyInSeveralChunks) {
  const std::int64_t rows = 600, C = 3, V = 4;  // chunks are of 256 positions
  const Tensor x = normal_tensor({rows, C}, 1), head = normal_tensor({V, C}, 2);
  std::vector<std::int32_t> values(rows);
  for (std::int32_t i = 0; i < rows; ++i) {
    values[static_cast<std::size_t>(i)] = i % 5 == 0 ? -100 : i % 4;
  }
  const Tensor targets = targets_of(values);
  Arena arena;
  const auto f = [&] {
    return ops::head_cross_entropy(x, head, targets, 0, arena, Tensor(), Tensor(), Tensor());
  };
  const Tensor dx = zeros({rows, C}), dhead = zeros({V, C});
  ops::head_cross_entropy(x, head, targets, 1.0, arena, dx, dhead, Tensor());
  EXPECT_TRUE(matches_finite_differences(f, head, dhead));
  EXPECT_TRUE(matches_finite_differences(f, x, dx));
}

// A group of two projections; the second has two adapters, the first none.
LinearGroup group_of(std::int64_t K, bool dense) {
  LinearGroup group;
  group.K = K;
  const std::int64_t sizes[] = {3, 5};
  if (dense) group.weight = normal_tensor({8, K}, 1);
  for (std::int64_t N : sizes) {
    Projection p;
    p.N = N;
    if (!dense) {
      p.quantized =
          quantize_4bit(normal_tensor({N, K}, 40 + static_cast<std::uint64_t>(N)).to(DType::f32),
                        QuantType::nf4, 64, true);
    }
    group.parts.push_back(p);
  }
  for (std::uint64_t i = 0; i < 2; ++i) {
    const std::int64_t R = 2 + static_cast<std::int64_t>(i);
    Adapter a;
    a.A = normal_tensor({R, K}, 10 + i);
    a.B = normal_tensor({5, R}, 20 + i);
    a.grad_A = zeros({R, K});
    a.grad_B = zeros({5, R});
    a.scaling = 0.5 + static_cast<double>(i);
    a.dropout = 0.3f;
    a.stream = 7 + i;
    group.parts[1].adapters.push_back(a);
  }
  return group;
}

void check_linear(LinearGroup group, const DropoutRun& run) {
  if (group.weight) group.grad_weight = zeros(group.weight.shape());
  LinearRun pass(group, run);
  const auto f = [&] { return pass.loss(); };
  EXPECT_TRUE(matches_finite_differences(f, pass.x, pass.dx));
  EXPECT_TRUE(matches_finite_differences(f, pass.residual, pass.w));
  if (group.weight) {
    EXPECT_TRUE(matches_finite_differences(f, group.weight, group.grad_weight));
  }
  for (const Adapter& a : group.parts[1].adapters) {
    EXPECT_TRUE(matches_finite_differences(f, a.A, a.grad_A));
    EXPECT_TRUE(matches_finite_differences(f, a.B, a.grad_B));
  }
}

TEST(Gradients, DenseLinear) {
  check_linear(group_of(7, true), {});
}
TEST(Gradients, DenseLinearWithDropout) {
  check_linear(group_of(7, true), {true, 5, 11});
}
TEST(Gradients, QuantizedLinear) {
  check_linear(group_of(7, false), {});
}
TEST(Gradients, QuantizedLinearWithDropout) {
  check_linear(group_of(7, false), {true, 5, 11});
}

TEST(Dropout, MasksDependOnStepAndAdapterAlone) {
  const LinearGroup group = group_of(7, true);
  const Tensor x = normal_tensor({4, 7}, 2);
  Arena arena;
  const auto output = [&](const DropoutRun& run) {
    const Tensor y = zeros({4, 8});
    ops::linear_forward(group, x, Tensor(), run, arena, y, nullptr);
    return y;
  };
  EXPECT_TRUE(same_bytes(output({true, 5, 11}), output({true, 5, 11})));
  EXPECT_FALSE(same_bytes(output({true, 5, 11}), output({true, 5, 12})));
  EXPECT_FALSE(same_bytes(output({true, 5, 11}), output({true, 6, 11})));
  EXPECT_FALSE(same_bytes(output({true, 5, 11}), output({false, 5, 11})));
}

}  // namespace
}  // namespace qlora
