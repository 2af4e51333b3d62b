// Matrix products: the only unit of the library that instantiates Eigen's product, or calls
// oneDNN's.
#pragma once

#include <cstdint>

namespace qlora {

/// Whether a matrix is stored transposed.
enum class Transpose { no, yes };

/// C (M,N) = alpha · op(A) (M,K) · op(B) (K,N) + beta · C, row-major, float or double.
///
/// op(X) is X, or X transposed: with Transpose::yes A is stored (K,M), B is stored (N,K).
/// lda, ldb, ldc are the distances between stored rows, at least their length. beta = 0 overwrites
/// C and never reads it. C must not overlap A or B. Rows or columns of C are spread over the
/// threads; the sum over K never is, so the bits depend on the shapes and the number of threads
/// alone. Subnormal numbers count as zero, and a subnormal element of C becomes zero
/// (core/subnormals.h).
template <typename T>
void matmul(Transpose trans_a, Transpose trans_b, std::int64_t M, std::int64_t N, std::int64_t K,
            T alpha, const T* A, std::int64_t lda, const T* B, std::int64_t ldb, T beta, T* C,
            std::int64_t ldc);

}  // namespace qlora
