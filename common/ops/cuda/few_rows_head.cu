// The output head on few rows: bound by reading it. x stands in shared memory as float32, and a
// warp takes four rows of the head at a time.
#include <algorithm>

#include "ops/cuda/few_rows.cuh"
#include "ops/cuda/few_rows.h"
#include "ops/cuda/wide.cuh"

namespace qlora::cuda {
namespace {

constexpr int kThreads = 512, kWarps = kThreads / kWarp;
constexpr int kTile = 4;                       // rows of the head
constexpr std::int64_t kMostBytes = 48 << 10;  // of x: what every card has

// logits[m, v] = Σ_c x[m, c] head[v, c]; x (rows,C), head (V,C), logits (rows,V). A piece is what
// an access of 16 bytes holds. In shared memory the first four elements of all pieces stand beside
// each other, so do the second four: lanes side by side read from all banks.
template <int M, typename T>
__global__ void __launch_bounds__(kThreads, 1)
    forward(const T* __restrict__ x, int rows, const T* __restrict__ head, int C, std::int64_t V,
            T* logits) {
  constexpr int kPiece = kWide<T>, kQuads = kPiece / 4, kValues = kTile * M;
  extern __shared__ float4 held[];  // (M, kQuads, pieces)
  const int pieces = C / kPiece, warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
#pragma unroll
  for (int m = 0; m < M; ++m) {
    for (int i = threadIdx.x; i < pieces; i += kThreads) {
      float part[kPiece];
      load<kPiece>(x + std::int64_t{min(m, rows - 1)} * C + i * kPiece, part);
#pragma unroll
      for (int q = 0; q < kQuads; ++q) {
        held[(m * kQuads + q) * pieces + i] = {part[4 * q], part[4 * q + 1], part[4 * q + 2],
                                               part[4 * q + 3]};
      }
    }
  }
  __syncthreads();

  const std::int64_t step = std::int64_t{gridDim.x} * kWarps * kTile;
  for (std::int64_t v = (std::int64_t{blockIdx.x} * kWarps + warp) * kTile; v < V; v += step) {
    const T* from[kTile];
#pragma unroll
    for (int i = 0; i < kTile; ++i) from[i] = head + min(v + i, V - 1) * C;
    float sums[kValues] = {};
#pragma unroll 2
    for (int piece = lane; piece < pieces; piece += kWarp) {
      float h[kTile][kPiece];
#pragma unroll
      for (int i = 0; i < kTile; ++i) {
        Vector<T, kPiece> part;
        const uint4 bits = __ldcs(reinterpret_cast<const uint4*>(from[i] + piece * kPiece));
        memcpy(&part, &bits, sizeof bits);
        widen(part, h[i]);
      }
#pragma unroll
      for (int m = 0; m < M; ++m) {
#pragma unroll
        for (int q = 0; q < kQuads; ++q) {
          const float4 four = held[(m * kQuads + q) * pieces + piece];
#pragma unroll
          for (int i = 0; i < kTile; ++i) {
            float& sum = sums[i * M + m];
            sum += four.x * h[i][4 * q];
            sum += four.y * h[i][4 * q + 1];
            sum += four.z * h[i][4 * q + 2];
            sum += four.w * h[i][4 * q + 3];
          }
        }
      }
    }
    const float sum = warp_sums(sums);
    const int value = lane / (kWarp / kValues), m = value % M;
    const std::int64_t row = v + value / M;
    if (lane % (kWarp / kValues) == 0 && m < rows && row < V) {
      logits[m * V + row] = from_float<T>(sum);
    }
  }
}

// Rows of x that shared memory has room for.
std::int64_t rows_at_once(std::int64_t C) {
  const std::int64_t room = kMostBytes / (C * static_cast<std::int64_t>(sizeof(float)));
  return room >= kPassRows ? kPassRows : std::min<std::int64_t>(room, 2);
}

}  // namespace

bool few_rows_serves(const Tensor& head, const Tensor& x) {
  const std::int64_t rows = x.dim(0), C = head.dim(1);
  const std::int64_t access = 16 / static_cast<std::int64_t>(size_of(x.dtype()));
  return rows >= 1 && rows <= kFewRows && C > 0 && C == x.dim(1) && C % access == 0 &&
         aligned(head, x) && rows_at_once(C) >= 1;
}

void few_rows_head(const Tensor& x, const Tensor& head, const Tensor& logits) {
  constexpr const char* op = "few_rows_head";
  require(few_rows_serves(head, x), op, "a head and an input that few_rows_serves() takes");
  const std::int64_t V = head.dim(0), C = head.dim(1);
  const unsigned grid =
      std::min(blocks_for(V, kWarps * kTile), static_cast<unsigned>(device().multiprocessors));
  if (V == 0) return;
  on_element(x, op, [&]<typename T>(T) {
    in_passes(x.dim(0), static_cast<int>(rows_at_once(C)),
              [&]<int M>(std::int64_t first, int rows, std::integral_constant<int, M>) {
                const auto shared = static_cast<std::size_t>(M * C) * sizeof(float);
                forward<M, T><<<grid, kThreads, shared, stream()>>>(
                    elements<const T>(x) + first * C, rows, elements<const T>(head),
                    static_cast<int>(C), V, elements<T>(logits) + first * V);
              });
  });
  check_launch(op);
}

}  // namespace qlora::cuda
