// 4-bit tensors back into floating point: a tile of codes and maxima a block of threads.
#include <algorithm>
#include <type_traits>

#include "ops/cuda/quantization.cuh"
#include "ops/cuda/quantization.h"
#include "ops/cuda/timeline.h"
#include "quantization/fp4.h"
#include "quantization/nf4.h"

namespace qlora::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kTile = 8192;             // elements a block of threads restores
constexpr int kSmallestBlocksize = 32;  // and a power of two, kTile / 2 at most
constexpr std::int64_t kMostElements = std::int64_t{1} << 32;

// The values of the codes, as the kernels know them (FP4's code 8 is a negative zero).
struct CodeValues {
  float value[16];
};

// What restores the maximum of a block.
struct Maxima {
  const float* absmax = nullptr;         // (blocks), or nullptr:
  const std::uint8_t* codes = nullptr;   // (blocks)
  const float* nested_code = nullptr;    // (256)
  const float* nested_absmax = nullptr;  // (groups)
  Divider nested_blocksize;
  float offset = 0.0f;
};

// Codes of n elements, and rows of K values with `padding` elements behind each.
struct Layout {
  std::int64_t n, K, padding;
  Divider chunks;  // accesses of 16 bytes in a row of values
  int log2_blocksize;
};

// absmax[b], or fl(fl(nested_code[codes[b]] · nested_absmax[b / nested_blocksize]) + offset)
__device__ float absmax_of(const Maxima& m, unsigned b) {
  if (m.absmax != nullptr) return m.absmax[b];
  const float group = m.nested_absmax[m.nested_blocksize(b)];
  return flush(__fadd_rn(flushed_product(m.nested_code[m.codes[b]], group), m.offset));
}

// The codes of the elements that one access of 16 bytes holds.
template <typename T>
using Codes = std::conditional_t<kWide<T> == 8, std::uint32_t, std::uint16_t>;

// The codes from byte i on, of `bytes`; zeros behind the end.
template <typename T>
__device__ Codes<T> load_codes(const std::uint8_t* packed, std::int64_t i, std::int64_t bytes,
                               bool wide) {
  constexpr int N = sizeof(Codes<T>);
  // They are read once: the second-level cache is for the values.
  if (wide && i + N <= bytes) return __ldcs(reinterpret_cast<const Codes<T>*>(packed + i));
  unsigned codes = 0;
  for (int j = 0; j < N; ++j) codes |= i + j < bytes ? unsigned{packed[i + j]} << 8 * j : 0u;
  return static_cast<Codes<T>>(codes);
}

__device__ inline void put_pair(float a, float b, float* y) {
  y[0] = a;
  y[1] = b;
}
__device__ inline void put_pair(float a, float b, __half* y) {
  *reinterpret_cast<__half2*>(y) = __floats2half2_rn(a, b);
}
__device__ inline void put_pair(float a, float b, __nv_bfloat16* y) {
  *reinterpret_cast<__nv_bfloat162*>(y) = __floats2bfloat162_rn(a, b);
}

// The value in float32, rounded to the dtype that the tensor had.
template <typename Stored>
__device__ float as_stored(float value) {
  if constexpr (std::is_same_v<Stored, float>) {
    return value;
  } else {
    return to_float(from_float<Stored>(value));
  }
}

// Below this maximum a product with one of the values, none of which is nearer to zero than 2^-8,
// can be subnormal.
constexpr float kSmallestFast = kSmallestNormal * 0x1p8f;

// y = values[codes] · absmax, the first element in the high nibble of the first byte
template <typename T, typename Stored>
__device__ Vector<T, kWide<T>> restored(Codes<T> codes, const float* values, float absmax) {
  Vector<T, kWide<T>> y;
  const auto value_of = [&](int e) { return values[codes >> (4 * e ^ 4) & 15]; };
  if (fabsf(absmax) >= kSmallestFast) {
#pragma unroll
    for (int e = 0; e < kWide<T>; e += 2) {
      put_pair(as_stored<Stored>(__fmul_rn(value_of(e), absmax)),
               as_stored<Stored>(__fmul_rn(value_of(e + 1), absmax)), y.value + e);
    }
  } else {
#pragma unroll
    for (int e = 0; e < kWide<T>; e += 2) {
      put_pair(as_stored<Stored>(flushed_product(value_of(e), absmax)),
               as_stored<Stored>(flushed_product(value_of(e + 1), absmax)), y.value + e);
    }
  }
  return y;
}

