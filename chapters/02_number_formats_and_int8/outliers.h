// A linear layer whose activations have a few large columns, as those of large language models do.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "core/random.h"
#include "quantization/absmax_int8.h"
#include "quantization/llm_int8.h"
#include "quantization/rounding.h"

namespace qlora::chapter02 {

/// x (T,K) of N(0, 1) but for three columns of about `magnitude`, and W (N,K) of N(0, 0.05²), both
/// values of float16.
struct OutlierLayer {
  static constexpr std::int64_t T = 32;   ///< tokens
  static constexpr std::int64_t K = 256;  ///< in_features
  static constexpr std::int64_t N = 128;  ///< out_features
  std::vector<float> x;                   ///< [T, K]
  std::vector<float> w;                   ///< [N, K]

  /// The layer with outliers of about that size.
  explicit OutlierLayer(float magnitude) : x(T * K), w(N * K) {
    const Random random{3, 0};
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = 0.05f * random.normal(i);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const float value = random.normal(w.size() + i);
      const std::size_t k = i % static_cast<std::size_t>(K);
      x[i] = is_large(k) ? magnitude + value : value;
    }
    round_to(DType::f16, x);
    round_to(DType::f16, w);
  }

  /// Whether a column is one of the three.
  static bool is_large(std::size_t k) { return k == 10 || k == 77 || k == 200; }

  /// The root of the mean square error of linear_int8(), over that of what all columns but the
  /// three contribute to the exact product: it does not shrink as the three grow.
  double error(float threshold) const {
    // [layer]
    std::vector<std::int8_t> codes(w.size());
    std::vector<float> absmax(static_cast<std::size_t>(N));
    quantize_rowwise_int8(w, N, K, codes, absmax);
    std::vector<float> y(static_cast<std::size_t>(T * N));
    linear_int8({codes, absmax, N, K}, x, T, {}, threshold, y);
    // [/layer]
    double squares = 0.0;
    double energy = 0.0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      const std::size_t t = i / static_cast<std::size_t>(N);
      const std::size_t n = i % static_cast<std::size_t>(N);
      double large = 0.0;
      double others = 0.0;
      for (std::size_t k = 0; k < static_cast<std::size_t>(K); ++k) {
        (is_large(k) ? large : others) += double{x[t * K + k]} * double{w[n * K + k]};
      }
      squares += std::pow(double{y[i]} - large - others, 2);
      energy += others * others;
    }
    return std::sqrt(squares / energy);
  }

  /// Columns that LLM.int8() sets aside.
  std::size_t outlier_columns(float threshold) const {
    std::vector<std::int8_t> q(x.size());
    std::vector<float> absmax(static_cast<std::size_t>(T));
    return quantize_int8_outliers(x, T, K, threshold, q, absmax).size();
  }
};

}  // namespace qlora::chapter02
