// Groups of linears in NF4 with adapters, and what they give by the definition: every sum written
// out, in double.
#pragma once

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "ops/linear.h"
#include "support/finite_difference.h"
#include "support/matcher.h"

namespace qlora::testing {

inline constexpr std::int64_t kTokens = 4, kK = 24;

// In double: sums of 24 products of numbers up to four, and of up to 12 of their sums:
// eps · 36 · 24 · 16 = 3e-12.
inline constexpr double kDouble = 5e-12;
// In float, of the largest: eps · 36 = 2e-6.
inline constexpr double kFloat = 5e-6;

inline Tensor zeros(Shape shape) {
  return Tensor::zeros(DType::f64, std::move(shape));
}

inline Tensor poisoned(Shape shape) {
  Tensor t = Tensor::empty(DType::f64, std::move(shape));
  for (double& value : t.span<double>()) value = std::numeric_limits<double>::quiet_NaN();
  return t;
}

inline Adapter adapter_of(std::int64_t N, std::int64_t R, std::uint64_t seed) {
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
inline LinearGroup group_in_nf4() {
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

inline std::vector<Adapter> adapters_of(const LinearGroup& group) {
  std::vector<Adapter> all;
  for (const Projection& p : group.parts) {
    all.insert(all.end(), p.adapters.begin(), p.adapters.end());
  }
  return all;
}

// The dense base (ΣN,K).
inline Tensor base_of(const LinearGroup& group) {
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
inline Tensor effective(const LinearGroup& group) {
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
inline Tensor product(const Tensor& x, const Tensor& W) {
  const std::int64_t K = x.dim(1), N = W.dim(0);
  const Tensor y = zeros({x.dim(0), N});
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    for (std::int64_t k = 0; k < K; ++k) {
      y.data<double>()[i] += x.data<double>()[i / N * K + k] * W.data<double>()[i % N * K + k];
    }
  }
  return y;
}

inline Tensor forward(const LinearGroup& group, const Tensor& x, const Tensor& residual = Tensor(),
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

}  // namespace qlora::testing
