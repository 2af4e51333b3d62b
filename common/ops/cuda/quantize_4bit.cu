// Floating point into 4-bit codes and block maxima in one pass; with double quantization their mean
// on the way, and the maxima into 8 bits.
#include <type_traits>

#include "ops/cuda/quantization.cuh"
#include "ops/cuda/quantization.h"
#include "quantization/fp4.h"
#include "quantization/nf4.h"

namespace qlora::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
constexpr int kChunks = 4;  // accesses of 16 bytes that a thread has under way
constexpr int kMeanThreads = 1024;

// The thresholds of a format as a tree: node 1 is the middle one, below node k stand 2k and 2k + 1.
struct Tree {
  float node[16];
};

template <std::size_t COUNT>
Tree tree_of(const std::array<float, COUNT>& ascending) {
  Tree tree{};
  for (std::size_t k = 1; k <= COUNT; ++k) {
    const std::size_t width = std::bit_floor(k);  // nodes of this level
    tree.node[k] = ascending[(2 * (k - width) + 1) * (COUNT + 1) / (2 * width) - 1];
  }
  return tree;
}

// How many of the 2^LEVELS - 1 thresholds x is above: none for a NaN.
template <int LEVELS>
__device__ unsigned thresholds_below(const float* tree, float x) {
  unsigned node = 1;
#pragma unroll
  for (int level = 0; level < LEVELS; ++level) node = 2 * node + (x > tree[node] ? 1 : 0);
  return node - (1u << LEVELS);
}

struct Nf4 {
  static Tree tree() { return tree_of(kNf4Thresholds); }
  __device__ static unsigned encode(const float* tree, float x, float reciprocal) {
    return thresholds_below<4>(tree, __fmul_rn(flush(x), reciprocal));
  }
};

struct Fp4 {
  static Tree tree() { return tree_of(kFp4Thresholds); }
  // The order of the codes by magnitude is 0, 1, 6, 7, 4, 5, 2, 3: bit 1 inverts bit 2. A negative
  // value keeps its sign down to code 8 unless the exact product is flushed to zero.
  __device__ static unsigned encode(const float* tree, float x, float reciprocal) {
    const float kept = flush(x);
    const float scaled = __fmul_rn(kept, reciprocal);
    bool is_negative = scaled < 0.0f;
    if (!(fabsf(scaled) > kSmallestNormal)) {
      const double exact = static_cast<double>(kept) * static_cast<double>(reciprocal);
      is_negative = exact <= -double{kSmallestNormal};
    }
    const unsigned above = thresholds_below<3>(tree, fabsf(scaled));
    return (above ^ (above & 2u) << 1) | (is_negative ? 8u : 0u);
  }
};

// x (n) in blocks, and what becomes of it.
template <typename T>
struct Job {
  const T* x;
  std::int64_t n;
  int log2_blocksize;
  bool wide;             // x is a multiple of 16 bytes, packed of 4
  std::uint8_t* packed;  // (n + 1) / 2
  float* absmax;         // (blocks)
  double* sums;          // (blocks of threads): of their maxima; or nullptr
};

template <typename T>
using Chunk = Vector<T, kWide<T>>;

template <typename T>
__device__ float largest_of(const Chunk<T>& x) {
  float largest = 0.0f;
#pragma unroll
  for (int e = 0; e < kWide<T>; ++e) largest = fmaxf(largest, fabsf(to_float(x.value[e])));
  return largest;  // fmaxf ignores a NaN
}

// The codes of elements [i, i + kWide), two a byte, the first in the high nibble; zeros stand for
// the partner that an odd tail lacks.
template <typename Format, typename T>
__device__ void encode_chunk(const Job<T>& job, const float* tree, const Chunk<T>& x, float absmax,
                             std::int64_t i) {
  const float reciprocal = block_reciprocal(absmax);
  Vector<std::uint8_t, kWide<T> / 2> bytes;
#pragma unroll
  for (int e = 0; e < kWide<T>; e += 2) {
    const unsigned high = Format::encode(tree, to_float(x.value[e]), reciprocal);
    const unsigned low = Format::encode(tree, to_float(x.value[e + 1]), reciprocal);
    bytes.value[e / 2] = static_cast<std::uint8_t>(high << 4 | low);
  }
  store_part(job.packed, i / 2, (job.n + 1) / 2, job.wide, bytes);
}

// The sum over a block of THREADS in double, in thread 0, in an order that is always the same.
template <int THREADS>
__device__ double sum_in_double(double x) {
  __shared__ double partial[THREADS / kWarp];
  for (int offset = kWarp / 2; offset > 0; offset /= 2) x += __shfl_xor_sync(~0u, x, offset);
  if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp] = x;
  __syncthreads();
  double sum = 0.0;
  for (int w = 0; threadIdx.x == 0 && w < THREADS / kWarp; ++w) sum += partial[w];
  return sum;
}

