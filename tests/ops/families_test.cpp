// What other families than Llama ask of the ops: a norm of 1 + weight, GeGLU. Their gradients, and
// those of scaled embeddings, stand with all others in gradients_test.cpp.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "ops/ops.h"
#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora {
namespace {

using testing::is_close;
using testing::normal_tensor;
using testing::same_bytes;

Tensor zeros(Shape shape) {
  return Tensor::zeros(DType::f64, std::move(shape));
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

}  // namespace
}  // namespace qlora
