#include "core/vector_math.h"

#include <Eigen/Core>
#include <algorithm>
#include <type_traits>

namespace qlora {
namespace {

// Eigen treats the elements before the first aligned address one by one, with a scalar function
// whose last bit differs: the result would hang on where the array lies. Blocks of a fixed size do
// not; the last one is filled up.
constexpr int kBlock = 16;
template <typename T>
using Block = Eigen::Array<T, kBlock, 1>;

// exp, with what lies below the smallest normal number flushed to zero: the packed function stops
// at some tiny number there, and a masked score of -infinity must give a weight of zero.
template <typename T>
Block<T> flushed_exp(const Block<T>& x) {
  constexpr T kLeast = std::is_same_v<T, float> ? T(-87.3) : T(-708.3);  // log of that number
  Block<T> y = x.exp();  // on its own: inside a select Eigen would do it one by one
  for (int i = 0; i < kBlock; ++i) y[i] = x[i] < kLeast ? T{0} : y[i];
  return y;
}

template <typename T, typename F>
void in_blocks(std::int64_t n, const T* x, T* y, F f) {
  std::int64_t i = 0;
  for (; i + kBlock <= n; i += kBlock) {
    Eigen::Map<Block<T>>(y + i) = f(Block<T>(Eigen::Map<const Block<T>>(x + i)));
  }
  if (i == n) return;
  Block<T> tail = Block<T>::Zero();
  std::copy_n(x + i, n - i, tail.data());
  tail = f(tail);
  std::copy_n(tail.data(), n - i, y + i);
}

}  // namespace

template <typename T>
void vector_exp(std::int64_t n, const T* x, T* y) {
  in_blocks(n, x, y, [](const Block<T>& b) -> Block<T> { return flushed_exp<T>(b); });
}

template <typename T>
void vector_sigmoid(std::int64_t n, const T* x, T* y) {
  in_blocks(n, x, y,
            [](const Block<T>& b) -> Block<T> { return (T{1} + flushed_exp<T>(-b)).inverse(); });
}

template void vector_exp<float>(std::int64_t, const float*, float*);
template void vector_exp<double>(std::int64_t, const double*, double*);
template void vector_sigmoid<float>(std::int64_t, const float*, float*);
template void vector_sigmoid<double>(std::int64_t, const double*, double*);

}  // namespace qlora
