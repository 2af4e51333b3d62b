// Task 1: DoRA of one linear map. What each function does stands in common/lora/dora.h.
#include "lora/dora.h"

#include "core/matmul.h"
#include "core/todo.h"

namespace qlora {

template <typename T>
void dora_norm(const LoraWeights<T>& lora, const T* W, T* norm) {
  todo("dora_norm", "chapter 16, task 1");
}

template <typename T>
void dora_forward(const LoraWeights<T>& lora, const T* m, const T* norm, std::int64_t tokens,
                  const T* x, T* base, T* u, T* y, std::int64_t ldy) {
  todo("dora_forward", "chapter 16, task 1");
}

template <typename T>
void dora_backward(const LoraWeights<T>& lora, const T* m, const T* norm, std::int64_t tokens,
                   const T* u, T* base, const T* dy, std::int64_t ldy, T* dm, T* g) {
  todo("dora_backward", "chapter 16, task 1");
}

template <typename T>
void dora_merge(const LoraWeights<T>& lora, const T* m, const T* norm, T* W) {
  todo("dora_merge", "chapter 16, task 1");
}

template <typename T>
void dora_unmerge(const LoraWeights<T>& lora, const T* m, const T* norm, T* W) {
  todo("dora_unmerge", "chapter 16, task 1");
}

// Both types of arithmetic; leave these lines as they are.
template void dora_norm<float>(const LoraWeights<float>&, const float*, float*);
template void dora_norm<double>(const LoraWeights<double>&, const double*, double*);
template void dora_forward<float>(const LoraWeights<float>&, const float*, const float*,
                                  std::int64_t, const float*, float*, float*, float*, std::int64_t);
template void dora_forward<double>(const LoraWeights<double>&, const double*, const double*,
                                   std::int64_t, const double*, double*, double*, double*,
                                   std::int64_t);
template void dora_backward<float>(const LoraWeights<float>&, const float*, const float*,
                                   std::int64_t, const float*, float*, const float*, std::int64_t,
                                   float*, float*);
template void dora_backward<double>(const LoraWeights<double>&, const double*, const double*,
                                    std::int64_t, const double*, double*, const double*,
                                    std::int64_t, double*, double*);
template void dora_merge<float>(const LoraWeights<float>&, const float*, const float*, float*);
template void dora_merge<double>(const LoraWeights<double>&, const double*, const double*, double*);
template void dora_unmerge<float>(const LoraWeights<float>&, const float*, const float*, float*);
template void dora_unmerge<double>(const LoraWeights<double>&, const double*, const double*,
                                   double*);

}  // namespace qlora
