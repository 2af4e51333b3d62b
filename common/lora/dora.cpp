#include "lora/dora.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "core/matmul.h"
#include "core/parallel.h"

namespace qlora {
namespace {

constexpr auto kNo = Transpose::no;
constexpr auto kYes = Transpose::yes;

// ‖W_n + s · B_n · A‖: a piece of the row at a time, so that W + s·B·A is nowhere in memory.
template <typename T>
T row_norm(const LoraWeights<T>& lora, const T* W, std::int64_t n) {
  constexpr std::int64_t kPiece = 256;
  std::array<T, kPiece> v;
  double squares = 0;
  for (std::int64_t begin = 0; begin < lora.K; begin += kPiece) {
    const std::int64_t count = std::min(kPiece, lora.K - begin);
    std::copy_n(W + n * lora.K + begin, count, v.begin());
    for (std::int64_t r = 0; r < lora.R; ++r) {
      const T b = lora.scaling * lora.B[n * lora.R + r];
      const T* A = lora.A + r * lora.K + begin;
      for (std::int64_t k = 0; k < count; ++k) v[static_cast<std::size_t>(k)] += b * A[k];
    }
    for (std::int64_t k = 0; k < count; ++k) {
      const auto value = static_cast<double>(v[static_cast<std::size_t>(k)]);
      squares += value * value;
    }
  }
  return squares == 0 ? T{1} : static_cast<T>(std::sqrt(squares));
}

}  // namespace

template <typename T>
void dora_norm(const LoraWeights<T>& lora, const T* W, T* norm) {
  parallel_for(lora.N, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) norm[n] = row_norm(lora, W, n);
  });
}

template <typename T>
void dora_forward(const LoraWeights<T>& lora, const T* m, const T* norm, std::int64_t tokens,
                  const T* x, T* base, T* u, T* y, std::int64_t ldy) {
  const std::int64_t N = lora.N;
  T* v = base != nullptr ? base : y;  // becomes x · (W + s·B·A)ᵀ
  const std::int64_t ldv = base != nullptr ? N : ldy;
  for (std::int64_t t = 0; base != nullptr && t < tokens; ++t) {
    for (std::int64_t n = 0; n < N; ++n) y[t * ldy + n] -= base[t * N + n];
  }
  lora_forward<T>(lora, tokens, x, {}, nullptr, u, v, ldv);
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (std::int64_t n = 0; n < N; ++n) {
      const T turned = m[n] / norm[n] * v[t * ldv + n];
      y[t * ldy + n] = base != nullptr ? y[t * ldy + n] + turned : turned;
    }
  }
}

template <typename T>
void dora_backward(const LoraWeights<T>& lora, const T* m, const T* norm, std::int64_t tokens,
                   const T* u, T* base, const T* dy, std::int64_t ldy, T* dm, T* g) {
  const std::int64_t N = lora.N, R = lora.R;
  matmul<T>(kNo, kYes, tokens, N, R, lora.scaling, u, R, lora.B, R, T{1}, base, N);
  parallel_for(N, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = 0; t < tokens; ++t) {
      for (std::int64_t n = begin; n < end; ++n) {
        dm[n] += dy[t * ldy + n] * base[t * N + n] / norm[n];
        g[t * N + n] = m[n] / norm[n] * dy[t * ldy + n];
      }
    }
  });
}

// [merge]
template <typename T>
void dora_merge(const LoraWeights<T>& lora, const T* m, const T* norm, T* W) {
  lora_merge<T>(lora, T{1}, W);
  for (std::int64_t n = 0; n < lora.N; ++n) {
    for (std::int64_t k = 0; k < lora.K; ++k) W[n * lora.K + k] *= m[n] / norm[n];
  }
}
// [/merge]

template <typename T>
void dora_unmerge(const LoraWeights<T>& lora, const T* m, const T* norm, T* W) {
  for (std::int64_t n = 0; n < lora.N; ++n) {
    require(m[n] != 0, "dora_unmerge", "magnitudes other than zero, whose rows are lost");
    for (std::int64_t k = 0; k < lora.K; ++k) W[n * lora.K + k] *= norm[n] / m[n];
  }
  lora_merge<T>(lora, T{-1}, W);
}

template void dora_norm<float>(const LoraWeights<float>&, const float*, float*);
template void dora_norm<double>(const LoraWeights<double>&, const double*, double*);
template void dora_forward<float>(const LoraWeights<float>&, const float*, const float*,
                                  std::int64_t, const float*, float*, float*, float*, std::int64_t);
template void dora_forward<double>(const LoraWeights<double>&, const double*, const double*,
                                   std::int64_t, const double*, double*, double*, double*,
                                   std::int64_t);
template void dora_backward<float>(const LoraWeights<float>&, const float*, const float*,
                                   std::int64_t, const float*, float*, const float*, std::int64_t,
                                   float*, float*);
template void dora_backward<double>(const LoraWeights<double>&, const double*, const double*,
                                    std::int64_t, const double*, double*, const double*,
                                    std::int64_t, double*, double*);
template void dora_merge<float>(const LoraWeights<float>&, const float*, const float*, float*);
template void dora_merge<double>(const LoraWeights<double>&, const double*, const double*, double*);
template void dora_unmerge<float>(const LoraWeights<float>&, const float*, const float*, float*);
template void dora_unmerge<double>(const LoraWeights<double>&, const double*, const double*,
                                   double*);

}  // namespace qlora
