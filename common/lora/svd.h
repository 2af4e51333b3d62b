// Singular values: how much of a matrix a product of two small ones can hold.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qlora {

/// W (N,K) = U · diag(s) · Vᵀ with P = min(N,K) singular values, s_0 >= s_1 >= … >= 0. Columns of U
/// and V are orthonormal; where s_p is zero, column p is zero in U (N >= K) or in V (N < K).
struct Svd {
  /// Rows, columns, and min(N,K).
  std::int64_t N = 0, K = 0, P = 0;

  std::vector<double> U;  ///< (N,P)
  std::vector<double> s;  ///< (P)
  std::vector<double> V;  ///< (K,P)
};

/// One-sided Jacobi: columns of W are rotated against each other in pairs until all are orthogonal;
/// their lengths are the singular values (Hestenes 1958; Golub and Van Loan, "Matrix Computations",
/// section 8.6). About 10 · max(N,K) · P² multiplications a sweep, ten sweeps or so.
/// @throws std::invalid_argument if W is empty, is not N·K numbers, or one is not finite
Svd svd(std::int64_t N, std::int64_t K, std::span<const double> W);

/// ‖W − W_R‖, the root of the sum of the squared singular values beyond the first R: no matrix of
/// rank R is nearer to W (Eckart and Young 1936). R of P or more gives 0.
double truncation_error(std::span<const double> s, std::int64_t R);

/// Singular values above `tolerance` times the largest: the rank, as far as rounding lets it be
/// known.
std::int64_t numerical_rank(std::span<const double> s, double tolerance = 1e-10);

/// The two factors of the nearest matrix of rank R: B (N,R) = U_R · diag(s_R), A (R,K) = V_Rᵀ.
/// @throws std::invalid_argument on R outside 1 … P, or other sizes
void low_rank_factors(const Svd& svd, std::int64_t R, std::span<double> B, std::span<double> A);

}  // namespace qlora
