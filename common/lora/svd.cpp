#include "lora/svd.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/error.h"

namespace qlora {
namespace {

constexpr int kMostSweeps = 60;  // it converges quadratically: some ten are enough

double dot(std::int64_t n, const double* a, const double* b) {
  double sum = 0.0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

void rotate(std::int64_t n, double c, double s, double* a, double* b) {
  for (std::int64_t i = 0; i < n; ++i) {
    const double x = a[i], y = b[i];
    a[i] = c * x - s * y;
    b[i] = s * x + c * y;
  }
}

// Makes g_p and g_q orthogonal, and turns v_p and v_q likewise. Returns whether they were not.
bool orthogonalize(std::int64_t rows, std::int64_t cols, double* gp, double* gq, double* vp,
                   double* vq) {
  const double pp = dot(rows, gp, gp), qq = dot(rows, gq, gq), pq = dot(rows, gp, gq);
  constexpr double tolerance = 4.0 * std::numeric_limits<double>::epsilon();
  if (std::abs(pq) <= tolerance * std::sqrt(pp * qq)) return false;
  const double zeta = (qq - pp) / (2.0 * pq);
  const double t = std::copysign(1.0, zeta) / (std::abs(zeta) + std::hypot(1.0, zeta));
  const double c = 1.0 / std::hypot(1.0, t);
  rotate(rows, c, c * t, gp, gq);
  rotate(cols, c, c * t, vp, vq);
  return true;
}

// G (cols,rows) holds the columns of a matrix one after the other, rows >= cols; so will V.
void jacobi(std::int64_t rows, std::int64_t cols, std::vector<double>& G, std::vector<double>& V) {
  bool rotated = true;
  for (int sweep = 0; rotated && sweep < kMostSweeps; ++sweep) {
    rotated = false;
    for (std::int64_t p = 0; p + 1 < cols; ++p) {
      for (std::int64_t q = p + 1; q < cols; ++q) {
        rotated |=
            orthogonalize(rows, cols, &G[p * rows], &G[q * rows], &V[p * cols], &V[q * cols]);
      }
    }
  }
}

std::vector<double> transposed(std::int64_t N, std::int64_t K, std::span<const double> W) {
  std::vector<double> out(W.size());
  for (std::int64_t n = 0; n < N; ++n) {
    for (std::int64_t k = 0; k < K; ++k) out[k * N + n] = W[n * K + k];
  }
  return out;
}

Svd svd_of_tall(std::int64_t N, std::int64_t K, std::span<const double> W) {
  std::vector<double> G = transposed(N, K, W);
  std::vector<double> V(K * K, 0.0);
  for (std::int64_t k = 0; k < K; ++k) V[k * K + k] = 1.0;
  jacobi(N, K, G, V);

  std::vector<double> length(K);
  for (std::int64_t k = 0; k < K; ++k) length[k] = std::sqrt(dot(N, &G[k * N], &G[k * N]));
  std::vector<std::int64_t> order(K);
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return length[a] > length[b]; });

  Svd out{N, K, K, std::vector<double>(N * K), std::vector<double>(K), std::vector<double>(K * K)};
  for (std::int64_t p = 0; p < K; ++p) {
    const std::int64_t from = order[p];
    const double s = length[from];
    out.s[p] = s;
    for (std::int64_t n = 0; n < N; ++n) out.U[n * K + p] = s > 0.0 ? G[from * N + n] / s : 0.0;
    for (std::int64_t k = 0; k < K; ++k) out.V[k * K + p] = V[from * K + k];
  }
  return out;
}

}  // namespace

Svd svd(std::int64_t N, std::int64_t K, std::span<const double> W) {
  require(N > 0 && K > 0 && static_cast<std::int64_t>(W.size()) == N * K, "svd",
          "N·K numbers, at least one");
  require(std::all_of(W.begin(), W.end(), [](double w) { return std::isfinite(w); }), "svd",
          "finite numbers");
  if (N >= K) return svd_of_tall(N, K, W);
  Svd out = svd_of_tall(K, N, transposed(N, K, W));
  std::swap(out.N, out.K);
  std::swap(out.U, out.V);
  return out;
}

// [error]
double truncation_error(std::span<const double> s, std::int64_t R) {
  double sum = 0.0;
  for (auto p = static_cast<std::int64_t>(s.size()) - 1; p >= R; --p) sum += s[p] * s[p];
  return std::sqrt(sum);
}
// [/error]

std::int64_t numerical_rank(std::span<const double> s, double tolerance) {
  const double largest = s.empty() ? 0.0 : s[0];
  return std::count_if(s.begin(), s.end(), [&](double x) { return x > tolerance * largest; });
}

void low_rank_factors(const Svd& svd, std::int64_t R, std::span<double> B, std::span<double> A) {
  require(R >= 1 && R <= svd.P, "low_rank_factors", "a rank of 1 … min(N,K)");
  require(static_cast<std::int64_t>(B.size()) == svd.N * R &&
              static_cast<std::int64_t>(A.size()) == R * svd.K,
          "low_rank_factors", "B of N·R and A of R·K numbers");
  for (std::int64_t r = 0; r < R; ++r) {
    for (std::int64_t n = 0; n < svd.N; ++n) B[n * R + r] = svd.U[n * svd.P + r] * svd.s[r];
    for (std::int64_t k = 0; k < svd.K; ++k) A[r * svd.K + k] = svd.V[k * svd.P + r];
  }
}

}  // namespace qlora
