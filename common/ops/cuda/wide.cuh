// Accesses of 16 bytes, in which a kernel reaches the memory's full rate, and of single elements
// where an array's address or length does not allow them. Values are float32 on the inside.
#pragma once

#include <cstdint>
#include <type_traits>

#include "ops/cuda/numeric.cuh"

namespace qlora::cuda {

/// One access: 16 bytes, or a single element. The bits are asked for as one vector, because copies
/// of N elements are compiled to N loads.
template <int N, typename T>
__device__ Vector<T, N> read(const T* from) {
  Vector<T, N> values;
  if constexpr (N == 1) {
    values.value[0] = *from;
  } else {
    static_assert(sizeof(values) == sizeof(uint4));
    const uint4 bits = *reinterpret_cast<const uint4*>(from);
    memcpy(&values, &bits, sizeof(values));
  }
  return values;
}

/// The elements of an access as float32.
template <typename T, int N>
__device__ void widen(const Vector<T, N>& from, float* to) {
#pragma unroll
  for (int j = 0; j < N; ++j) to[j] = to_float(from.value[j]);
}

/// N elements from `from` on, in accesses of 16 bytes (or of all N, if they are shorter).
template <int N, typename T>
__device__ void load(const T* from, float (&to)[N]) {
  constexpr int kPart = N < kWide<T> ? N : kWide<T>;
#pragma unroll
  for (int part = 0; part < N; part += kPart) {
    widen(read<kPart>(from + part), to + part);
  }
}

/// Writes N elements, each rounded once.
template <int N, typename T>
__device__ void store(const float (&from)[N], T* to) {
  constexpr int kPart = N < kWide<T> ? N : kWide<T>;
#pragma unroll
  for (int part = 0; part < N; part += kPart) {
    Vector<T, kPart> values;
#pragma unroll
    for (int j = 0; j < kPart; ++j) values.value[j] = from_float<T>(from[part + j]);
    *reinterpret_cast<Vector<T, kPart>*>(to + part) = values;
  }
}

/// Elements i … i+N-1 of an array of n; zeros stand for those beyond its end. `wide` says that the
/// array begins at a multiple of 16 bytes, as i·sizeof(T) does.
template <int N, typename T>
__device__ void load_within(const T* array, std::int64_t i, std::int64_t n, bool wide,
                            float (&to)[N]) {
  if (wide && i + N <= n) return load<N>(array + i, to);
#pragma unroll
  for (int j = 0; j < N; ++j) to[j] = i + j < n ? to_float(array[i + j]) : 0.0f;
}

/// Writes those of elements i … i+N-1 that lie within the n of the array.
template <int N, typename T>
__device__ void store_within(const float (&from)[N], std::int64_t i, std::int64_t n, bool wide,
                             T* array) {
  if (wide && i + N <= n) return store<N>(from, array + i);
#pragma unroll
  for (int j = 0; j < N; ++j) {
    if (i + j < n) array[i + j] = from_float<T>(from[j]);
  }
}

/// Whether all the tensors begin at a multiple of 16 bytes; one that is empty does.
template <typename... Tensors>
bool aligned(const Tensors&... tensors) {
  return ((reinterpret_cast<std::uintptr_t>(tensors.raw()) % 16 == 0) && ...);
}

/// Calls f with the number of elements of an access: kWide<T>, or 1 where `wide` is false.
template <typename T, typename F>
void on_width(bool wide, F&& f) {
  if (wide) {
    f(std::integral_constant<int, kWide<T>>{});
  } else {
    f(std::integral_constant<int, 1>{});
  }
}

}  // namespace qlora::cuda
