#include "lora/lora.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/matmul.h"
#include "core/parallel.h"

namespace qlora {
namespace {

constexpr auto kNo = Transpose::no;
constexpr auto kYes = Transpose::yes;

}  // namespace

double lora_scaling(double lora_alpha, std::int64_t R, bool use_rslora) {
  require(R >= 1, "lora_scaling", "a rank of at least 1");
  const auto r = static_cast<double>(R);
  return lora_alpha / (use_rslora ? std::sqrt(r) : r);
}

template <typename T>
void drop(const Dropout& dropout, std::int64_t n, const T* x, T* out) {
  const T scale = T{1} / (T{1} - static_cast<T>(dropout.p));
  parallel_for((n + 3) / 4, 256, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      const Philox bits =
          philox(dropout.random.seed, dropout.random.stream, static_cast<std::uint64_t>(block));
      for (std::int64_t j = 0, i = 4 * block; j < 4 && i < n; ++j, ++i) {
        const bool kept = static_cast<float>(bits.word[j] >> 8) * 0x1p-24f >= dropout.p;
        out[i] = kept ? x[i] * scale : T{0};
      }
    }
  });
}

template <typename T>
void lora_forward(const LoraWeights<T>& lora, std::int64_t tokens, const T* x,
                  const Dropout& dropout, T* scratch, T* u, T* y, std::int64_t ldy) {
  const auto& [K, N, R, A, B, s] = lora;
  if (dropout.p > 0) {
    drop(dropout, tokens * K, x, scratch);
    x = scratch;
  }
  matmul<T>(kNo, kYes, tokens, R, K, T{1}, x, K, A, K, T{0}, u, R);
  matmul<T>(kNo, kYes, tokens, N, R, s, u, R, B, R, T{1}, y, ldy);
}

template <typename T>
void lora_backward(const LoraWeights<T>& lora, std::int64_t tokens, const T* x, const T* u,
                   const Dropout& dropout, const T* dy, std::int64_t ldy, T* scratch, T* du, T* dA,
                   T* dB, T* dx) {
  const auto& [K, N, R, A, B, s] = lora;
  matmul<T>(kYes, kNo, N, R, tokens, s, dy, ldy, u, R, T{1}, dB, R);
  matmul<T>(kNo, kNo, tokens, R, N, s, dy, ldy, B, R, T{0}, du, R);
  if (dropout.p > 0) {
    drop(dropout, tokens * K, x, scratch);
    x = scratch;
  }
  matmul<T>(kYes, kNo, R, K, tokens, T{1}, du, R, x, K, T{1}, dA, K);
  if (dx == nullptr) return;
  if (dropout.p > 0) {
    matmul<T>(kNo, kNo, tokens, K, R, T{1}, du, R, A, K, T{0}, scratch, K);
    drop(dropout, tokens * K, scratch, scratch);
    for (std::int64_t i = 0; i < tokens * K; ++i) dx[i] += scratch[i];
  } else {
    matmul<T>(kNo, kNo, tokens, K, R, T{1}, du, R, A, K, T{1}, dx, K);
  }
}

template <typename T>
void lora_merge(const LoraWeights<T>& lora, T sign, T* W) {
  const auto& [K, N, R, A, B, s] = lora;
  matmul<T>(kNo, kNo, N, K, R, sign * s, B, R, A, K, T{1}, W, K);
}

void lora_initialize(std::int64_t K, std::int64_t N, std::int64_t R, const Random& random, float* A,
                     float* B) {
  require(K > 0 && N > 0 && R > 0, "lora_initialize", "sizes of at least one");
  const float bound = 1.0f / std::sqrt(static_cast<float>(K));
  for (std::int64_t i = 0; i < R * K; ++i) {
    A[i] = (2.0f * random.uniform(static_cast<std::uint64_t>(i)) - 1.0f) * bound;
  }
  std::fill(B, B + N * R, 0.0f);
}

template void drop<float>(const Dropout&, std::int64_t, const float*, float*);
template void drop<double>(const Dropout&, std::int64_t, const double*, double*);
template void lora_forward<float>(const LoraWeights<float>&, std::int64_t, const float*,
                                  const Dropout&, float*, float*, float*, std::int64_t);
template void lora_forward<double>(const LoraWeights<double>&, std::int64_t, const double*,
                                   const Dropout&, double*, double*, double*, std::int64_t);
template void lora_backward<float>(const LoraWeights<float>&, std::int64_t, const float*,
                                   const float*, const Dropout&, const float*, std::int64_t, float*,
                                   float*, float*, float*, float*);
template void lora_backward<double>(const LoraWeights<double>&, std::int64_t, const double*,
                                    const double*, const Dropout&, const double*, std::int64_t,
                                    double*, double*, double*, double*, double*);
template void lora_merge<float>(const LoraWeights<float>&, float, float*);
template void lora_merge<double>(const LoraWeights<double>&, double, double*);

}  // namespace qlora
