// An adapter of odd sizes, and the dense matrices that it stands for.
#pragma once

#include <cstdint>
#include <limits>

#include "lora/lora.h"
#include "support/finite_difference.h"

namespace qlora::testing {

inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Sums of at most seven products of numbers of order one, in double: eps · 7 · 7 · 4 = 4e-14.
inline constexpr double kRounding = 1e-13;

inline Tensor filled(Shape shape, double value) {
  Tensor t = Tensor::empty(DType::f64, std::move(shape));
  for (double& x : t.span<double>()) x = value;
  return t;
}

inline double at(const Tensor& t, std::int64_t row, std::int64_t column) {
  return t.data<double>()[row * t.dim(1) + column];
}

// An adapter of odd sizes, no two of them equal, whose numbers are all different.
struct Example {
  std::int64_t T = 5, K = 7, N = 6, R = 3;
  double s = 0.75;
  Tensor x = normal_tensor({T, K}, 1), A = normal_tensor({R, K}, 2), B = normal_tensor({N, R}, 3);
  Dropout dropout;
  Tensor scratch = filled({T, K}, kNaN), u = filled({T, R}, kNaN), du = filled({T, R}, kNaN);

  LoraWeights<double> weights() const { return {K, N, R, A.data<double>(), B.data<double>(), s}; }
  void forward(const Tensor& y) const {
    lora_forward<double>(weights(), T, x.data<double>(), dropout, scratch.data<double>(),
                         u.data<double>(), y.data<double>(), y.dim(1));
  }
  void backward(const Tensor& dy, const Tensor& dA, const Tensor& dB, const Tensor& dx) const {
    lora_backward<double>(weights(), T, x.data<double>(), u.data<double>(), dropout,
                          dy.data<double>(), dy.dim(1), scratch.data<double>(), du.data<double>(),
                          dA.data<double>(), dB.data<double>(), dx ? dx.data<double>() : nullptr);
  }
  // s · B · A (N,K), by the definition of a product.
  Tensor delta() const {
    Tensor out = filled({N, K}, 0.0);
    for (std::int64_t n = 0; n < N; ++n) {
      for (std::int64_t k = 0; k < K; ++k) {
        for (std::int64_t r = 0; r < R; ++r) {
          out.data<double>()[n * K + k] += s * at(B, n, r) * at(A, r, k);
        }
      }
    }
    return out;
  }
};

// x (T,K) · Wᵀ with W (N,K).
inline Tensor linear(const Tensor& x, const Tensor& W) {
  Tensor y = filled({x.dim(0), W.dim(0)}, 0.0);
  for (std::int64_t t = 0; t < x.dim(0); ++t) {
    for (std::int64_t n = 0; n < W.dim(0); ++n) {
      for (std::int64_t k = 0; k < W.dim(1); ++k) {
        y.data<double>()[t * W.dim(0) + n] += at(x, t, k) * at(W, n, k);
      }
    }
  }
  return y;
}

inline Tensor sum(const Tensor& a, const Tensor& b) {
  Tensor out = a.clone();
  for (std::int64_t i = 0; i < out.numel(); ++i) out.data<double>()[i] += b.data<double>()[i];
  return out;
}

}  // namespace qlora::testing
