// How far attention on the GPU may be from the CPU's, element by element.
//
// The bounds. With u the unit roundoff of the format in which P and dS enter the tensor cores (of
// float32 where they do not), and sums of n terms in float32, each term and each sum rounded:
//   scores        |q|·|k| (D + 8) 2^-23 / sqrt D, once here and once on the CPU
//   P             that, T 2^-23 of its sum, 2^-20 for exp and for the rounding of lse: e, relative
//   out           (u + e) Σ P |v|, and one rounding of the result
//   dv            (u + e + n 2^-23) Σ P |dout|
//   dS            E = u |dS| + P (e (|dP| + |Δ|) + (D + 8) 2^-23 |dout| (|v| + |out|))
//   dq, dk        Σ (E + n 2^-23 |dS|) |k| / sqrt D, the same with |q|
// float16 has an absolute error of 2^-25 below 2^-14. Products of two errors are within 2 %.
#pragma once

#include "cuda/twin.h"
#include "ops/attention.h"

namespace qlora::testing {

/// What P and dS are rounded to: the tensor cores' format, or float32 where they are not used.
double operand_roundoff(DType dtype, AttentionKernel kernel, const AttentionShape& s);

/// What a number of the dtype may lose whatever its size.
double smallest(DType dtype);

/// The largest Euclidean norm of D columns, of those in [from, from + count).
double largest_norm(const Tensor& rows, std::int64_t from, std::int64_t count, std::int64_t D);

/// e, from the largest norms of queries and keys.
double error_of_probabilities(const AttentionShape& s, double norm_q, double norm_k);

/// Whether |ours − theirs| <= bounds + one rounding of the result; equal infinities pass, no NaN
/// does. `ours` lies on the GPU, theirs and bounds are float32 on the host.
::testing::AssertionResult within(const Tensor& ours, const Tensor& theirs, const Tensor& bounds);

/// A float32 tensor on the host, all of whose elements are `value`.
Tensor filled(const Shape& shape, double value);

/// |x| in the columns from `from` on.
void make_absolute(const Tensor& rows, std::int64_t from);

/// Bounds of out for Σ P |v|.
void scale_bounds(const Tensor& bounds, double factor, double absolute);

/// Bounds of dqkv for P and dS rounded to u. All tensors are the host's, in float32.
Tensor backward_bounds(const AttentionShape& s, const Tensor& qkv, const Tensor& mask,
                       const Tensor& out, const Tensor& lse, const Tensor& dout, double u,
                       double least);

}  // namespace qlora::testing
