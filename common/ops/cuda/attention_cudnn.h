// Attention on cuDNN's kernels, where the build has its headers and the process finds its library.
#pragma once

#include <string>

#include "core/arena.h"
#include "ops/attention.h"

namespace qlora::cuda {

/// Why this process cannot use cuDNN: the build has no headers of it, the library is not found, or
/// the GPU is too old; empty where it can. The library is looked for once: in the folder that
/// QLORA_CUDNN names, and only there where it is set; else where the loader looks, a packed program
/// beside itself first.
const std::string& cudnn_problem();

/// See ops::attention_forward, for rows without segments. Rows of qkv and out may be wider than
/// their columns. The first call of a shape makes a plan for it, which is kept.
/// @return why cuDNN does not serve these tensors, and then nothing was done; empty: it is done
std::string cudnn_forward(const AttentionShape& shape, const Tensor& qkv, const Tensor& out,
                          const Tensor& lse);

/// See ops::attention_backward; likewise, for rows of dout and dqkv too. Equal inputs give equal
/// bits, for which an H100 keeps a T×T matrix of each head in the arena; it does not serve what
/// takes more than 1 GiB. Where QLORA_CUDNN_ANY_ORDER is set, blocks add in the order in which they
/// come, which needs no such matrix.
std::string cudnn_backward(const AttentionShape& shape, const Tensor& qkv, const Tensor& out,
                           const Tensor& lse, const Tensor& dout, Arena& arena, const Tensor& dqkv);

/// Bytes that cudnn_backward() takes from the arena for rows of out_row and dqkv_row elements; 0
/// where it does not serve.
std::int64_t cudnn_scratch(const AttentionShape& shape, DType dtype, std::int64_t out_row,
                           std::int64_t dqkv_row);

}  // namespace qlora::cuda
