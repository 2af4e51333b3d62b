#include "cuda/attention_bounds.h"

#include <algorithm>
#include <cmath>

#include "core/matmul.h"

namespace qlora::testing {

double operand_roundoff(DType dtype, AttentionKernel kernel, const AttentionShape& s) {
  const bool tensor_cores =
      kernel != AttentionKernel::plain && (s.D == 32 || s.D == 64 || s.D == 128);
  return unit_roundoff(tensor_cores ? dtype : DType::f32);
}

double smallest(DType dtype) {
  return dtype == DType::f16 ? 0x1p-25 : 0.0;
}

double largest_norm(const Tensor& rows, std::int64_t from, std::int64_t count, std::int64_t D) {
  double largest = 0;
  for (std::int64_t i = 0; i < rows.dim(0); ++i) {
    for (std::int64_t c = from; c < from + count; c += D) {
      double sum = 0;
      for (std::int64_t d = c; d < c + D; ++d) {
        sum += std::pow(rows.data<float>()[i * rows.dim(1) + d], 2);
      }
      largest = std::max(largest, std::sqrt(sum));
    }
  }
  return largest;
}

double error_of_probabilities(const AttentionShape& s, double norm_q, double norm_k) {
  const auto D = static_cast<double>(s.D), S = static_cast<double>(s.S);
  return 2 * norm_q * norm_k / std::sqrt(D) * (D + 8) * 0x1p-23 + S * 0x1p-23 + 0x1p-20;
}

::testing::AssertionResult within(const Tensor& ours, const Tensor& theirs, const Tensor& bounds) {
  const Tensor host = to_host(ours);
  const double u = unit_roundoff(ours.dtype()), least = smallest(ours.dtype());
  for (std::int64_t i = 0; i < host.numel(); ++i) {
    const double a = host.data<float>()[i], b = theirs.data<float>()[i];
    const double bound = 1.02 * (bounds.data<float>()[i] + u * std::abs(b) + least);
    if (a == b || std::abs(a - b) <= bound) continue;
    return ::testing::AssertionFailure()
           << "element " << i << " of " << to_string(host.shape()) << " is " << a
           << " on the GPU and " << b << " on the CPU, beyond " << bound;
  }
  return ::testing::AssertionSuccess();
}

Tensor filled(const Shape& shape, double value) {
  const Tensor t = Tensor::empty(DType::f32, shape);
  std::fill_n(t.data<float>(), t.numel(), static_cast<float>(value));
  return t;
}

void make_absolute(const Tensor& rows, std::int64_t from) {
  for (std::int64_t i = 0; i < rows.numel(); ++i) {
    float& x = rows.data<float>()[i];
    if (i % rows.dim(-1) >= from) x = std::abs(x);
  }
}

void scale_bounds(const Tensor& bounds, double factor, double absolute) {
  for (std::int64_t i = 0; i < bounds.numel(); ++i) {
    float& x = bounds.data<float>()[i];
    x = static_cast<float>(x * factor + absolute);
  }
}

Tensor backward_bounds(const AttentionShape& s, const Tensor& qkv, const Tensor& mask,
                       const Tensor& out, const Tensor& lse, const Tensor& dout, double u,
                       double least) {
  constexpr auto kNo = Transpose::no, kYes = Transpose::yes;
  const std::int64_t T = s.T, D = s.D, HD = s.H * D, KD = s.K * D, columns = HD + 2 * KD;
  const double norm_v = largest_norm(qkv, HD + KD, KD, D), norm_dout = largest_norm(dout, 0, HD, D);
  const double e =
      error_of_probabilities(s, largest_norm(qkv, 0, HD, D), largest_norm(qkv, HD, KD, D));
  const double e_dP =
      static_cast<double>(D + 8) * 0x1p-23 * norm_dout * (norm_v + largest_norm(out, 0, HD, D));
  const std::int64_t queries = T * (s.H / s.K);  // that a key has
  const double n = static_cast<double>(queries) * 0x1p-23;
  const float scale = 1.0f / std::sqrt(static_cast<float>(D));
  const Tensor bounds = filled(qkv.shape(), 0), magnitudes = qkv.clone(), dout_abs = dout.clone();
  make_absolute(magnitudes, 0);
  make_absolute(dout_abs, 0);
  std::vector<float> P(static_cast<std::size_t>(T * T)), E(P.size());
  for (std::int64_t i = 0; i < s.B * s.H; ++i) {
    const std::int64_t b = i / s.H, h = i % s.H, kv = h / (s.H / s.K), row = b * T;
    const auto at = [&](const Tensor& t, std::int64_t column) {
      return t.data<float>() + row * t.dim(1) + column;
    };
    const std::int64_t q = h * D, k = HD + kv * D, v = HD + KD + kv * D;
    matmul<float>(kNo, kYes, T, T, D, scale, at(qkv, q), columns, at(qkv, k), columns, 0.0f,
                  P.data(), T);
    matmul<float>(kNo, kYes, T, T, D, 1.0f, at(dout, q), HD, at(qkv, v), columns, 0.0f, E.data(),
                  T);
    for (std::int64_t t = 0; t < T; ++t) {
      double delta = 0;
      for (std::int64_t d = 0; d < D; ++d)
        delta += at(out, q)[t * HD + d] * at(dout, q)[t * HD + d];
      for (std::int64_t j = 0; j < T; ++j) {
        float &p = P[static_cast<std::size_t>(t * T + j)],
              &x = E[static_cast<std::size_t>(t * T + j)];
        const bool sees = j <= t && (!mask || mask.data<std::int32_t>()[row + j] != 0);
        p = sees ? std::exp(p - lse.data<float>()[i * T + t]) : 0.0f;
        const double dS = p * (x - delta);
        x = static_cast<float>((u + n) * std::abs(dS) +
                               p * (e * (std::abs(x) + std::abs(delta)) + e_dP) +
                               (sees ? least : 0.0));
        p = static_cast<float>((u + e + n) * p + (sees ? least : 0.0));
      }
    }
    matmul<float>(kNo, kNo, T, D, T, scale, E.data(), T, at(magnitudes, k), columns, 0.0f,
                  at(bounds, q), columns);
    matmul<float>(kYes, kNo, T, D, T, scale, E.data(), T, at(magnitudes, q), columns, 1.0f,
                  at(bounds, k), columns);
    matmul<float>(kYes, kNo, T, D, T, 1.0f, P.data(), T, at(dout_abs, q), HD, 1.0f, at(bounds, v),
                  columns);
  }
  return bounds;
}

}  // namespace qlora::testing
