// DoRA on the GPU: lengths of a weight's adapted rows, and columns scaled by them.
#pragma once

#include "ops/cuda/product.h"
#include "ops/linear.h"

namespace qlora::cuda {

/// See ops::dora_norm. weight in float32, bfloat16 or float16; adapter and norm F32.
void dora_norm(const Tensor& weight, const Adapter& adapter, const Tensor& norm);
/// The same of rows within a larger matrix.
void dora_norm(const Matrix& weight, const Adapter& adapter, const Tensor& norm);

/// out (T,N) = keep · out + (m / norm − less) ⊙ in (T,N), m and norm (N) F32; in may be out.
void scale_columns(const Matrix& in, const Tensor& m, const Tensor& norm, float less, float keep,
                   const Matrix& out);

/// out (T,N) += in (T,N).
void add_columns(const Matrix& in, const Matrix& out);

/// dm (N) += Σ_t dy ⊙ v / norm, of dy and v (T,N); dm and norm F32. Equal inputs give equal bits.
void magnitude_gradient(const Matrix& dy, const Matrix& v, const Tensor& norm, const Tensor& dm);

}  // namespace qlora::cuda