__device__ inline void put_sum(double* sums, double sum) {
  if (sums == nullptr) return;
  sum = sum_in_double<kThreads>(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// Blocks of at most a warp's 32 accesses: `lanes` threads side by side hold a block in registers.
template <typename T, typename Format>
__global__ void __launch_bounds__(kThreads)
    quantize_small(const __grid_constant__ Job<T> job, const __grid_constant__ Tree thresholds) {
  constexpr int N = kWide<T>;
  __shared__ float tree[16];
  const std::int64_t first = std::int64_t{blockIdx.x} * (kThreads * kChunks * N) + threadIdx.x * N;
  Chunk<T> x[kChunks];
#pragma unroll
  for (int j = 0; j < kChunks; ++j) {
    x[j] = load_part<N>(job.x, first + j * (kThreads * N), job.n, job.wide);
  }
  if (threadIdx.x < 16) tree[threadIdx.x] = thresholds.node[threadIdx.x];
  __syncthreads();

  const int lanes = (1 << job.log2_blocksize) / N;
  const bool leads = (threadIdx.x & (lanes - 1)) == 0;
  double sum = 0.0;
#pragma unroll
  for (int j = 0; j < kChunks; ++j) {
    const std::int64_t i = first + j * (kThreads * N);
    float absmax = largest_of<T>(x[j]);
    for (int offset = lanes / 2; offset > 0; offset /= 2) {
      absmax = fmaxf(absmax, __shfl_xor_sync(~0u, absmax, offset));
    }
    absmax = flush(absmax);
    encode_chunk<Format>(job, tree, x[j], absmax, i);
    if (leads && i < job.n) {
      job.absmax[i >> job.log2_blocksize] = absmax;
      sum += absmax;
    }
  }
  put_sum(job.sums, sum);
}

// Longer blocks: a warp a block, which it reads twice, the second time out of the cache.
template <typename T, typename Format>
__global__ void __launch_bounds__(kThreads)
    quantize_large(const __grid_constant__ Job<T> job, const __grid_constant__ Tree thresholds) {
  constexpr int N = kWide<T>;
  __shared__ float tree[16];
  if (threadIdx.x < 16) tree[threadIdx.x] = thresholds.node[threadIdx.x];
  __syncthreads();

  const int lane = threadIdx.x % kWarp;
  const std::int64_t block = std::int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp;
  const std::int64_t begin = block << job.log2_blocksize;
  const std::int64_t end = min((block + 1) << job.log2_blocksize, job.n);
  float absmax = 0.0f;
  for (std::int64_t i = begin + lane * N; i < end; i += kWarp * N) {
    absmax = fmaxf(absmax, largest_of<T>(load_part<N>(job.x, i, end, job.wide)));
  }
  absmax = flush(warp_max(absmax));
  for (std::int64_t i = begin + lane * N; i < end; i += kWarp * N) {
    encode_chunk<Format>(job, tree, load_part<N>(job.x, i, end, job.wide), absmax, i);
  }
  const bool writes = lane == 0 && begin < job.n;
  if (writes) job.absmax[block] = absmax;
  put_sum(job.sums, writes ? absmax : 0.0);
}

// offset = fl(Σ sums) · fl(1 / blocks), as quantization/double_quantization.h has it
__global__ void __launch_bounds__(kMeanThreads)
    mean(const double* sums, int count, float reciprocal, float* offset) {
  double sum = 0.0;
  for (int i = threadIdx.x; i < count; i += kMeanThreads) sum += sums[i];
  sum = sum_in_double<kMeanThreads>(sum);
  if (threadIdx.x == 0) *offset = flushed_product(__double2float_rn(sum), reciprocal);
}

// How many blocks of threads it takes, each of which writes one sum.
template <typename T>
unsigned grid_of(const QuantizedTensor& q) {
  const bool small = q.blocksize <= kWarp * kWide<T>;
  return small ? blocks_for(q.numel(), kThreads * kChunks * kWide<T>)
               : blocks_for(q.blocks(), kWarps);
}

template <typename T, typename Format>
void launch(const Tensor& x, const QuantizedTensor& q, const Tensor& absmax, const Tensor& sums) {
  const bool wide = is_aligned(x.raw(), 16) && is_aligned(q.packed.raw(), 4);
  const Job<T> job{elements<T>(x),
                   x.numel(),
                   std::countr_zero(static_cast<unsigned>(q.blocksize)),
                   wide,
                   elements<std::uint8_t>(q.packed),
                   elements<float>(absmax),
                   elements<double>(sums)};
  const auto kernel =
      q.blocksize <= kWarp * kWide<T> ? quantize_small<T, Format> : quantize_large<T, Format>;
  kernel<<<grid_of<T>(q), kThreads, 0, stream()>>>(job, Format::tree());
}

}  // namespace

Tensor quantize_4bit(const Tensor& x, const QuantizedTensor& q, Arena& arena) {
  constexpr const char* op = "quantize_4bit";
  const std::int64_t blocks = q.blocks();
  const Tensor offset = q.nested() ? arena.take(DType::f32, {1}) : Tensor();
  if (blocks == 0) {
    if (offset) fill_bytes(offset, 0);
    return offset;
  }
  const Tensor absmax = q.nested() ? arena.take(DType::f32, {blocks}) : q.absmax;
  on_element(x, op, [&]<typename T>(T) {
    const unsigned grid = grid_of<T>(q);
    const Tensor sums = q.nested() ? arena.take(DType::f64, {grid}) : Tensor();
    const auto quantize = q.type == QuantType::nf4 ? launch<T, Nf4> : launch<T, Fp4>;
    quantize(x, q, absmax, sums);
    if (!q.nested()) return;
    mean<<<1, kMeanThreads, 0, stream()>>>(elements<double>(sums), static_cast<int>(grid),
                                           1.0f / static_cast<float>(blocks),
                                           elements<float>(offset));
  });
  check_launch(op);
  if (!q.nested()) return {};
  quantize_blockwise8(absmax, offset, q.nested_code, q.nested_blocksize, q.absmax, q.nested_absmax);
  return offset;
}

}  // namespace qlora::cuda
