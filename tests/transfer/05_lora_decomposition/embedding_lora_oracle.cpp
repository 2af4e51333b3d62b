// LoRA on an embedding by dense products with one-hot matrices: T·V numbers for T lookups.
#include "embedding_lora.h"
#include "one_hot.h"

namespace qlora {
namespace {

using one_hot::Matrix;

void add(double factor, const Matrix& from, double* to) {
  for (double value : from.values) *to++ += factor * value;
}

}  // namespace

void embedding_lora_forward(const EmbeddingLora& lora, std::span<const std::int32_t> ids,
                            double* y) {
  const Matrix A(lora.R, lora.V, lora.A), B(lora.C, lora.R, lora.B);
  const Matrix x = one_hot::one_hot(ids, lora.V);
  add(lora.scaling, x * A.transposed() * B.transposed(), y);
}

void embedding_lora_backward(const EmbeddingLora& lora, std::span<const std::int32_t> ids,
                             const double* dy, double* dA, double* dB) {
  const Matrix A(lora.R, lora.V, lora.A), B(lora.C, lora.R, lora.B);
  const Matrix g(static_cast<std::int64_t>(ids.size()), lora.C, dy);
  const Matrix x = one_hot::one_hot(ids, lora.V);
  const Matrix by_A = (g * B).transposed() * x;
  const Matrix by_B = g.transposed() * (x * A.transposed());
  add(lora.scaling, by_A, dA);
  add(lora.scaling, by_B, dB);
}

void embedding_lora_merge(const EmbeddingLora& lora, double sign, double* E) {
  const Matrix A(lora.R, lora.V, lora.A), B(lora.C, lora.R, lora.B);
  add(sign * lora.scaling, (B * A).transposed(), E);
}

void embedding_lora_initialize(std::int64_t V, std::int64_t C, std::int64_t R, const Random& random,
                               double* A, double* B) {
  for (std::int64_t i = 0; i < R * V; ++i) A[i] = 0.0;
  for (std::int64_t i = 0; i < C * R; ++i) {
    B[i] = static_cast<double>(random.normal(static_cast<std::uint64_t>(i)));
  }
}

}  // namespace qlora
