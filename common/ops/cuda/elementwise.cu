// Element by element: another dtype, dropout, random numbers, counts.
#include "ops/cuda/elementwise.h"
#include "ops/cuda/timeline.h"
#include "ops/cuda/wide.cuh"

namespace qlora::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kEach = 8;  // elements a thread: 16 bytes of 16-bit numbers

__device__ std::int64_t first_element() {
  return (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kEach;
}

// to (n) = from (n), rounded once
template <typename From, typename To>
__global__ void __launch_bounds__(kThreads)
    convert(const From* from, std::int64_t n, bool wide, To* to) {
  const std::int64_t i = first_element();
  float values[kEach];
  load_within<kEach>(from, i, n, wide, values);
  store_within<kEach>(values, i, n, wide, to);
}

// out (n) = scale · x, scale = 1 / (1 − p), where the stream keeps the element, else 0; ADDED: out
// += that. Four elements that follow each other share a block of the stream. Products are not fused
// with sums: float32 has the bits of the CPU's.
template <typename T, bool ADDED>
__global__ void __launch_bounds__(kThreads)
    drop(const T* x, Dropout how, float scale, std::int64_t n, bool wide, T* out) {
  const std::int64_t i = first_element();
  float values[kEach], sums[kEach];
  load_within<kEach>(x, i, n, wide, values);
  if (ADDED) load_within<kEach>(out, i, n, wide, sums);
#pragma unroll
  for (int four = 0; four < kEach; four += 4) {
    const Philox bits =
        philox(how.random.seed, how.random.stream, static_cast<std::uint64_t>((i + four) / 4));
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const bool kept = static_cast<float>(bits.word[j] >> 8) * 0x1p-24f >= how.p;
      const float value = kept ? __fmul_rn(values[four + j], scale) : 0.0f;
      values[four + j] = ADDED ? __fadd_rn(sums[four + j], value) : value;
    }
  }
  store_within<kEach>(values, i, n, wide, out);
}

// to (n) = standard_deviation · N(0, 1)
template <typename T>
__global__ void __launch_bounds__(kThreads)
    normal_numbers(Random random, float standard_deviation, std::int64_t n, T* to) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < n) {
    to[i] = from_float<T>(standard_deviation * random.normal(static_cast<std::uint64_t>(i)));
  }
}

unsigned grid(std::int64_t n) {
  return blocks_for(n, kThreads * kEach);
}

template <bool ADDED>
void drop_out(const char* op, const Tensor& x, const Dropout& how, const Tensor& out) {
  const Timed timed(ops::Part::lora);
  require(x.numel() == out.numel() && x.dtype() == out.dtype(), op,
          "tensors of one size and dtype");
  const std::int64_t n = x.numel();
  const float scale = 1.0f / (1.0f - how.p);
  if (n == 0) return;
  on_element(x, op, [&]<typename T>(T) {
    drop<T, ADDED><<<grid(n), kThreads, 0, stream()>>>(elements<T>(x), how, scale, n,
                                                       aligned(x, out), elements<T>(out));
  });
  check_launch(op);
}

__global__ void __launch_bounds__(kThreads) add_one(std::int32_t* counts, std::int64_t n) {
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) ++counts[i];
}

}  // namespace

void increment(const Tensor& counts) {
  const std::int64_t n = counts.numel();
  if (n == 0) return;
  add_one<<<grid(n), kThreads, 0, stream()>>>(elements<std::int32_t>(counts), n);
  check_launch("increment");
}

void cast(const Tensor& from, const Tensor& to) {
  require(from.numel() == to.numel(), "cast", "as many elements on both sides");
  const std::int64_t n = from.numel();
  if (n == 0) return;
  on_element(from, "cast", [&]<typename From>(From) {
    on_element(to, "cast", [&]<typename To>(To) {
      convert<<<grid(n), kThreads, 0, stream()>>>(elements<From>(from), n, aligned(from, to),
                                                  elements<To>(to));
    });
  });
  check_launch("cast");
}

void fill_normal(const Tensor& t, float standard_deviation, const Random& random) {
  const std::int64_t n = t.numel();
  if (n == 0) return;
  on_element(t, "fill_normal", [&]<typename T>(T) {
    normal_numbers<T><<<blocks_for(n, kThreads), kThreads, 0, stream()>>>(
        random, standard_deviation, n, elements<T>(t));
  });
  check_launch("fill_normal");
}

void dropout(const Tensor& x, const Dropout& how, const Tensor& out) {
  drop_out<false>("dropout", x, how, out);
}

void add_dropout(const Tensor& x, const Dropout& how, const Tensor& out) {
  drop_out<true>("add_dropout", x, how, out);
}

}  // namespace qlora::cuda
