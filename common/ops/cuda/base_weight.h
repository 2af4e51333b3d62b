// The weight under the adapters as a pass multiplies by it.
#pragma once

#include "ops/cuda/product.h"
#include "ops/linear.h"

namespace qlora::cuda {

/// to = from, row by row, as a part of the adapters' time.
void copy_rows(const Matrix& from, const Matrix& to);

/// W (N,K) into the first columns of N rows of `to` (N,ld), whose dtype is the arithmetic's:
/// dequantized, or as ops::seen_weight() has it.
/// @throws MachineLacks on a weight in int8
void write_base(const LinearGroup& group, Arena& arena, const Tensor& to);

/// W (N,K) in the dtype of the arithmetic: as it is where it is dense, else in the arena.
Matrix base_weight(const LinearGroup& group, DType dtype, Arena& arena);

}  // namespace qlora::cuda
