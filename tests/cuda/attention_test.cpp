// Attention on the GPU beside the CPU, element by element.
//
// The bounds. With u the unit roundoff of the format in which P and dS enter the tensor cores (of
// float32 where they do not), and sums of n terms in float32, each term and each sum rounded:
//   scores        |q|·|k| (D + 8) 2^-23 / sqrt D, once here and once on the CPU
//   P             that, T 2^-23 of its sum, 2^-20 for exp and for the rounding of lse: e, relative
//   out           (u + e) Σ P |v|, and one rounding of the result
//   dv            (u + e + n 2^-23) Σ P |dout|
//   dS            E = u |dS| + P (e (|dP| + |Δ|) + (D + 8) 2^-23 |dout| (|v| + |out|))
//   dq, dk        Σ (E + n 2^-23 |dS|) |k| / sqrt D, the same with |q|
// float16 has an absolute error of 2^-25 below 2^-14. Products of two errors are within 2 %.
#include <algorithm>
#include <cmath>

#include "core/matmul.h"
#include "cuda/twin.h"
#include "ops/ops.h"

namespace qlora {
namespace {

using namespace testing;

enum class Padding { none, end, beginning };
constexpr Padding kPaddings[] = {Padding::none, Padding::end, Padding::beginning};
constexpr AttentionKernel kKernels[] = {AttentionKernel::fastest, AttentionKernel::small,
                                        AttentionKernel::plain};

// Every tile size divides none of these lengths; grouped heads and single ones.
std::vector<AttentionShape> shapes() {
  std::vector<AttentionShape> all;
  for (const std::int64_t D : {32, 64, 128}) {
    for (const auto& [B, T, H, K] : std::vector<std::array<std::int64_t, 4>>{
             {1, 1, 1, 1}, {33, 1, 3, 1}, {3, 31, 3, 3}, {31, 33, 3, 1}, {2, 257, 6, 2}}) {
      all.push_back({B, T, T, H, K, D});
    }
  }
  return all;
}

std::string name(DType dtype, const AttentionShape& s, Padding padding, AttentionKernel kernel) {
  return std::string(python_name(dtype)) + " B " + std::to_string(s.B) + " T " +
         std::to_string(s.T) + " H " + std::to_string(s.H) + " K " + std::to_string(s.K) + " D " +
         std::to_string(s.D) + " padding " + std::to_string(static_cast<int>(padding)) +
         " kernel " + std::to_string(static_cast<int>(kernel));
}

// Row b has b mod 4 quarters of its tokens as padding; at the beginning, another token is a hole.
Tensor mask_of(const AttentionShape& s, Padding padding) {
  if (padding == Padding::none) return Tensor();
  const Tensor mask = Tensor::empty(DType::i32, {s.B, s.T});
  for (std::int64_t b = 0; b < s.B; ++b) {
    const std::int64_t count = (b + 1) % 4 * s.T / 4;
    for (std::int64_t t = 0; t < s.T; ++t) {
      const bool hidden = padding == Padding::end ? t >= s.T - count : t < count || t == count + 2;
      mask.data<std::int32_t>()[b * s.T + t] = hidden ? 0 : 1;
    }
  }
  return mask;
}

// What the tensor cores round P and dS to; without them nothing does.
double operand_roundoff(DType dtype, AttentionKernel kernel, const AttentionShape& s) {
  const bool tensor_cores =
      kernel != AttentionKernel::plain && (s.D == 32 || s.D == 64 || s.D == 128);
  return unit_roundoff(tensor_cores ? dtype : DType::f32);
}

double smallest(DType dtype) {
  return dtype == DType::f16 ? 0x1p-25 : 0.0;
}

// The largest Euclidean norm of a head's vector in columns [from, from + count).
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

// |ours - theirs| <= bound + u |theirs|, element by element; equal infinities pass, no NaN does.
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

// (u + e) · bound, and where numbers are float16 also what the smallest ones lose.
void scale_bounds(const Tensor& bounds, double factor, double absolute) {
  for (std::int64_t i = 0; i < bounds.numel(); ++i) {
    float& x = bounds.data<float>()[i];
    x = static_cast<float>(x * factor + absolute);
  }
}

TEST(CudaAttention, ForwardIsItsTwin) {
  SKIP_WITHOUT_GPU();
  for (const DType dtype : kDeviceTypes) {
    for (const AttentionShape& s : shapes()) {
      const std::int64_t HD = s.H * s.D, KD = s.K * s.D;
      const Tensor qkv = random_tensor(dtype, {s.B * s.T, HD + 2 * KD}, 1);
      const Tensor wide = widened(qkv), with_absolute_v = widened(qkv);
      make_absolute(with_absolute_v, HD + KD);
      const double e = error_of_probabilities(s, largest_norm(wide, 0, HD, s.D),
                                              largest_norm(wide, HD, KD, s.D));
      for (const Padding padding : kPaddings) {
        const Tensor mask = mask_of(s, padding);
        const Tensor out = Tensor::empty(DType::f32, {s.B * s.T, HD}), sums = out.clone();
        const Tensor lse = Tensor::empty(DType::f32, {s.B, s.H, s.T}), ignored = lse.clone();
        ops::attention_forward(s, wide, mask, out, lse);
        ops::attention_forward(s, with_absolute_v, mask, sums, ignored);
        for (const AttentionKernel kernel : kKernels) {
          const Tensor bounds = sums.clone();
          scale_bounds(bounds, operand_roundoff(dtype, kernel, s) + e,
                       6.0 * static_cast<double>(s.T) * smallest(dtype));
          const Tensor gpu_mask = mask ? to_gpu(mask) : Tensor();
          Tensor first;
          for (int run = 0; run < 3; ++run) {
            const Tensor ours = poisoned(dtype, out.shape());
            const Tensor our_lse = poisoned(DType::f32, lse.shape());
            ops::attention_forward(s, to_gpu(qkv), gpu_mask, ours, our_lse, kernel);
            EXPECT_TRUE(within(ours, out, bounds)) << name(dtype, s, padding, kernel);
            EXPECT_TRUE(within(our_lse, lse, filled(lse.shape(), e)))
                << name(dtype, s, padding, kernel);
            if (run > 0) {
              EXPECT_TRUE(same_on_gpu(first, ours)) << name(dtype, s, padding, kernel);
            }
            first = ours;
          }
        }
      }
    }
  }
}

// Bounds of dqkv for P and dS rounded to u. All tensors are the host's, in float32.
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
  const std::int64_t group = s.H / s.K;
  const double n = static_cast<double>(T * group) * 0x1p-23;
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

TEST(CudaAttention, BackwardIsItsTwin) {
  SKIP_WITHOUT_GPU();
  Arena host_arena, arena = ops::arena_on(Device::cuda);
  for (const DType dtype : kDeviceTypes) {
    for (const AttentionShape& s : shapes()) {
      const Tensor qkv = random_tensor(dtype, {s.B * s.T, (s.H + 2 * s.K) * s.D}, 1);
      const Tensor dout = random_tensor(dtype, {s.B * s.T, s.H * s.D}, 2);
      for (const Padding padding : kPaddings) {
        const Tensor mask = mask_of(s, padding), gpu_mask = mask ? to_gpu(mask) : Tensor();
        // Both start from one forward's results, as it rounded them.
        const Tensor out = poisoned(dtype, dout.shape());
        const Tensor lse = poisoned(DType::f32, {s.B, s.H, s.T});
        ops::attention_forward(s, to_gpu(qkv), gpu_mask, out, lse);
        const Tensor dqkv = Tensor::empty(DType::f32, qkv.shape());
        ops::attention_backward(s, widened(qkv), mask, to_host(out), to_host(lse), widened(dout),
                                host_arena, dqkv);
        for (const AttentionKernel kernel : kKernels) {
          const Tensor bounds =
              backward_bounds(s, widened(qkv), mask, to_host(out), to_host(lse), widened(dout),
                              operand_roundoff(dtype, kernel, s), smallest(dtype));
          Tensor first;
          for (int run = 0; run < 3; ++run) {
            const Tensor ours = poisoned(dtype, qkv.shape());
            ops::attention_backward(s, to_gpu(qkv), gpu_mask, out, lse, to_gpu(dout), arena, ours,
                                    kernel);
            EXPECT_TRUE(within(ours, dqkv, bounds)) << name(dtype, s, padding, kernel);
            if (run > 0) {
              EXPECT_TRUE(same_on_gpu(first, ours)) << name(dtype, s, padding, kernel);
            }
            first = ours;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace qlora
