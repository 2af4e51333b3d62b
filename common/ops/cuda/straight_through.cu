// Fake quantization of weights and its straight-through gradient: one group of threads a block of
// values, which it reads twice, the second time out of the cache.
#include "ops/cuda/quantization.cuh"
#include "ops/cuda/straight_through.h"
#include "ops/cuda/timeline.h"
#include "quantization/nf4.h"

namespace qlora::cuda {
namespace {

constexpr int kLargest = 1024;        // threads that hold a long block
constexpr int kSmall = 256;           // threads of eight warps, each with a block of its own
constexpr std::int64_t kLong = 4096;  // values from which on a block is long

// The blocks of a weight w (n).
template <typename T>
struct Blocks {
  const T* w;
  std::int64_t n;
  std::int64_t size;  // of a block
  float clip;
};

// What the values of a block are rounded to.
struct Levels {
  bool nf4;
  float largest;  // Q of the integers
  float thresholds[kNf4Thresholds.size()];
  float values[kNf4Code.size()];

  explicit Levels(const FakeFormat& format)
      : nf4(format.levels == FakeLevels::nf4),
        largest(static_cast<float>((1 << (format.bits - 1)) - 1)) {
    std::copy(kNf4Thresholds.begin(), kNf4Thresholds.end(), thresholds);
    std::copy(kNf4Code.begin(), kNf4Code.end(), values);
  }
};

// Calls f with each index of the block that this thread's group of LANES holds, and with the range
// r = clip · max |w| of the block. fmaxf ignores a NaN.
template <int LANES, typename T, typename F>
__device__ void for_each_value(const Blocks<T>& blocks, F&& f) {
  const std::int64_t group = (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / LANES;
  const std::int64_t begin = group * blocks.size, end = min(begin + blocks.size, blocks.n);
  const int lane = threadIdx.x % LANES;
  float largest = 0.0f;
  for (std::int64_t i = begin + lane; i < end; i += LANES) {
    largest = fmaxf(largest, fabsf(to_float(blocks.w[i])));
  }
  largest = LANES == kWarp ? warp_max(largest) : block_largest<LANES>(largest);
  const float range = __fmul_rn(blocks.clip, largest);
  for (std::int64_t i = begin + lane; i < end; i += LANES) f(i, range);
}

// clamp(round(w / s), -Q, Q) · s with s = r / Q, or r times the value of NF4 that w / r is nearest
// to
__device__ float on_level(const Levels& levels, float w, float range) {
  if (!levels.nf4) {
    const float scale = __fdiv_rn(range, levels.largest), q = rintf(__fdiv_rn(w, scale));
    return isnan(q) ? 0.0f : __fmul_rn(fminf(fmaxf(q, -levels.largest), levels.largest), scale);
  }
  const float scaled = __fmul_rn(w, __fdiv_rn(1.0f, range));
  float value = levels.values[0];
#pragma unroll
  for (int k = 0; k < 15; ++k) value = scaled > levels.thresholds[k] ? levels.values[k + 1] : value;
  return __fmul_rn(value, range);
}

template <int LANES, typename T>
__global__ void quantize(const Blocks<T> blocks, const __grid_constant__ Levels levels, T* w_q) {
  for_each_value<LANES>(blocks, [&](std::int64_t i, float range) {
    w_q[i] = from_float<T>(on_level(levels, to_float(blocks.w[i]), range));
  });
}

template <int LANES, typename T>
__global__ void pass_straight_through(const Blocks<T> blocks, const float* dw_q, float* dw) {
  for_each_value<LANES>(blocks, [&](std::int64_t i, float range) {
    if (fabsf(to_float(blocks.w[i])) <= range) dw[i] += dw_q[i];
  });
}

// Calls f with the blocks of w, a number of lanes, and a grid of so many blocks of threads.
template <typename F>
void on_blocks(const char* op, const FakeFormat& format, const Tensor& w, F&& f) {
  const std::int64_t size = format.values_a_range(w.dim(1), w.numel());
  if (w.numel() == 0) return;
  const std::int64_t blocks = (w.numel() + size - 1) / size;
  const Timed timed(ops::Part::dequantize);
  on_element(w, op, [&]<typename T>(T) {
    const Blocks<T> all{elements<T>(w), w.numel(), size, static_cast<float>(format.clip)};
    if (size < kLong) {
      f(all, std::integral_constant<int, kWarp>(), blocks_for(blocks, kSmall / kWarp), kSmall);
    } else {
      f(all, std::integral_constant<int, kLargest>(), blocks_for(blocks, 1), kLargest);
    }
  });
  check_launch(op);
}

}  // namespace

void fake_quantize(const FakeFormat& format, const Tensor& w, const Tensor& w_q) {
  on_blocks("fake_quantize", format, w,
            [&]<typename T, int LANES>(const Blocks<T>& blocks, std::integral_constant<int, LANES>,
                                       unsigned grid, int threads) {
              quantize<LANES>
                  <<<grid, threads, 0, stream()>>>(blocks, Levels(format), elements<T>(w_q));
            });
}

void fake_quantize_backward(const FakeFormat& format, const Tensor& w, const Tensor& dw_q,
                            const Tensor& dw) {
  on_blocks("fake_quantize_backward", format, w,
            [&]<typename T, int LANES>(const Blocks<T>& blocks, std::integral_constant<int, LANES>,
                                       unsigned grid, int threads) {
              pass_straight_through<LANES><<<grid, threads, 0, stream()>>>(
                  blocks, elements<float>(dw_q), elements<float>(dw));
            });
}

}  // namespace qlora::cuda
