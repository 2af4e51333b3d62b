#include "core/vector_math.h"

#include <Eigen/Core>

namespace qlora {
namespace {

template <typename T>
using In = Eigen::Map<const Eigen::Array<T, Eigen::Dynamic, 1>>;
template <typename T>
using Out = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;

}  // namespace

template <typename T>
void vector_exp(std::int64_t n, const T* x, T* y) {
  Out<T>(y, n) = In<T>(x, n).exp();
}

template <typename T>
void vector_sigmoid(std::int64_t n, const T* x, T* y) {
  Out<T>(y, n) = (T{1} + (-In<T>(x, n)).exp()).inverse();
}

template void vector_exp<float>(std::int64_t, const float*, float*);
template void vector_exp<double>(std::int64_t, const double*, double*);
template void vector_sigmoid<float>(std::int64_t, const float*, float*);
template void vector_sigmoid<double>(std::int64_t, const double*, double*);

}  // namespace qlora
