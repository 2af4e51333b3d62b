// Matrix products on the GPU, by cuBLASLt: the only unit that calls it.
#pragma once

#include "core/matmul.h"
#include "core/tensor.h"
#include "ops/timeline.h"

namespace qlora::cuda {

/// A row-major matrix somewhere in device memory, its rows `ld` elements apart.
struct Matrix {
  void* data = nullptr;      ///< the first element
  DType dtype = DType::f32;  ///< float32, float16 or bfloat16
  std::int64_t rows = 0;     ///< of the matrix
  std::int64_t columns = 0;  ///< likewise
  std::int64_t ld = 0;       ///< elements from one row to the next

  Matrix() = default;
  /// All of a tensor of two dimensions.
  explicit Matrix(const Tensor& tensor);
  /// Columns [begin, begin + count).
  Matrix columns_from(std::int64_t begin, std::int64_t count) const;
  /// Rows [begin, begin + count).
  Matrix rows_from(std::int64_t begin, std::int64_t count) const;
};

/// D (M,N) = alpha · op(A) (M,K) · op(B) (K,N) + beta · C, sums in float32. op(X) is X, or X
/// transposed: with Transpose::yes A is stored (K,M), B is stored (N,K). A and B have one dtype, as
/// have C and D, which may be wider; C may be D. beta = 0 never reads C. Products in float32 are in
/// full float32, not TF32. Equal calls give equal bits.
/// @param part  of a step, which its time belongs to
/// @throws std::invalid_argument if sizes or dtypes do not fit
void product(Transpose trans_a, const Matrix& A, Transpose trans_b, const Matrix& B, float alpha,
             float beta, const Matrix& C, const Matrix& D, ops::Part part = ops::Part::products);

}  // namespace qlora::cuda
