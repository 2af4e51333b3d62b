#include "core/matmul.h"

#include <Eigen/Core>
#include <type_traits>

#include "core/error.h"
#include "core/parallel.h"
#include "core/subnormals.h"

#if QLORA_ONEDNN
#include <oneapi/dnnl/dnnl.h>
extern "C" void omp_set_num_threads(int);  // oneDNN's own threads
#endif

namespace qlora {
namespace {

template <typename T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <typename T>
using Stored = Eigen::Map<const Matrix<T>, Eigen::Unaligned, Eigen::OuterStride<>>;
template <typename T>
using Output = Eigen::Map<Matrix<T>, Eigen::Unaligned, Eigen::OuterStride<>>;

// One thread's rectangle of C.
template <typename T>
struct Block {
  std::int64_t row, rows, column, columns;
};

#if QLORA_ONEDNN
// float products, a sixth faster than Eigen's in the shapes of a training step.
void onednn_product(Transpose trans_a, Transpose trans_b, Block<float> b, std::int64_t K,
                    float alpha, const float* A, std::int64_t lda, const float* B, std::int64_t ldb,
                    float beta, float* C, std::int64_t ldc) {
  // The threads are ours: each tells oneDNN once to start none of its own.
  thread_local const bool alone = (omp_set_num_threads(1), true);
  const char* names = "NT";
  const dnnl_status_t status =
      dnnl_sgemm(names[trans_a == Transpose::yes], names[trans_b == Transpose::yes], b.rows,
                 b.columns, K, alpha, A + b.row * (trans_a == Transpose::no ? lda : 1), lda,
                 B + b.column * (trans_b == Transpose::no ? 1 : ldb), ldb, beta,
                 C + b.row * ldc + b.column, ldc);
  require(alone && status == dnnl_success, "matmul", "a product that oneDNN takes");
}
#endif

template <typename T>
void product(Transpose trans_a, Transpose trans_b, Block<T> b, std::int64_t K, T alpha, const T* A,
             std::int64_t lda, const T* B, std::int64_t ldb, T beta, T* C, std::int64_t ldc) {
  const SubnormalsAreZero guard;
#if QLORA_ONEDNN
  if constexpr (std::is_same_v<T, float>) {
    if (K > 0) {
      onednn_product(trans_a, trans_b, b, K, alpha, A, lda, B, ldb, beta, C, ldc);
      return;
    }
  }
#endif
  Output<T> c(C + b.row * ldc + b.column, b.rows, b.columns, Eigen::OuterStride<>(ldc));
  if (beta == T{0}) {
    c.setZero();
  } else if (beta != T{1}) {
    c *= beta;
  }
  const auto stored = [](const T* x, std::int64_t rows, std::int64_t columns, std::int64_t ld) {
    return Stored<T>(x, rows, columns, Eigen::OuterStride<>(ld));
  };
  if (trans_a == Transpose::no && trans_b == Transpose::no) {
    c.noalias() +=
        alpha * (stored(A + b.row * lda, b.rows, K, lda) * stored(B + b.column, K, b.columns, ldb));
  } else if (trans_a == Transpose::no) {
    c.noalias() += alpha * (stored(A + b.row * lda, b.rows, K, lda) *
                            stored(B + b.column * ldb, b.columns, K, ldb).transpose());
  } else if (trans_b == Transpose::no) {
    c.noalias() += alpha * (stored(A + b.row, K, b.rows, lda).transpose() *
                            stored(B + b.column, K, b.columns, ldb));
  } else {
    c.noalias() += alpha * (stored(A + b.row, K, b.rows, lda).transpose() *
                            stored(B + b.column * ldb, b.columns, K, ldb).transpose());
  }
}

}  // namespace

template <typename T>
void matmul(Transpose trans_a, Transpose trans_b, std::int64_t M, std::int64_t N, std::int64_t K,
            T alpha, const T* A, std::int64_t lda, const T* B, std::int64_t ldb, T beta, T* C,
            std::int64_t ldc) {
  require(M >= 0 && N >= 0 && K >= 0, "matmul", "sizes of at least zero");
  require(lda >= (trans_a == Transpose::no ? K : M), "matmul", "lda of at least a stored row of A");
  require(ldb >= (trans_b == Transpose::no ? N : K), "matmul", "ldb of at least a stored row of B");
  require(ldc >= N, "matmul", "ldc of at least N");
  if (M == 0 || N == 0) return;
  // Below some tens of microseconds a second thread costs more than it brings.
  const bool small = M * N * K < 64 * 64 * 64;
  // Grain: whole tiles of Eigen's kernel, so that no thread works on slivers.
  if (M >= N) {
    parallel_for(M, small ? M : 16, [&](std::int64_t begin, std::int64_t end) {
      product<T>(trans_a, trans_b, {begin, end - begin, 0, N}, K, alpha, A, lda, B, ldb, beta, C,
                 ldc);
    });
  } else {
    parallel_for(N, small ? N : 16, [&](std::int64_t begin, std::int64_t end) {
      product<T>(trans_a, trans_b, {0, M, begin, end - begin}, K, alpha, A, lda, B, ldb, beta, C,
                 ldc);
    });
  }
}

template void matmul<float>(Transpose, Transpose, std::int64_t, std::int64_t, std::int64_t, float,
                            const float*, std::int64_t, const float*, std::int64_t, float, float*,
                            std::int64_t);
template void matmul<double>(Transpose, Transpose, std::int64_t, std::int64_t, std::int64_t, double,
                             const double*, std::int64_t, const double*, std::int64_t, double,
                             double*, std::int64_t);

}  // namespace qlora
