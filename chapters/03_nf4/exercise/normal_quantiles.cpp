// Chapter 3, task 1: quantiles of the normal distribution, and the values of NF4 out of them.
// What each function promises stands in common/quantization/normal_quantiles.h.
#include "quantization/normal_quantiles.h"

#include "core/todo.h"

namespace qlora {

double normal_quantile(double p) {
  todo("normal_quantile", "chapter 03, task 1");
}

Codebook create_normal_map(double offset) {
  todo("create_normal_map", "chapter 03, task 1");
}

std::array<float, 15> midpoints(const Codebook& code) {
  todo("midpoints", "chapter 03, task 1");
}

}  // namespace qlora
