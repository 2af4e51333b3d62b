#include "ops/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/matmul.h"
#include "core/parallel.h"
#include "core/vector_math.h"

namespace qlora::cpu {
namespace {

constexpr auto kNo = Transpose::no;
constexpr auto kYes = Transpose::yes;
constexpr std::int64_t kBlock = 64;  // queries at a time: only the keys that they see are computed

template <typename T>
constexpr T kMasked = -std::numeric_limits<T>::infinity();

// One block of queries of one head: rows [first, first + rows). Row i of it sees the keys
// [from, from + seen(i)), the last row all keys that there are scores of.
struct QueryBlock {
  std::int64_t first, rows;    // queries
  std::int64_t from, keys;     // from their segment's first key on
  const std::int32_t* hidden;  // (keys) 0 where a key is padding; nullptr: none is
  std::int64_t seen(std::int64_t i) const { return keys - rows + 1 + i; }
};

// Heads that a thread takes at least: all of them where there is too little to do for two.
std::int64_t grain_of(const AttentionShape& s, std::int64_t heads) {
  return s.T * s.S < 32 * 32 ? s.B * heads : 1;
}

// Where the segment ends that begins at `begin`, the padding in it and behind it included.
std::int64_t segment_end(const std::int32_t* segments, std::int64_t begin, std::int64_t T) {
  std::int32_t segment = 0;
  for (std::int64_t t = begin; t < T; ++t) {
    if (segments[t] == 0) continue;
    if (segment != 0 && segments[t] != segment) return t;
    segment = segments[t];
  }
  return T;
}

// The blocks of row b of the batch. None crosses a segment's end, so that no score between two
// segments is computed: a row costs what its segments would cost one by one.
std::vector<QueryBlock> blocks_of(const AttentionShape& s, const std::int32_t* segments,
                                  std::int64_t b) {
  std::vector<QueryBlock> blocks;
  const std::int32_t* row = segments == nullptr ? nullptr : segments + b * s.T;
  for (std::int64_t begin = 0; begin < s.T;) {
    const std::int64_t end = row == nullptr ? s.T : segment_end(row, begin, s.T);
    const bool padded = row != nullptr && std::find(row + begin, row + end, 0) != row + end;
    for (std::int64_t first = begin; first < end; first += kBlock) {
      const std::int64_t rows = std::min(kBlock, end - first);
      blocks.push_back(
          {first, rows, begin, s.S - s.T + first + rows - begin, padded ? row + begin : nullptr});
    }
    begin = end;
  }
  return blocks;
}

// scores (rows, keys) = q · kᵀ / sqrt(D), -infinity where a key is padding. What lies past the keys
// that a row sees stays in place: softmax and the gradients put a zero there.
template <typename T>
void scores_of(const AttentionShape& s, const QueryBlock& b, const T* q, std::int64_t ldq,
               const T* k, std::int64_t ldk, T* scores) {
  const T scale = T{1} / std::sqrt(static_cast<T>(s.D));
  matmul<T>(kNo, kYes, b.rows, b.keys, s.D, scale, q + b.first * ldq, ldq, k + b.from * ldk, ldk,
            T{0}, scores, b.keys);
  if (b.hidden == nullptr) return;
  for (std::int64_t i = 0; i < b.rows; ++i) {
    for (std::int64_t j = 0; j < b.seen(i); ++j) {
      if (b.hidden[j] == 0) scores[i * b.keys + j] = kMasked<T>;
    }
  }
}

// Turns the first `seen` scores of a row into probabilities in place and the rest into zeros;
// returns log Σ exp. A row whose keys are all masked gets zeros.
template <typename T>
T softmax(T* row, std::int64_t seen, std::int64_t keys) {
  std::fill(row + seen, row + keys, T{0});
  T largest = kMasked<T>;
#pragma omp simd reduction(max : largest)
  for (std::int64_t j = 0; j < seen; ++j) largest = std::max(largest, row[j]);
  // A simd reduction may begin with the lowest number instead of -infinity (clang does).
  if (largest <= std::numeric_limits<T>::lowest()) {
    std::fill(row, row + seen, T{0});
    return kMasked<T>;
  }
  for (std::int64_t j = 0; j < seen; ++j) row[j] -= largest;
  vector_exp(seen, row, row);
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t j = 0; j < seen; ++j) sum += row[j];
  const T inverse = T{1} / sum;
  for (std::int64_t j = 0; j < seen; ++j) row[j] *= inverse;
  return largest + std::log(sum);
}

}  // namespace

template <typename T>
void attention_forward(const AttentionShape& s, Heads<const T> q, Heads<const T> k,
                       Heads<const T> v, const std::int32_t* segments, T* out, T* lse) {
  const std::int64_t group = s.H / s.K, ld = s.H * s.D;
  parallel_for(s.B * s.H, grain_of(s, s.H), [&](std::int64_t begin, std::int64_t end) {
    std::vector<T> scores(static_cast<std::size_t>(std::min(kBlock, s.T) * s.S));
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t b = i / s.H, h = i % s.H, kv = h / group;
      const T* qh = q.data + b * q.batch + h * s.D;
      const T* kh = k.data + b * k.batch + kv * s.D;
      const T* vh = v.data + b * v.batch + kv * s.D;
      for (const QueryBlock& block : blocks_of(s, segments, b)) {
        scores_of(s, block, qh, q.row, kh, k.row, scores.data());
        for (std::int64_t t = 0; t < block.rows; ++t) {
          lse[(b * s.H + h) * s.T + block.first + t] =
              softmax(scores.data() + t * block.keys, block.seen(t), block.keys);
        }
        matmul<T>(kNo, kNo, block.rows, s.D, block.keys, T{1}, scores.data(), block.keys,
                  vh + block.from * v.row, v.row, T{0},
                  out + (b * s.T + block.first) * ld + h * s.D, ld);
      }
    }
  });
}

