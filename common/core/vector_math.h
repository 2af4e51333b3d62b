// Functions of whole arrays that a compiler does not vectorize by itself.
#pragma once

#include <cstdint>

namespace qlora {

/// y[i] = exp(x[i]) for float or double; y may be x. Within 2 ulp where |x| <= 20 and within 5
/// elsewhere; results below the smallest normal number are zero. The bits depend on x[i] alone.
template <typename T>
void vector_exp(std::int64_t n, const T* x, T* y);

/// y[i] = 1 / (1 + exp(-x[i])); y may be x. Within 2 ulp more than vector_exp.
template <typename T>
void vector_sigmoid(std::int64_t n, const T* x, T* y);

}  // namespace qlora
