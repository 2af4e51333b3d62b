// Task 7: attention with linear biases, in place of a rotation. Nothing like it is in the tree.
#pragma once

#include <cstdint>
#include <vector>

namespace qlora {

/// The slopes of H heads (Press, Smith, Lewis 2022, section 3, and the authors' code).
///
/// Where H is a power of two, the slope of head h (from 0) is 2^(−8 (h+1) / H): a geometric series
/// that ends at 2^−8. Otherwise, with n the largest power of two below H: first the n slopes of n
/// heads, then, of the slopes of 2n heads, the first, the third, the fifth, … until there are H.
std::vector<double> alibi_slopes(std::int64_t H);

/// Sizes of an attention of one sequence. Query t stands at position S−T+t.
struct AlibiShape {
  std::int64_t T = 0;  ///< queries
  std::int64_t S = 0;  ///< keys, at least T
  std::int64_t H = 0;  ///< query heads
  std::int64_t K = 0;  ///< key-value heads; head h reads key-value head h / (H/K)
  std::int64_t D = 0;  ///< head size
};

/// out (T,H·D) = softmax(q · kᵀ / sqrt D − slope · distance) · v of q (T,H·D), k and v (S,K·D). The
/// distance of a query at position i and a key at position j ≤ i is i − j; later keys are not seen.
/// Nothing is rotated: the distance is all that the model knows of positions.
void alibi_attention(const AlibiShape& shape, const double* q, const double* k, const double* v,
                     double* out);

/// dslope (H) += the gradient of each head's slope, as if it were trained, from dout (T,H·D).
void alibi_slope_gradient(const AlibiShape& shape, const double* q, const double* k,
                          const double* v, const double* dout, double* dslope);

}  // namespace qlora
