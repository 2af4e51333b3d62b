// Logits on the CPU: the head's product with the token table.
#pragma once

#include <cstdint>

namespace qlora::cpu {

/// logits (rows,V) = x (rows,C) · table (V,C)ᵀ. In a tied model the table is the embedding's.
template <typename T>
void logits_forward(std::int64_t rows, std::int64_t V, std::int64_t C, const T* x, const T* table,
                    T* logits);

/// dtable (V,C) += dlogits (rows,V)ᵀ · x (rows,C), unless dtable is nullptr; dx (rows,C) = dlogits
/// · table, overwritten. dx may be the memory of x, of which nothing is left then.
template <typename T>
void logits_backward(std::int64_t rows, std::int64_t V, std::int64_t C, const T* dlogits,
                     const T* x, const T* table, T* dtable, T* dx);

}  // namespace qlora::cpu
