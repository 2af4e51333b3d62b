// Token embedding on the CPU.
#pragma once

#include <cstdint>

namespace qlora::cpu {

/// See ops::embedding_forward.
template <typename T>
void embedding_forward(std::int64_t tokens, std::int64_t C, const T* table, const std::int32_t* ids,
                       T scale, T* x);

/// See ops::embedding_backward.
template <typename T>
void embedding_backward(std::int64_t tokens, std::int64_t C, const T* dx, const std::int32_t* ids,
                        T scale, T* dtable);

}  // namespace qlora::cpu