namespace {

// P again from the scores and their log-sum-exp, in place.
template <typename T>
void probabilities(const QueryBlock& block, const T* lse, T* scores) {
  for (std::int64_t t = 0; t < block.rows; ++t) {
    T* row = scores + t * block.keys;
    const std::int64_t seen = lse[t] == kMasked<T> ? 0 : block.seen(t);
    std::fill(row + seen, row + block.keys, T{0});
    for (std::int64_t j = 0; j < seen; ++j) row[j] -= lse[t];
    vector_exp(seen, row, row);
  }
}

// dS = P ⊙ (dP − Δ) / sqrt(D) in place of dP, with Δ_t = dout_t · out_t = Σ_j P_tj dP_tj.
template <typename T>
void score_gradient(const AttentionShape& s, const QueryBlock& block, const T* P, const T* out,
                    const T* dout, std::int64_t ld, T* dP) {
  const T scale = T{1} / std::sqrt(static_cast<T>(s.D));
  for (std::int64_t t = 0; t < block.rows; ++t) {
    T delta = 0;
#pragma omp simd reduction(+ : delta)
    for (std::int64_t d = 0; d < s.D; ++d) delta += out[t * ld + d] * dout[t * ld + d];
    const T* p = P + t * block.keys;
    T* dp = dP + t * block.keys;
    const std::int64_t seen = block.seen(t);
    for (std::int64_t j = 0; j < seen; ++j) dp[j] = p[j] * (dp[j] - delta) * scale;
    std::fill(dp + seen, dp + block.keys, T{0});
  }
}

}  // namespace

template <typename T>
void attention_backward(const AttentionShape& s, Heads<const T> q, Heads<const T> k,
                        Heads<const T> v, const std::int32_t* segments, const T* out, const T* lse,
                        const T* dout, Heads<T> dq, Heads<T> dk, Heads<T> dv) {
  const std::int64_t group = s.H / s.K, ld = s.H * s.D;
  // A key-value head belongs to one thread: dk and dv are summed over its query heads in order.
  parallel_for(s.B * s.K, grain_of(s, s.K), [&](std::int64_t begin, std::int64_t end) {
    const auto size = static_cast<std::size_t>(std::min(kBlock, s.T) * s.S);
    std::vector<T> P(size), dP(size);
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t b = i / s.K, kv = i % s.K;
      const T* kh = k.data + b * k.batch + kv * s.D;
      const T* vh = v.data + b * v.batch + kv * s.D;
      T* dkh = dk.data + b * dk.batch + kv * s.D;
      T* dvh = dv.data + b * dv.batch + kv * s.D;
      for (std::int64_t t = 0; t < s.S; ++t) {
        std::fill_n(dkh + t * dk.row, s.D, T{0});
        std::fill_n(dvh + t * dv.row, s.D, T{0});
      }
      const std::vector<QueryBlock> blocks = blocks_of(s, segments, b);
      for (std::int64_t h = kv * group; h < (kv + 1) * group; ++h) {
        const T* qh = q.data + b * q.batch + h * s.D;
        T* dqh = dq.data + b * dq.batch + h * s.D;
        for (const QueryBlock& block : blocks) {
          const std::int64_t first = block.first, rows = block.rows;
          const std::int64_t from = block.from, keys = block.keys;
          const T* o = out + (b * s.T + first) * ld + h * s.D;
          const T* go = dout + (b * s.T + first) * ld + h * s.D;
          scores_of(s, block, qh, q.row, kh, k.row, P.data());
          probabilities(block, lse + (b * s.H + h) * s.T + first, P.data());
          matmul<T>(kYes, kNo, keys, s.D, rows, T{1}, P.data(), keys, go, ld, T{1},
                    dvh + from * dv.row, dv.row);
          matmul<T>(kNo, kYes, rows, keys, s.D, T{1}, go, ld, vh + from * v.row, v.row, T{0},
                    dP.data(), keys);
          score_gradient(s, block, P.data(), o, go, ld, dP.data());
          matmul<T>(kNo, kNo, rows, s.D, keys, T{1}, dP.data(), keys, kh + from * k.row, k.row,
                    T{0}, dqh + first * dq.row, dq.row);
          matmul<T>(kYes, kNo, keys, s.D, rows, T{1}, dP.data(), keys, qh + first * q.row, q.row,
                    T{1}, dkh + from * dk.row, dk.row);
        }
      }
    }
  });
}

template void attention_forward<float>(const AttentionShape&, Heads<const float>,
                                       Heads<const float>, Heads<const float>, const std::int32_t*,
                                       float*, float*);
template void attention_forward<double>(const AttentionShape&, Heads<const double>,
                                        Heads<const double>, Heads<const double>,
                                        const std::int32_t*, double*, double*);
template void attention_backward<float>(const AttentionShape&, Heads<const float>,
                                        Heads<const float>, Heads<const float>, const std::int32_t*,
                                        const float*, const float*, const float*, Heads<float>,
                                        Heads<float>, Heads<float>);
template void attention_backward<double>(const AttentionShape&, Heads<const double>,
                                         Heads<const double>, Heads<const double>,
                                         const std::int32_t*, const double*, const double*,
                                         const double*, Heads<double>, Heads<double>,
                                         Heads<double>);

}  // namespace qlora::cpu
