// What the ops on the GPU are made of, beside products: each over one array or row by row, on
// cuda::stream(). Tensors are float32, bfloat16 or float16; arithmetic is in float32.
#pragma once

#include "core/tensor.h"
#include "lora/lora.h"

namespace qlora::cuda {

/// to = from in the dtype of `to`, rounded once to nearest even.
void cast(const Tensor& from, const Tensor& to);

/// out = x / (1 − p) where the stream keeps the element, else 0: the masks of the CPU's LoRA layers
/// (lora/lora.h), whose streams count the elements of x. out may be x.
void dropout(const Tensor& x, const Dropout& how, const Tensor& out);

/// out += what dropout() would give: the gradient of a dropped-out input, added to dx.
void add_dropout(const Tensor& x, const Dropout& how, const Tensor& out);

/// See ops::fill_normal.
void fill_normal(const Tensor& t, float standard_deviation, const Random& random);

/// Softmax cross-entropy of each row: losses (rows) F32 = log Σ_v exp(logits) − logits[target], and
/// logits (rows,V) are overwritten by scale · (softmax − onehot(target)); a scale of 0 leaves them.
/// targets (rows) I32: a row with −100 has loss 0 and gradient 0; every other is in 0 … V−1, which
/// nothing looks at.
void softmax_cross_entropy(const Tensor& logits, const Tensor& targets, double scale,
                           const Tensor& losses);

/// ids (rows) I32: the column of the largest of each row's logits (rows,V), of equal ones the
/// first; a NaN is larger than nothing.
void argmax(const Tensor& logits, const Tensor& ids);

/// counts (n) I32 += 1.
void increment(const Tensor& counts);

}  // namespace qlora::cuda
