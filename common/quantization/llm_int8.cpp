#include "quantization/llm_int8.h"

#include <cmath>

#include "core/error.h"
#include "core/matmul.h"
#include "core/sizes.h"
#include "quantization/absmax_int8.h"
#include "quantization/integer_product.h"
#include "quantization/rounding.h"

namespace qlora {
namespace {

void require_layer(const char* function, const Int8Weight& w, std::size_t x, std::size_t y,
                   std::int64_t T) {
  require(has_elements(w.codes.size(), w.N, w.K), function, "a weight (N,K)");
  require(w.absmax.size() == static_cast<std::size_t>(w.N), function, "one absmax a row");
  require(has_elements(x, T, w.K) && has_elements(y, T, w.N), function, "x (T,K) and y (T,N)");
}

// W' (N,K): the weight in float16 again.
std::vector<float> restored(const Int8Weight& w) {
  std::vector<float> values(w.codes.size());
  dequantize_rowwise_int8(w.codes, w.absmax, w.N, w.K, values);
  round_to(DType::f16, values);
  return values;
}

// y (T,N) += Σ_{k in C} x[t,k] W'[n,k]
void add_outliers(const Int8Weight& w, std::span<const float> x,
                  const std::vector<std::int64_t>& columns, std::span<float> y) {
  const auto K = static_cast<std::size_t>(w.K);
  const auto N = static_cast<std::size_t>(w.N);
  std::vector<std::int8_t> codes;  // of the columns in C
  codes.reserve(N * columns.size());
  for (std::size_t n = 0; n < N; ++n) {
    for (const std::int64_t k : columns)
      codes.push_back(w.codes[n * K + static_cast<std::size_t>(k)]);
  }
  const std::vector<float> weight =
      restored({codes, w.absmax, w.N, static_cast<std::int64_t>(columns.size())});
  for (std::size_t i = 0; i < y.size(); ++i) {
    const float* row = x.data() + i / N * K;
    const float* weights = weight.data() + i % N * columns.size();
    float sum = 0.0f;
    for (const std::int64_t k : columns) sum += row[k] * *weights++;
    y[i] += sum;
  }
}

}  // namespace

std::vector<std::int64_t> quantize_int8_outliers(std::span<const float> x, std::int64_t rows,
                                                 std::int64_t columns, float threshold,
                                                 std::span<std::int8_t> q,
                                                 std::span<float> absmax) {
  require(threshold >= 0.0f, "quantize_int8_outliers", "a threshold of at least 0");
  require(has_elements(x.size(), rows, columns), "quantize_int8_outliers", "rows * columns values");
  std::vector<float> small(x.begin(), x.end());
  const auto width = static_cast<std::size_t>(columns);
  std::vector<bool> is_outlier(width);
  for (std::size_t i = 0; i < small.size(); ++i) {
    if (threshold == 0.0f || !(std::abs(small[i]) >= threshold)) continue;
    small[i] = 0.0f;
    is_outlier[i % width] = true;
  }
  quantize_rowwise_int8(small, rows, columns, q, absmax);
  std::vector<std::int64_t> outliers;
  for (std::size_t k = 0; k < width; ++k) {
    if (!is_outlier[k]) continue;
    outliers.push_back(static_cast<std::int64_t>(k));
    for (std::size_t i = k; i < q.size(); i += width) q[i] = 0;
  }
  return outliers;
}

void linear_int8(const Int8Weight& w, std::span<const float> x, std::int64_t T,
                 std::span<const float> bias, float threshold, std::span<float> y) {
  require_layer("linear_int8", w, x.size(), y.size(), T);
  require(bias.empty() || bias.size() == w.absmax.size(), "linear_int8", "a bias (N), or none");
  std::vector<float> half(x.begin(), x.end());
  round_to(DType::f16, half);
  std::vector<std::int8_t> q(half.size());
  std::vector<float> absmax(static_cast<std::size_t>(T));
  const auto outliers = quantize_int8_outliers(half, T, w.K, threshold, q, absmax);

  std::vector<std::int32_t> acc(y.size());
  integer_product<std::int8_t>(q, w.codes, T, w.N, w.K, acc);
  const auto N = static_cast<std::size_t>(w.N);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const float scale = absmax[i / N] * w.absmax[i % N] * (1.0f / (127.0f * 127.0f));
    y[i] = static_cast<float>(acc[i]) * scale + (bias.empty() ? 0.0f : bias[i % N]);
  }
  round_to(DType::f16, y);
  if (outliers.empty()) return;
  add_outliers(w, half, outliers, y);
  round_to(DType::f16, y);
}

void linear_int8_backward(const Int8Weight& w, std::span<const float> grad_y, std::int64_t T,
                          std::span<float> grad_x) {
  require_layer("linear_int8_backward", w, grad_x.size(), grad_y.size(), T);
  const std::vector<float> weight = restored(w);
  matmul(Transpose::no, Transpose::no, T, w.K, w.N, 1.0f, grad_y.data(), w.N, weight.data(), w.K,
         0.0f, grad_x.data(), w.K);
  round_to(DType::f16, grad_x);
}

}  // namespace qlora
