// LoftQ by power iteration: one singular pair after the other, ten thousand products each.
#include "loftq.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/random.h"

namespace qlora {
namespace {

using Matrix = std::vector<double>;  // (N,K), row after row

struct Pair {
  std::vector<double> u, v;  // of length one, or zero
  double sigma = 0;
};

double normalize(std::vector<double>& x) {
  double squares = 0;
  for (const double value : x) squares += value * value;
  const double length = std::sqrt(squares);
  for (double& value : x) value = length > 0 ? value / length : 0.0;
  return length;
}

// The largest singular value of M and its vectors: v = Mᵀ(M v) until it stays.
Pair largest(const Matrix& M, std::int64_t N, std::int64_t K) {
  Pair p;
  for (std::int64_t k = 0; k < K; ++k) {
    p.v.push_back(double{Random{7, 7}.normal(static_cast<std::uint64_t>(k))});
  }
  normalize(p.v);
  for (int i = 0; i < 10000; ++i) {
    p.u.assign(static_cast<std::size_t>(N), 0.0);
    for (std::int64_t j = 0; j < N * K; ++j) p.u[j / K] += M[j] * p.v[j % K];
    p.sigma = normalize(p.u);
    p.v.assign(static_cast<std::size_t>(K), 0.0);
    for (std::int64_t j = 0; j < N * K; ++j) p.v[j % K] += M[j] * p.u[j / K];
    normalize(p.v);
  }
  return p;
}

}  // namespace

LoftqStart loftq_start(const Tensor& W, std::int64_t R, double scaling, int steps) {
  require(W.rank() == 2 && W.dtype() == DType::f32, "loftq_start", "a matrix in float32");
  const std::int64_t N = W.dim(0), K = W.dim(1);
  require(R >= 1 && R <= std::min(N, K), "loftq_start", "a rank of 1 to min(N, K)");
  require(scaling > 0, "loftq_start", "a scaling above zero");
  require(steps >= 1, "loftq_start", "at least one step");
  LoftqStart start;
  Matrix update(static_cast<std::size_t>(N * K), 0.0);
  for (int step = 0; step < steps; ++step) {
    const Tensor left = W.clone();
    for (std::int64_t i = 0; i < N * K; ++i) left.data<float>()[i] -= static_cast<float>(update[i]);
    start.base = quantize_4bit(left, QuantType::nf4, 64, true);
    const Tensor restored = dequantize_4bit(start.base);
    Matrix rest(update.size());
    for (std::int64_t i = 0; i < N * K; ++i) {
      rest[i] = double{W.data<float>()[i]} - double{restored.data<float>()[i]};
    }
    start.A.assign(static_cast<std::size_t>(R * K), 0.0f);
    start.B.assign(static_cast<std::size_t>(N * R), 0.0f);
    update.assign(update.size(), 0.0);
    for (std::int64_t r = 0; r < R; ++r) {
      const Pair p = largest(rest, N, K);
      const double half = std::sqrt(p.sigma / scaling);
      for (std::int64_t n = 0; n < N; ++n) start.B[n * R + r] = static_cast<float>(half * p.u[n]);
      for (std::int64_t k = 0; k < K; ++k) start.A[r * K + k] = static_cast<float>(half * p.v[k]);
      for (std::int64_t i = 0; i < N * K; ++i) {
        const double part = p.sigma * p.u[i / K] * p.v[i % K];
        rest[i] -= part;
        update[i] += part;
      }
    }
  }
  return start;
}

}  // namespace qlora
