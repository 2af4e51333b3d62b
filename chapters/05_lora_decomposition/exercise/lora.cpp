// Task 1: LoRA of one linear map. What each function does stands in common/lora/lora.h.
#include "lora/lora.h"

#include "core/matmul.h"
#include "core/todo.h"

namespace qlora {

double lora_scaling(double lora_alpha, std::int64_t R, bool use_rslora) {
  todo("lora_scaling", "chapter 05, task 1");
}

template <typename T>
void drop(const Dropout& dropout, std::int64_t n, const T* x, T* out) {
  todo("drop", "chapter 05, task 1");
}

template <typename T>
void lora_forward(const LoraWeights<T>& lora, std::int64_t tokens, const T* x,
                  const Dropout& dropout, T* scratch, T* u, T* y, std::int64_t ldy) {
  todo("lora_forward", "chapter 05, task 1");
}

template <typename T>
void lora_backward(const LoraWeights<T>& lora, std::int64_t tokens, const T* x, const T* u,
                   const Dropout& dropout, const T* dy, std::int64_t ldy, T* scratch, T* du, T* dA,
                   T* dB, T* dx) {
  todo("lora_backward", "chapter 05, task 1");
}

template <typename T>
void lora_merge(const LoraWeights<T>& lora, T sign, T* W) {
  todo("lora_merge", "chapter 05, task 1");
}

void lora_initialize(std::int64_t K, std::int64_t N, std::int64_t R, const Random& random, float* A,
                     float* B) {
  todo("lora_initialize", "chapter 05, task 1");
}

// Both types of arithmetic; leave these lines as they are.
template void drop<float>(const Dropout&, std::int64_t, const float*, float*);
template void drop<double>(const Dropout&, std::int64_t, const double*, double*);
template void lora_forward<float>(const LoraWeights<float>&, std::int64_t, const float*,
                                  const Dropout&, float*, float*, float*, std::int64_t);
template void lora_forward<double>(const LoraWeights<double>&, std::int64_t, const double*,
                                   const Dropout&, double*, double*, double*, std::int64_t);
template void lora_backward<float>(const LoraWeights<float>&, std::int64_t, const float*,
                                   const float*, const Dropout&, const float*, std::int64_t, float*,
                                   float*, float*, float*, float*);
template void lora_backward<double>(const LoraWeights<double>&, std::int64_t, const double*,
                                    const double*, const Dropout&, const double*, std::int64_t,
                                    double*, double*, double*, double*, double*);
template void lora_merge<float>(const LoraWeights<float>&, float, float*);
template void lora_merge<double>(const LoraWeights<double>&, double, double*);

}  // namespace qlora
