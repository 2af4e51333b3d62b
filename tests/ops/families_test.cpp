// What other families than Llama ask of the ops: a norm of 1 + weight, GeGLU, scaled embeddings.
// Backward passes against finite differences in double, at odd sizes.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "ops/ops.h"
#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::is_close;
using testing::matches_finite_differences;
using testing::normal_tensor;
using testing::same_bytes;
using testing::weighted_sum;

Tensor zeros(Shape shape) {
  return Tensor::zeros(DType::f64, std::move(shape));
}

TEST(OffsetNorm, GradientsAreFiniteDifferences) {
  const std::int64_t rows = 5, C = 7;
  const Tensor x = normal_tensor({rows, C}, 1), weight = normal_tensor({C}, 2);
  const Tensor w = normal_tensor({rows, C}, 3), y = zeros({rows, C}), rstd = zeros({rows});
  const auto f = [&] {
    ops::rms_norm_forward(x, weight, 1e-5, y, rstd, 1.0);
    return weighted_sum(y, w);
  };
  f();
  const Tensor dx = zeros({rows, C}), dweight = zeros({C});
  ops::rms_norm_backward(w, x, weight, rstd, dx, dweight, 1.0);
  EXPECT_TRUE(matches_finite_differences(f, x, dx));
  EXPECT_TRUE(matches_finite_differences(f, weight, dweight));
}

// A weight of zeros leaves Gemma's norm as it is, one of ones Llama's: the same bits.
TEST(OffsetNorm, TheOffsetIsAddedToTheWeight) {
  const std::int64_t rows = 3, C = 6;
  const Tensor x = normal_tensor({rows, C}, 1), weight = zeros({C}), more = zeros({C});
  for (std::int64_t j = 0; j < C; ++j) {
    weight.data<double>()[j] = 0.25 * static_cast<double>(j);
    more.data<double>()[j] = 1 + weight.data<double>()[j];
  }
  const Tensor y = zeros({rows, C}), other = zeros({rows, C}), rstd = zeros({rows});
  ops::rms_norm_forward(x, weight, 1e-6, y, rstd, 1.0);
  ops::rms_norm_forward(x, more, 1e-6, other, rstd);
  EXPECT_TRUE(same_bytes(y, other));
}

TEST(GeGlu, GradientsAreFiniteDifferences) {
  const std::int64_t rows = 3, F = 5;
  const Tensor gate_up = normal_tensor({rows, 2 * F}, 1, 3.0), w = normal_tensor({rows, F}, 2);
  const Tensor y = zeros({rows, F}), gradient = zeros({rows, 2 * F});
  const auto f = [&] {
    ops::swiglu_forward(gate_up, y, GateActivation::gelu_tanh);
    return weighted_sum(y, w);
  };
  ops::swiglu_backward(gate_up, w, gradient, GateActivation::gelu_tanh);
  EXPECT_TRUE(matches_finite_differences(f, gate_up, gradient));
}

// The definition (Hendrycks & Gimpel 2016, section 2; torch: gelu(approximate='tanh')). The CPU's
// exponential is within 5 ulp, and 2 more of the sigmoid; p = 2 sqrt(2/π)(z + …) of up to 17 has a
// few roundings, which e^p multiplies by p. Where 1 + tanh cancels, tanh's last bit is what is off.
TEST(GeGlu, IsItsDefinition) {
  const Tensor gate_up = zeros({1, 2 * 161}), y = zeros({1, 161});
  double* gate = gate_up.data<double>();
  for (std::int64_t j = 0; j < 161; ++j) {
    gate[j] = 0.0625 * static_cast<double>(j - 80);  // -5 … 5
    gate[161 + j] = j % 2 == 0 ? 1.0 : -3.0;
  }
  ops::swiglu_forward(gate_up, y, GateActivation::gelu_tanh);
  for (std::int64_t j = 0; j < 161; ++j) {
    const double z = gate[j], root = std::sqrt(2 / std::numbers::pi);
    const double gelu = 0.5 * z * (1 + std::tanh(root * (z + 0.044715 * z * z * z)));
    EXPECT_TRUE(is_close(y.data<double>()[j], gelu * gate[161 + j], 1.5e-14, 2e-14)) << z;
  }
}

TEST(ScaledEmbedding, GradientsAreFiniteDifferences) {
  const std::int64_t V = 5, C = 3;
  const std::vector<std::int32_t> some{4, 0, 4, 2};  // one token twice, others not at all
  const Tensor ids = Tensor::from<std::int32_t>(some, {4});
  const Tensor table = normal_tensor({V, C}, 1), w = normal_tensor({4, C}, 2);
  const Tensor x = zeros({4, C}), dtable = zeros({V, C});
  const auto f = [&] {
    ops::embedding_forward(table, ids, x, 1.75);
    return weighted_sum(x, w);
  };
  ops::embedding_backward(w, ids, dtable, 1.75);
  EXPECT_TRUE(matches_finite_differences(f, table, dtable));
  EXPECT_EQ(x.data<double>()[0], 1.75 * table.data<double>()[4 * C]);
}

}  // namespace
}  // namespace qlora
