#include "ops/logits.h"

#include "core/matmul.h"

namespace qlora::cpu {
namespace {

constexpr auto kNo = Transpose::no;
constexpr auto kYes = Transpose::yes;

}  // namespace

template <typename T>
void logits_forward(std::int64_t rows, std::int64_t V, std::int64_t C, const T* x, const T* table,
                    T* logits) {
  matmul<T>(kNo, kYes, rows, V, C, T{1}, x, C, table, C, T{0}, logits, V);
}

template <typename T>
void logits_backward(std::int64_t rows, std::int64_t V, std::int64_t C, const T* dlogits,
                     const T* x, const T* table, T* dtable, T* dx) {
  if (dtable != nullptr) {  // before dx, which may lie over x
    matmul<T>(kYes, kNo, V, C, rows, T{1}, dlogits, V, x, C, T{1}, dtable, C);
  }
  matmul<T>(kNo, kNo, rows, C, V, T{1}, dlogits, V, table, C, T{0}, dx, C);
}

template void logits_forward<float>(std::int64_t, std::int64_t, std::int64_t, const float*,
                                    const float*, float*);
template void logits_forward<double>(std::int64_t, std::int64_t, std::int64_t, const double*,
                                     const double*, double*);
template void logits_backward<float>(std::int64_t, std::int64_t, std::int64_t, const float*,
                                     const float*, const float*, float*, float*);
template void logits_backward<double>(std::int64_t, std::int64_t, std::int64_t, const double*,
                                      const double*, const double*, double*, double*);

}  // namespace qlora::cpu
