// Task 2: VeRA, an adapter of which only two vectors are trained. Nothing like it is in the tree.
#pragma once

#include <cstdint>

namespace qlora {

/// Kopiczko et al., "VeRA: Vector-based Random Matrix Adaptation", arXiv 2310.11454, equation 2: A
/// and B are random, frozen, and the same for all layers; d and b scale what passes them.
struct Vera {
  std::int64_t K = 0, N = 0, R = 0;  ///< in-features, out-features, rank
  const double* A = nullptr;         ///< (R,K), frozen
  const double* B = nullptr;         ///< (N,R), frozen
  const double* d = nullptr;         ///< (R), trained
  const double* b = nullptr;         ///< (N), trained
};

/// y (T,N) += Λ_b B Λ_d A x for each row x of x (T,K); Λ_v is the diagonal matrix of v.
void vera_forward(const Vera& vera, std::int64_t tokens, const double* x, double* y);

/// From dy (T,N): adds to dd (R), db (N) and dx (T,K). dx may be nullptr.
void vera_backward(const Vera& vera, std::int64_t tokens, const double* x, const double* dy,
                   double* dd, double* db, double* dx);

/// W (N,K) += sign · Λ_b B Λ_d A.
void vera_merge(const Vera& vera, double sign, double* W);

}  // namespace qlora