// out (rows, K + padding): out[r, k] = code[c] · absmax[(r K + k) / blocksize]
//
// A tile's maxima are restored once, into shared memory, while its codes are on their way. Threads
// side by side take codes side by side, 4 bytes each, so that every store of a warp is one run of
// 512 bytes.
// requires, where WIDE: rows of whole accesses, or no padding; out a multiple of 16 bytes, packed
// of 4
template <typename T, typename Stored, bool WIDE>
__global__ void __launch_bounds__(kThreads)
    dequantize(const std::uint8_t* __restrict__ packed, const __grid_constant__ CodeValues code,
               const __grid_constant__ Maxima maxima, const __grid_constant__ Layout layout,
               T* __restrict__ out) {
  constexpr int N = kWide<T>;
  constexpr int kChunks = kTile / (kThreads * N);
  __shared__ float values[16];
  __shared__ float absmax[kTile / kSmallestBlocksize];
  const std::int64_t first = std::int64_t{blockIdx.x} * kTile;
  const std::int64_t n = layout.n;

  Codes<T> codes[kChunks];
#pragma unroll
  for (int j = 0; j < kChunks; ++j) {
    const std::int64_t i = first + (j * kThreads + static_cast<int>(threadIdx.x)) * N;
    codes[j] = load_codes<T>(packed, i / 2, (n + 1) / 2, WIDE);
  }
  if (threadIdx.x < 16) values[threadIdx.x] = code.value[threadIdx.x];
  const std::int64_t last = min(first + kTile, n) - 1;
  const auto first_block = static_cast<unsigned>(first >> layout.log2_blocksize);
  const auto blocks = static_cast<unsigned>(last >> layout.log2_blocksize) - first_block + 1;
  for (unsigned b = threadIdx.x; b < blocks; b += kThreads) {
    absmax[b] = absmax_of(maxima, first_block + b);
  }
  __syncthreads();

#pragma unroll
  for (int j = 0; j < kChunks; ++j) {
    const int within = (j * kThreads + static_cast<int>(threadIdx.x)) * N;
    const std::int64_t i = first + within;
    if (i >= n) return;
    const auto y = restored<T, Stored>(codes[j], values, absmax[within >> layout.log2_blocksize]);
    if constexpr (WIDE) {
      const std::int64_t row = layout.chunks(static_cast<std::uint32_t>(i / N));
      store_part(out + row * layout.padding, i, n, true, y);
    } else {
#pragma unroll
      for (int e = 0; e < N; ++e) {
        const auto at = static_cast<std::uint32_t>(i + e);  // below kMostElements
        const std::uint32_t row = at / static_cast<std::uint32_t>(layout.K);
        if (i + e < n) out[at + row * layout.padding] = y.value[e];
      }
    }
  }
}

template <typename T, typename Stored>
void launch(const QuantizedTensor& q, const Maxima& maxima, std::int64_t K, std::int64_t ld,
            const Tensor& out) {
  CodeValues code;
  std::ranges::copy(q.type == QuantType::nf4 ? kNf4Code : kFp4Code, code.value);
  const std::int64_t n = q.numel();
  if (ld == K) K = ld = n;  // one row: no matter where a chunk begins
  const Divider chunks(static_cast<std::uint32_t>((K + kWide<T> - 1) / kWide<T>));
  const Layout layout{n, K, ld - K, chunks, std::countr_zero(static_cast<unsigned>(q.blocksize))};
  const bool wide = (K == n || (K % kWide<T> == 0 && ld % kWide<T> == 0)) &&
                    is_aligned(out.raw(), 16) && is_aligned(q.packed.raw(), sizeof(Codes<T>));
  const auto kernel = wide ? dequantize<T, Stored, true> : dequantize<T, Stored, false>;
  kernel<<<blocks_for(n, kTile), kThreads, 0, stream()>>>(q.packed.data<std::uint8_t>(), code,
                                                          maxima, layout, elements<T>(out));
}

}  // namespace

void dequantize_4bit(const QuantizedTensor& q, const Tensor& out) {
  const Timed timed(ops::Part::dequantize);
  constexpr const char* op = "dequantize_4bit";
  const std::int64_t n = q.numel();
  if (n == 0) return;
  require(n < kMostElements, op, "fewer than 2^32 elements");
  const std::int64_t group = q.nested() ? std::min(q.nested_blocksize, q.blocks()) : 1;
  Maxima maxima{.nested_blocksize = Divider(static_cast<std::uint32_t>(group))};
  if (q.nested()) {
    maxima.codes = q.absmax.data<std::uint8_t>();
    maxima.nested_code = q.nested_code.data<float>();
    maxima.nested_absmax = q.nested_absmax.data<float>();
    maxima.offset = q.offset;
  } else {
    maxima.absmax = q.absmax.data<float>();
  }
  const bool is_flat = out.shape() == q.shape;
  const std::int64_t K = is_flat ? n : q.shape.back();
  const std::int64_t ld = is_flat ? n : out.dim(-1);
  on_element(out, op, [&]<typename T>(T) {
    // Rounding twice to the same format is rounding once.
    if constexpr (!std::is_same_v<T, __half>) {
      if (q.dtype == DType::f16) return launch<T, __half>(q, maxima, K, ld, out);
    }
    if constexpr (!std::is_same_v<T, __nv_bfloat16>) {
      if (q.dtype == DType::bf16) return launch<T, __nv_bfloat16>(q, maxima, K, ld, out);
    }
    launch<T, float>(q, maxima, K, ld, out);
  });
  check_launch(op);
}

}  // namespace qlora::cuda
