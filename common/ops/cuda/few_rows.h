// Products of a few rows with large matrices, as generation has them: bound by reading the matrix
// once, straight from its codes.
#pragma once

#include "ops/linear.h"

namespace qlora::cuda {

/// Whether few_rows_forward() takes this group and input: at most 8 rows, every part in 4 bits of
/// one type, K a multiple of 32, rows of x that begin at multiples of 16 bytes, and adapters in
/// float32, up to 8 of them and 256 of their ranks.
bool few_rows_serves(const LinearGroup& group, const Tensor& x);

/// y (T, ΣN) = residual + x (T,K) · [W_0; W_1; …]ᵀ + Σ s · x · Aᵀ · Bᵀ, without dropout; `residual`
/// may be empty, and may be y. x, residual and y have one dtype, and each may have rows that are
/// longer than that: their first columns count. Sums are in float32, and the values of the codes
/// are code · absmax, not rounded to the dtype that the weight had before it was quantized. No
/// weight is ever written. Equal inputs give equal bits.
/// requires few_rows_serves(group, x)
void few_rows_forward(const LinearGroup& group, const Tensor& x, const Tensor& residual,
                      Arena& arena, const Tensor& y);

/// Whether few_rows_head() takes this head and input: at most 8 rows, whole accesses of 16 bytes,
/// and a row of x as float32 in 48 KiB.
bool few_rows_serves(const Tensor& head, const Tensor& x);

/// logits (T,V) = x (T,C) · head (V,C)ᵀ, all of one dtype, sums in float32.
/// requires few_rows_serves(head, x)
void few_rows_head(const Tensor& x, const Tensor& head, const Tensor& logits);

}  // namespace qlora::cuda
